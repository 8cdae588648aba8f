//! The tool replaces itself and exits 2.

use update_tool_sim::{HotfixBuilder, ToolBehaviour};

use crate::product::with;

#[test]
fn once() {
    let product = with(ToolBehaviour { version: "1.7.15".to_owned(), self_updates: 1, ..ToolBehaviour::default() });
    assert_eq!(product.run(&["version"]), 0, "it does not log in");
    assert_eq!(product.run(&["current-state"]), 2);
    assert_ne!(product.run_bits(), 0, "the run bit stays");
    assert!(!product.home.join("updates/config.json").exists());
    assert_eq!(product.run(&["current-state"]), 0);

    let version = product.output(&["version"]).stdout;
    assert!(String::from_utf8_lossy(&version).contains("1.7.16"));
    let left = std::fs::read_dir(product.home.join("bin")).expect("bin");
    assert!(left.flatten().all(|file| file.path().extension() != Some("new".as_ref())));
}

#[test]
fn several_times_by_any_command_that_logs_in() {
    let product = with(ToolBehaviour { self_updates: 3, ..ToolBehaviour::default() });
    assert_eq!(product.run(&["check"]), 2);
    assert_eq!(product.run(&["revert-hotfix"]), 2);
    assert_eq!(product.run(&["current-state"]), 2);
    assert_eq!(product.run(&["current-state"]), 0);
}

#[test]
fn for_ever() {
    let product = with(ToolBehaviour { self_updates: u32::MAX, ..ToolBehaviour::default() });
    for _ in 0..5 {
        assert_eq!(product.run(&["current-state"]), 2);
    }
}

#[test]
fn losing_the_run_bit() {
    let product = with(ToolBehaviour { self_updates: 1, self_update_loses_run_bit: true, ..ToolBehaviour::default() });
    assert_eq!(product.run(&["current-state"]), 2);
    assert_eq!(product.run_bits(), 0);
    product.set_run_bit();
    assert_eq!(product.run(&["current-state"]), 0);
}

#[test]
fn on_the_first_hotfix_only() {
    let product = with(ToolBehaviour { self_updates: 1, self_update_on_apply: true, ..ToolBehaviour::default() });
    let hotfix = HotfixBuilder::new("wso2am", "4.1.0", 10, 1).add("new.txt", "new").write_to(product.hotfixes());
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(product.apply(&hotfix), 2);
    assert!(!product.home.join("new.txt").exists());
    assert_eq!(product.apply(&hotfix), 0);
    assert!(product.home.join("new.txt").exists());
}
