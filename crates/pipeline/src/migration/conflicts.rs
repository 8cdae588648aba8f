//! Files that both the user and the vendor have changed: the update tool leaves their versions beside them, and goes on once the
//! user has decided.

use std::collections::BTreeSet;
use std::path::Path;

use super::snapshot::Snapshot;
use crate::pack::printable;
use crate::step::{Kind, Problem};

/// The vendor's file as it was.
const ORIGINAL: &str = ".original";
/// The vendor's file as it is to be.
const NEW: &str = ".new";
/// What the user wants it to be.
const FINAL: &str = ".final";

/// Files of which the tool has left versions since `before`; where it has left none, those of which there are versions: they can
/// have been there, just as they are, since another time.
pub(super) fn find(before: &Snapshot, now: &Snapshot) -> Vec<String> {
    let base = |path: &String| path.strip_suffix(NEW).or_else(|| path.strip_suffix(ORIGINAL)).map(str::to_owned);
    let left: BTreeSet<String> = now.new_since(before).filter_map(base).collect();
    if !left.is_empty() {
        return left.into_iter().collect();
    }
    let has_all = |path: &String| [NEW, ORIGINAL].iter().all(|ending| now.has(&format!("{path}{ending}")));
    now.paths().filter_map(base).filter(has_all).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Those of `files` on which the user has not decided: their versions are there, and nothing that they are to be.
pub(super) fn undecided(home: &Path, files: &[String]) -> Vec<String> {
    let version = |path: &String, ending: &str| home.join(format!("{path}{ending}"));
    let has = |path: &String, ending: &str| version(path, ending).symlink_metadata().is_ok();
    let is_open = |path: &&String| (has(path, NEW) || has(path, ORIGINAL)) && !version(path, FINAL).is_file();
    files.iter().filter(is_open).cloned().collect()
}

/// What the user is asked to do.
pub(super) fn problem(home: &Path, files: &[String]) -> Problem {
    let list: Vec<String> = files.iter().map(|path| printable(path)).collect();
    let first = home.join(files.first().map_or("", String::as_str));
    let first = first.display();
    Problem::new(
        format!("the vendor's update and you have changed the same {} files: {}", files.len(), list.join(", ")),
        format!(
            "put what each is to be into a file of its name with {FINAL} ({first}{FINAL}): it is yours now, {first}{ORIGINAL} is what the \
             vendor's was, {first}{NEW} what it is to be; then run the same command again, which goes on with --continue"
        ),
    )
    .of_kind(Kind::Conflict)
}
