//! What `hotfix migrate` says at its end: configuration that went with the hotfixes, and how it comes back.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

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
    assert!(answer.contains("careful: what the hotfixes themselves had changed in these files comes back"), "{answer}");
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

/// The report, as its schema says, with the first line of its summary.
fn report_of(installed: &Installed) -> (Value, String) {
    let schema = serde_json::from_str(&crate::docs::document("docs/schemas/report.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let report = installed.scenario.report();
    let errors: Vec<String> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{report}");
    let summary = installed.scenario.text("report/summary.md");
    (report, summary.lines().next().expect("a title").to_owned())
}

/// Name and status of each step.
fn steps(report: &Value) -> Vec<String> {
    let text = |step: &Value| format!("{} {}", step["name"], step["status"]).replace('"', "");
    report["steps"].as_array().expect("a list").iter().map(text).collect()
}

#[test]
fn a_report_is_written_also_without_an_image() {
    let installed = Installed::new().with_hotfixes(1);
    installed.run(&format!("{MIGRATE} --report report")).succeeds();
    let (report, title) = report_of(&installed);
    assert_eq!((&report["outcome"], title.as_str()), (&json!("success"), "# wso2am 4.1.0.20: migrated"));
    let product = json!({ "name": "wso2am", "version": "4.1.0", "update_level": 20 });
    assert_eq!([&report["product"], &report["pack"], &report["image"]], [&product, &Value::Null, &Value::Null]);
    let own =
        ["validate-os", "validate-inputs", "back-up", "initialize-update-tool", "revert-hotfixes", "update-product"];
    assert_eq!(
        steps(&report),
        own.map(|step| match step {
            // Nothing of it is a step of its own where all is well.
            "validate-inputs" => format!("{step} skipped"),
            _ => format!("{step} passed"),
        })
    );
    let page = installed.scenario.text("report/report.html") + &installed.scenario.text("report/junit.xml");
    assert!(page.contains("wso2am 4.1.0.20") && !page.contains("extract-pack"), "{page}");
    // Where it is there already.
    installed.run(&format!("{MIGRATE} --report report")).succeeds();
    let (report, title) = report_of(&installed);
    assert_eq!((&report["product"], title.as_str()), (&product, "# wso2am 4.1.0.20: nothing to do"));
}

#[test]
fn a_report_says_where_a_product_is_that_did_not_get_there() {
    let installed = Installed::new().with_hotfixes(1);
    for image in ["", " --base-image scratch --output oci:image --tag x:1"] {
        let run = installed.run(&format!("migrate HOME --to-level 16 --report report{image}")).fails_with(6);
        run.says("error: update-product: ");
        let (report, title) = report_of(&installed);
        assert_eq!((&report["product"]["update_level"], &report["pack"]), (&json!(10), &Value::Null));
        assert_eq!(title, "# wso2am 4.1.0.10: failed");
        assert!(steps(&report).contains(&"update-product failed".to_owned()), "{report}");
    }
    installed
        .run("migrate HOME --to-level 20 --report report --base-image oci:nowhere --output oci:image --tag x:1")
        .fails_with(8);
    assert_eq!(report_of(&installed).0["product"]["update_level"], 10);
    assert_eq!(report_of(&installed).0["pack"], Value::Null);
}

#[test]
fn a_report_of_a_migration_with_an_image_has_the_steps_of_both() {
    let installed = Installed::new().with_hotfixes(1);
    let options = "--base-image scratch --output oci:image --tag x:1 --report report";
    installed.run(&format!("{MIGRATE} {options}")).succeeds();
    let (report, title) = report_of(&installed);
    assert_eq!(
        (title.as_str(), &report["image"]["tags"]),
        ("# wso2am 4.1.0.20: migrated, image built", &json!(["x:1"]))
    );
    assert_eq!(
        (&report["product"]["update_level"], &report["pack"]["file"]),
        (&json!(20), &json!("wso2am-4.1.0.20.zip"))
    );
    let found = steps(&report);
    let of_image = ["validate-sequence passed", "build-image passed", "push-image skipped"];
    assert_eq!((found[5].as_str(), &found[6..]), ("update-product passed", &of_image.map(str::to_owned)[..]));
    installed.run(&format!("{MIGRATE} {options} --no-cache")).succeeds();
    assert_eq!(report_of(&installed).1, "# wso2am 4.1.0.20: image built");
}
