//! Files that both the user and the vendor have changed: the update tool leaves their versions beside them, and goes on once the
//! user has decided.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// Those of `files` on which the user has not decided: there is nothing that they are to be. Once the tool was told to take the
/// decisions, `has_continued`, it can have taken this one already, and removed all versions.
pub(super) fn undecided(home: &Path, files: &[String], has_continued: bool) -> Vec<String> {
    let has = |path: &String, ending: &str| version(home, path, ending).symlink_metadata().is_ok();
    let is_taken = |path: &String| has_continued && !has(path, NEW) && !has(path, ORIGINAL);
    let is_open = |path: &&String| !version(home, path, FINAL).is_file() && !is_taken(path);
    files.iter().filter(is_open).cloned().collect()
}

fn version(home: &Path, path: &str, ending: &str) -> PathBuf {
    home.join(format!("{path}{ending}"))
}

/// What the user is asked to do.
pub(super) fn problem(home: &Path, files: &[String]) -> Problem {
    let list: Vec<String> = files.iter().map(|path| printable(path)).collect();
    let first = home.join(files.first().map_or("", String::as_str));
    let first = first.display();
    let decided = files.iter().filter(|path| version(home, path, FINAL).is_file());
    let decided: Vec<String> = decided.map(|path| format!("{}{FINAL}", printable(path))).collect();
    let there = match decided.as_slice() {
        [] => String::new(),
        files => format!("; {} was there before, and decides unless you change it", files.join(", ")),
    };
    Problem::new(
        format!("the vendor's update and you have changed the same {} files: {}{there}", files.len(), list.join(", ")),
        format!(
            "put what each is to be into a file of its name with {FINAL} ({first}{FINAL}): it is yours now, {first}{ORIGINAL} is what the \
             vendor's was, {first}{NEW} what it is to be; then run the same command again, which goes on with --continue"
        ),
    )
    .of_kind(Kind::Conflict)
}

/// What the user is asked to do where the tool has left nothing to decide on.
pub(super) fn without_files(said: Problem) -> Problem {
    said.with_hint(format!(
        "see with -v what it said: it has left no versions of files ({ORIGINAL}, {NEW}) to decide on; the same command goes on with \
         --continue, and another --to-level, or 'hotfix revert', can be given instead"
    ))
}
