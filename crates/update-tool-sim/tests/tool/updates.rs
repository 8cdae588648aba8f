//! Updates: the command without a name.

use std::fs;

use update_tool_sim::{Fault, HotfixBuilder, ToolBehaviour, Update};

use crate::product::{Product, code, spawn, with};

const README: &str = "bin/README.txt";
const README_TEXT: &str = "How to start the server.\n";

/// Two levels: 15 changes and adds, 20 changes again and deletes.
fn product() -> Product {
    let updates = vec![
        Update::to(15).file(README, Some(README_TEXT), Some("15\n")).file("new/fix.txt", None, Some("fix\n")),
        Update::to(20).file(README, Some("15\n"), Some("20\n")).file("LICENSE.txt", Some("A licence.\n"), None),
    ];
    with(ToolBehaviour { updates, ..ToolBehaviour::default() })
}

fn level(product: &Product) -> String {
    product.config()["update-level"].as_str().expect("text").to_owned()
}

#[test]
fn to_a_level_and_to_the_latest() {
    let product = product();
    assert_eq!(product.run(&["--level", "15"]), 0);
    assert_eq!((level(&product).as_str(), product.read(README).as_str()), ("15", "15\n"));
    assert_eq!(product.read("new/fix.txt"), "fix\n");
    assert_eq!(product.run(&["--level", "17"]), 1);
    assert_eq!(product.run(&[]), 0);
    assert_eq!((level(&product).as_str(), product.read(README).as_str()), ("20", "20\n"));
    assert!(!product.home.join("LICENSE.txt").exists());
    assert_eq!(product.run(&[]), 0, "there is nothing more");
}

#[test]
fn not_with_hotfixes() {
    let product = product();
    let hotfix = HotfixBuilder::new("wso2am", "4.1.0", 10, 1).add("a.txt", "a").write_to(product.hotfixes());
    assert_eq!(product.apply(&hotfix), 0);
    assert_eq!(product.run(&["--level", "15"]), 1);
    assert_eq!(product.run(&["revert-hotfix"]), 0);
    assert_eq!(product.run(&["--level", "15"]), 0);
}

#[test]
fn a_dry_run_changes_nothing_of_the_product() {
    let product = product();
    product.run(&["current-state"]);
    let before = product.read(README);
    assert_eq!(product.run(&["--dry-run"]), 0);
    assert_eq!((level(&product).as_str(), product.read(README)), ("10", before));
}

#[test]
fn a_backup_unless_there_is_to_be_none() {
    let product = product();
    let backup = product.folder.path().join("backup");
    assert_eq!(product.run(&["--level", "15", "--no-backup"]), 0);
    assert!(!product.user_home.join(".wso2-updates/backup").exists());
    assert_eq!(product.run(&["--level", "20", "--backup", backup.to_str().expect("UTF-8")]), 0);
    assert_eq!(fs::read_to_string(backup.join(README)).expect("a backup"), "15\n");
}

#[test]
fn what_the_user_changed_is_for_the_user_to_decide() {
    let product = product();
    fs::write(product.home.join(README), "mine\n").expect("writable");
    assert_eq!(product.run(&["--level", "15"]), 3);
    assert_eq!(product.read(README), "mine\n");
    assert_eq!(product.read("bin/README.txt.original"), README_TEXT);
    assert_eq!(product.read("bin/README.txt.new"), "15\n");
    assert_eq!(level(&product), "10");
    assert_eq!(product.run(&["--level", "15"]), 3, "not without a decision");
    assert_eq!(product.run(&["--continue"]), 3, "not without a decision");
    fs::write(product.home.join("bin/README.txt.final"), "both\n").expect("writable");
    assert_eq!(product.run(&["--continue"]), 0);
    assert_eq!((level(&product).as_str(), product.read(README).as_str()), ("15", "both\n"));
    for kind in ["original", "new", "final"] {
        assert!(!product.home.join(format!("{README}.{kind}")).exists(), "{kind}");
    }
}

#[test]
fn pipelines_can_have_the_vendors_files() {
    let product = product();
    fs::write(product.home.join(README), "mine\n").expect("writable");
    let mut command = product.command(&["--level", "15", "-u", "jo", "-p", "secret"]);
    command.env("WSO2_UPDATES_SKIP_CONFLICTS", "true");
    assert_eq!(code(&spawn(command).wait_with_output().expect("it ends")), 0);
    assert_eq!(product.read(README), "15\n");
}

#[test]
fn it_fails_when_told_to() {
    let product = with(ToolBehaviour { on_update: Fault::Reverted, ..ToolBehaviour::default() });
    assert_eq!(product.run(&[]), 4);
}
