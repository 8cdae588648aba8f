//! What must hold of everything that is read, whatever others have written into it.
//!
//! Each module has one `check`, which panics where something does not hold. The tests of this crate call it with what
//! they make and with the seeds in `fuzz/seeds`; the targets in `fuzz` call it with what a fuzzer finds.

pub mod backup;
pub mod config_json;
pub mod hotfix_name;
pub mod pack;
pub mod reference;
pub mod registry_answers;
mod scratch;
pub mod settings;

use hotfix_pipeline::step::Problem;

/// What is said of a problem is there, and fools no terminal; causes are others' words, and are made fit when they are shown.
fn assert_well_said(problem: &Problem) {
    let message = problem.to_string();
    assert!(!message.is_empty() && !problem.hint().is_empty(), "a problem must say what is wrong and what to do next");
    for line in [message.as_str(), problem.hint()] {
        assert!(!line.chars().any(|c| c.is_control() && c != '\n'), "control characters in {line:?}");
    }
}

/// A path from a folder that stays in it.
fn assert_stays_inside(path: &str) {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    assert!(path.split('/').all(is_plain), "{path:?} is no plain path");
    assert!(path.len() <= 4096, "{path:?} is too long");
}
