//! GitHub Actions, where `GITHUB_ACTIONS` says so: a group for each step, an error where people look for it, outputs and a summary.
//!
//! The runner takes lines of our output for commands (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>),
//! and so those that others have written: it is told to stop that, but for our own.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::warn;
use uuid::Uuid;

use crate::recorder::Observer;
use crate::report::{Outcome, Report};
use crate::step::Step;

/// The runner shows no more of a step.
const MOST_WARNINGS: usize = 10;
/// Of a summary, in bytes; a longer one is refused as a whole.
const LONGEST_SUMMARY: usize = 1 << 20;

static COMMANDS: OnceLock<Option<Commands>> = OnceLock::new();
/// Whether a run that makes an image has begun, and has not said yet what became of it.
static OWES_OUTPUTS: AtomicBool = AtomicBool::new(false);

/// The runner's commands.
#[derive(Debug)]
pub(super) struct Commands {
    /// By which it knows that it may listen again.
    token: String,
}

/// Those of the runner that we run in, if it is one of GitHub's. From the first call on it takes only our commands.
pub(super) fn commands() -> Option<&'static Commands> {
    let begin = || {
        is_true("GITHUB_ACTIONS").then(|| {
            let commands = Commands { token: random() };
            commands.write(&format!("::stop-commands::{}\n", commands.token));
            commands
        })
    };
    COMMANDS.get_or_init(begin).as_ref()
}

/// Whether whoever started the run wants to know more.
pub(super) fn wants_debug() -> bool {
    is_true("GITHUB_ACTIONS") && std::env::var("RUNNER_DEBUG").is_ok_and(|value| value == "1")
}

/// A run begins that makes an image: whoever asks for its outcome gets one, whatever happens.
pub(super) fn begin() {
    OWES_OUTPUTS.store(true, Ordering::Relaxed);
}

/// What comes after us in the same step gives commands of its own.
pub(super) fn end() {
    if let Some(Some(commands)) = COMMANDS.get() {
        if OWES_OUTPUTS.load(Ordering::Relaxed) {
            append("GITHUB_OUTPUT", &outputs(None));
        }
        commands.write(&format!("::{}::\n", commands.token));
    }
}

fn is_true(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "true")
}

fn random() -> String {
    format!("hotfix-{}", Uuid::now_v7().simple())
}

impl Commands {
    /// Hides a secret, in whatever others say. It has to be said for that, on lines that the runner does not show.
    pub(super) fn mask(&self, secret: &str) {
        for line in secret.lines().filter(|line| !line.trim().is_empty()) {
            self.say(&format!("::add-mask::{}", data(line)));
        }
    }

    /// What is shown at the top of the run.
    pub(super) fn error(&self, title: &str, message: &str) {
        self.say(&format!("::error title={}::{}", property(title), data(message)));
    }

    fn warning(&self, message: &str) {
        self.say(&format!("::warning title=hotfix::{}", data(message)));
    }

    /// What became of the run: outputs, summary, warnings.
    pub(super) fn report(&self, report: &Report) {
        report.warnings.iter().take(MOST_WARNINGS).for_each(|warning| self.warning(warning));
        append("GITHUB_OUTPUT", &outputs(Some(report)));
        OWES_OUTPUTS.store(false, Ordering::Relaxed);
        let summary = report.summary();
        let end = summary.floor_char_boundary(LONGEST_SUMMARY);
        append("GITHUB_STEP_SUMMARY", &format!("{}\n", &summary[..end]));
    }

    fn say(&self, command: &str) {
        let token = &self.token;
        self.write(&format!("::{token}::\n{command}\n::stop-commands::{token}\n"));
    }

    fn write(&self, lines: &str) {
        // At once, so that no other thread's line gets between; there is nowhere else to say it.
        let _ = io::stderr().lock().write_all(lines.as_bytes());
    }
}

impl Observer for &'static Commands {
    fn began(&self, step: Step) {
        self.say(&format!("::group::{step}"));
    }

    fn ended(&self, _step: Step, _has_passed: bool, _time: Duration) {
        self.say("::endgroup::");
    }
}

/// Names and values for later steps, of a run that could begin or of one that could not.
fn outputs(report: Option<&Report>) -> String {
    let image = report.and_then(|report| report.image.as_ref());
    let tags = image.map(|image| image.tags.join("\n")).unwrap_or_default();
    let outcome = match report.map(|report| report.outcome) {
        Some(Outcome::Success) => "success",
        Some(Outcome::Unchanged) => "unchanged",
        Some(Outcome::Failure) | None => "failure",
    };
    let digest = image.and_then(|image| image.digest.clone()).unwrap_or_default();
    let named = [
        ("image", tags.lines().next().unwrap_or_default().to_owned()),
        ("images", tags.clone()),
        ("digest", digest),
        ("version", report.and_then(Report::image_version).unwrap_or_default()),
        ("outcome", outcome.to_owned()),
    ];
    let end = random();
    named.map(|(name, value)| format!("{name}<<{end}\n{value}\n{end}\n")).concat()
}

/// To the file that a variable names.
fn append(variable: &str, text: &str) {
    let Some(file) = std::env::var_os(variable).filter(|file| !file.is_empty()) else { return };
    let opened = OpenOptions::new().append(true).create(true).open(&file);
    if let Err(error) = opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        warn!("{variable} ({}) cannot be written: {error}", file.display());
    }
}

/// As a command's text is written.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As a command's property is written.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_no_commands() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
