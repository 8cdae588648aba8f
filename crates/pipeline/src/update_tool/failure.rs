//! What is said where the update tool came to no good end.

use std::path::Path;

use rustix::process::Signal;

use super::{CONFLICTS, REVERTED};
use crate::inputs::hint_of_full_disk;
use crate::process::Finished;
use crate::step::{Kind, Problem};

/// How much of the tool's output an error shows.
const SHOWN_LINES: usize = 15;
/// Characters of each of them.
const LONGEST_LINE: usize = 1000;
/// For commands that log in.
pub(super) const CHECK_ACCOUNT: &str = "check user name, password and network first; with tools from before 2026 give --tool-credentials flags; -v shows all it said";

/// That `what` came to no good end; the disks of `places` may be why.
pub(super) fn failed(what: &str, finished: &Finished, places: [&Path; 2]) -> Problem {
    let lines: Vec<&str> = finished.output.lines().filter(|line| !line.trim().is_empty()).collect();
    let lines = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    let shown: Vec<String> = lines.iter().map(|line| line.chars().take(LONGEST_LINE).collect()).collect();
    let shown = shown.join("\n");
    let (how, hint, kind) = match finished.code {
        Some(CONFLICTS) => (
            "it found conflicts (exit code 3)".to_owned(),
            "the pack is not clean, or the hotfix is for another one: start from the vendor's clean pack of this level",
            Kind::Conflict,
        ),
        Some(REVERTED) => (
            "it reverted what it had done (exit code 4)".to_owned(),
            "see what it said; ask the vendor about this hotfix",
            Kind::Failed,
        ),
        Some(code) => (format!("exit code {code}"), CHECK_ACCOUNT, Kind::Failed),
        None if finished.signal == Some(Signal::KILL.as_raw()) => {
            ("it was killed (signal 9)".to_owned(), "see whether the machine ran out of memory", Kind::Failed)
        }
        None => (
            format!("it was ended by signal {}", finished.signal.unwrap_or_default()),
            "somebody or something has ended it: run the same command again",
            Kind::Failed,
        ),
    };
    let full = places.into_iter().find_map(|place| hint_of_full_disk(place, &shown));
    let hint = full.filter(|_| kind == Kind::Failed).unwrap_or_else(|| hint.to_owned());
    let said = if shown.is_empty() { "it said nothing".to_owned() } else { format!("it said:\n{shown}") };
    Problem::new(format!("{what}: {how}"), hint).of_kind(kind).because(anyhow::Error::msg(said))
}
