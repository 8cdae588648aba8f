//! What `hotfix migrate` says at its end: configuration that went with the hotfixes, and how it comes back.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::installed::{Installed, SETTINGS};

const MIGRATE: &str = "migrate HOME --to-level 20 --backup b.tar.zst";
/// Configuration that no update touches.
const LOG_SETTINGS: &str = "repository/conf/my log4j2.properties";

/// With the configuration changed since a hotfix was applied.
fn changed() -> Installed {
    let installed = Installed::new();
    installed.put(LOG_SETTINGS, "level = info\n");
    installed.put("repository/conf/old.xml", "<old/>\n");
    let installed = installed.with_hotfixes(1);
    installed.put(LOG_SETTINGS, "level = debug\n");
    installed.put(SETTINGS, &installed.text(SETTINGS).replace("127.0.0.1", "10.0.0.7"));
    fs::remove_file(installed.path("repository/conf/old.xml")).expect("there");
    installed
}

/// The command that a line of the answer has behind `title`, run by a shell in the scenario's folder.
fn run_line(installed: &Installed, answer: &str, title: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix(title)).unwrap_or_else(|| panic!("{title}: {answer}"));
    let line = line.trim().replace("hotfix restore", &format!("{} restore", env!("CARGO_BIN_EXE_hotfix")));
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", &line]).current_dir(installed.scenario.path("")).output().expect("it starts");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn each_file_has_its_remedy_and_each_command_works() {
    let installed = changed();
    let answer = installed.run(MIGRATE).succeeds().stdout;
    let settings = format!("  {SETTINGS}  (the update has changed it since; yours is in the backup)\n");
    let log_settings = format!("  {LOG_SETTINGS}\n");
    for expected in [&settings, &log_settings, "  repository/conf/old.xml  (you had removed it)\n"] {
        assert!(answer.contains(expected), "{answer}");
    }
    let of_level = installed.text(SETTINGS);
    let shown = run_line(&installed, &answer, "see what differs:");
    assert!(shown.ends_with("1 to be restored, 0 kept, 0 as they are in the backup\n"), "{shown}");
    run_line(&installed, &answer, "put it back:");
    assert_eq!(installed.text(LOG_SETTINGS), "level = debug\n");
    assert_eq!(installed.text(SETTINGS), of_level);
    assert!(run_line(&installed, &answer, "see yours:").contains("10.0.0.7"));
    run_line(&installed, &answer, "remove it again:");
    assert!(!installed.path("repository/conf/old.xml").exists());
}

#[test]
fn for_programs_too() {
    let installed = changed();
    let answer = installed.json(MIGRATE);
    let remedy = |path: &str, remedy: &str| json!({ "path": path, "remedy": remedy });
    let expected = [
        remedy(SETTINGS, "merge"),
        remedy(LOG_SETTINGS, "put-back"),
        remedy("repository/conf/old.xml", "remove-again"),
    ];
    assert_eq!(answer["taken_back"], json!(expected));
    assert_eq!(answer["later_backups"], json!([]));
}

#[test]
fn nothing_is_said_of_a_backup_that_has_it_not() {
    for words in ["--exclude repository/conf", "--exclude repository/conf --include repository/logs"] {
        let installed = changed();
        let answer = installed.run(&format!("{MIGRATE} {words}")).succeeds().stdout;
        assert!(answer.contains(&format!("  {LOG_SETTINGS}  (yours is in no backup)\n")), "{answer}");
        assert!(!answer.contains("put it back") && !answer.contains("see yours"), "{answer}");
    }
    let installed = changed();
    let words = "migrate HOME --to-level 20 --no-backup a-snapshot-of-the-disk";
    let answer = installed.run(words).succeeds().stdout;
    assert!(answer.contains(&format!("  {SETTINGS}  (yours is in no backup)\n")), "{answer}");
}

#[test]
fn a_product_that_has_moved_is_told_of_also_where_its_image_fails() {
    let installed = Installed::new().with_hotfixes(1);
    let options = "--base-image scratch --output oci:image --tag x:1 --report report";
    // The tool leaves there what no image can have, so that it is seen only afterwards.
    installed.set_tool(|tool| {
        let level = tool.updates.last_mut().expect("one to level 20");
        level.files.push(update_tool_sim::FileUpdate {
            path: "bin/.wh.token".to_owned(),
            from: None,
            to: Some("x".to_owned()),
        });
    });
    let run = installed.run(&format!("{MIGRATE} {options}")).fails_with(8);
    let run = run.says("the product itself is at level 20 with 0 hotfixes: the same command makes only the image");
    assert!(run.stdout.contains("from level 10 with 1 hotfixes to level 20 with 0 hotfixes\n"), "{}", run.stdout);
    assert!(run.stdout.contains("the backup is ") && !run.stdout.contains("image x:1"), "{}", run.stdout);
    fs::remove_file(installed.path("bin/.wh.token")).expect("there");
    let run = installed.run(&format!("{MIGRATE} {options}")).succeeds();
    assert_eq!(run.stdout, "image x:1\n");
}

#[test]
fn a_report_is_written_also_without_an_image() {
    let installed = Installed::new().with_hotfixes(1);
    installed.run(&format!("{MIGRATE} --report report")).succeeds();
    let report = fs::read_to_string(installed.scenario.path("report/report.json")).expect("written");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["outcome"], "success");
    let passed = |step: &serde_json::Value| step["name"] == "revert-hotfixes" && step["status"] == "passed";
    assert!(report["steps"].as_array().expect("a list").iter().any(passed), "{report}");
}
