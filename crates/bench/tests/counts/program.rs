//! The program itself.

use std::process::Command;

use crate::support::{EXECUTABLE, World, engine};

#[test]
fn a_trial_writes_the_page() {
    // Skipped where there is none: the program would say "not measured", and be right.
    if engine().is_none() {
        return;
    }
    let world = World::new(None);
    let output = Command::new(EXECUTABLE)
        .args(["plan", "memory", "--trial", "--output"])
        .arg(world.path("docs"))
        .arg("--work")
        .arg(world.folder())
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(world.path("docs/benchmarks.md")).expect("it is written");
    for words in ["## Targets", "## The machine", "## To repeat it", "## Peak memory", "## Plan"] {
        assert!(page.contains(words), "{words} is not in:\n{page}");
    }
    let row = page.lines().find(|line| line.starts_with("| peak memory")).expect("a target");
    assert!(row.contains("at most 64.0 MiB") && row.contains("hold"), "{row}");
    let left: Vec<_> = std::fs::read_dir(world.folder()).expect("there").filter_map(Result::ok).collect();
    assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().starts_with("hotfix-bench-")), "{left:?}");
}
