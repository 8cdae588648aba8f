//! Faults by count, as SQLite tests them: the first, second, … call of a kind fails, once or from then on. Each time the run goes
//! well or is refused plainly, the old image stays until the new one is whole, and the next run heals.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::support::engine;
use crate::support::victim::Victim;

/// Of the times at which a call can fail, so many are tried in CI; with `HOTFIX_TORTURE` all are.
const TIMES: usize = 5;

const EINTR: i32 = 4;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
/// Half of what was to be written is.
const SHORT: i32 = 0;

/// What makes calls fail; none where there is no C compiler, which is told.
fn library() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<(TempDir, PathBuf)>> = OnceLock::new();
    let build = || {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("faults.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/support/faults.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]).arg(&library).arg(source).arg("-ldl");
        let output = compiler.output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some((folder, library))
    };
    let built = cfg!(target_os = "linux").then(|| BUILT.get_or_init(build).as_ref()).flatten();
    if built.is_none() {
        engine::skip("no C compiler is here (Debian: gcc), or this is not Linux");
    }
    built.map(|(_, library)| library.clone())
}

/// One after the other, until a run meets no fault any more.
fn each_time(call: &str, errors: &[i32]) {
    let Some(library) = library() else { return };
    let victim = Victim::under_faults(&library);
    let plan = victim.scenario.path("faults");
    let happened = victim.scenario.path("faults.happened");
    let place = victim.scenario.path("");
    let set = |text: &str| {
        let _ = fs::remove_file(&happened);
        fs::write(&plan, text).expect("written");
    };
    let line = |error: i32, at: usize, always: u8| {
        format!("{call} {error} {at} {always} {} {}", env!("CARGO_BIN_EXE_hotfix"), place.display())
    };
    // Those that are interrupted or cut short for ever are tried for ever, as they should be.
    let ways = errors.iter().flat_map(|error| [(*error, 0), (*error, 1)]);
    for (error, always) in ways.filter(|(error, always)| *always == 0 || ![EINTR, SHORT].contains(error)) {
        let mut tried = 0;
        for at in times(&victim, |at| set(&line(error, at, always)), || happened.exists()) {
            let what =
                format!("{call}, error {error}, time {at}{}", if always == 1 { " and all after it" } else { "" });
            set("");
            victim.prepare();
            if at % 2 == 1 {
                victim.forget_cached();
            }
            set(&line(error, at, always));
            let output = victim.run();
            let was_met = happened.exists();
            set("");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            tried += usize::from(was_met);
            assert!(!said.contains("panicked"), "{what}: {said}");
            if error == EINTR || error == SHORT {
                assert_eq!(code, Some(0), "{what}: {said}");
            }
            match code {
                Some(0) => victim.has_new(&what),
                Some(3..=9) => is_plain_refusal(&what, &said),
                _ => panic!("{what}: {code:?}: {said}"),
            }
            if code != Some(0) {
                victim.has_old(&what);
            }
            victim.recovers(&what);
        }
        assert!(tried > 0, "{call} never failed");
        // Around libtest's capture: a figure for whoever let it run for long.
        let all = if always == 1 { ", from then on" } else { "" };
        let _ = writeln!(std::io::stderr(), "{call}, error {error}{all}: failed at {tried} times");
    }
}

/// When a call is to fail: every time that there is where it was asked for, else some, from the first to the last.
fn times(victim: &Victim, set: impl Fn(usize), was_met: impl Fn() -> bool) -> Vec<usize> {
    // The last time at which something is met, found by doubling and halving.
    let is_met = |at: usize| {
        set(at);
        victim.run();
        was_met()
    };
    let mut most = 1;
    while is_met(most * 2) {
        most *= 2;
    }
    let mut beyond = most * 2;
    while beyond - most > 1 {
        let middle = usize::midpoint(most, beyond);
        if is_met(middle) { most = middle } else { beyond = middle }
    }
    match std::env::var("HOTFIX_TORTURE") {
        Ok(_) => (1..=most).collect(),
        Err(_) => (0..TIMES).map(|number| 1 + (most - 1) * number / (TIMES - 1)).collect(),
    }
}

fn is_plain_refusal(what: &str, said: &str) {
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { panic!("{what}: {said}") };
    assert!(said.contains("\n  next: "), "{what}: {said}");
    let causes = said.lines().filter(|line| line.starts_with("  cause: "));
    // A path, or a folder as it was given.
    let names = |line: &str| line.contains('/') || line.ends_with(" report") || line.ends_with(" image");
    assert!([error].into_iter().chain(causes).any(names), "{what}: names no file: {said}");
}

#[test]
fn writes() {
    each_time("write", &[ENOSPC, EIO, EINTR, SHORT]);
}

#[test]
fn syncs() {
    each_time("fsync", &[ENOSPC, EIO]);
}

#[test]
fn renames() {
    each_time("rename", &[ENOSPC, EIO, EACCES]);
}

#[test]
fn opens() {
    each_time("open", &[ENOSPC, EIO, EACCES, EINTR]);
}

#[test]
fn folders() {
    each_time("mkdir", &[ENOSPC, EIO, EACCES]);
}
