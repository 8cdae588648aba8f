//! The files of `--report`: for programs, for CI systems, and for people, as a browser shows them.

use std::process::Command;

use serde_json::{Value, json};
use update_tool_sim::{Behave, Fault};

use crate::support::browser::Browser;
use crate::support::{Scenario, engine};

fn reporting(scenario: Scenario) -> Scenario {
    scenario.without_engine().args(["--base-image", "scratch", "--output", "oci:image", "--report", "report"])
}

/// With a second hotfix at which the update tool fails.
fn that_fails() -> Scenario {
    reporting(Scenario::new().with_hotfix(2, |hotfix| hotfix.add("x", "y").behave(Behave::Error)))
}

/// With a warning, and names that are markup and more to some readers.
fn with_odd_names() -> Scenario {
    let odd = "repository/<script>alert(1)</script>&\"'`|*_.js";
    let scenario = Scenario::new().with_hotfix(4, |hotfix| hotfix.add(odd, "x").add("bin/README.txt.more", "y"));
    reporting(scenario.with_file("hotfixes/<b>notes.txt", "x"))
}

#[test]
fn report_json_is_as_its_schema_says() {
    let schema = serde_json::from_str(&crate::docs::document("docs/schemas/report.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let check = |scenario: &Scenario, outcome: &str| {
        scenario.apply();
        let report = scenario.report();
        let errors: Vec<String> = schema.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{report}");
        assert_eq!(report["outcome"], outcome);
        report
    };
    let scenario = with_odd_names();
    let report = check(&scenario, "success");
    assert_eq!(report["warnings"], json!(["ignored in hotfixes, being no zip: <b>notes.txt"]));
    let scenario = scenario.args(["--if-changed"]);
    check(&scenario, "unchanged");
    let report = check(&that_fails(), "failure");
    let statuses: Vec<&Value> = report["hotfixes"].as_array().expect("a list").iter().map(|h| &h["status"]).collect();
    assert_eq!(statuses, ["passed", "failed", "skipped"]);
    check(&reporting(Scenario::new().without_hotfixes()), "failure");
    check(&reporting(Scenario::new()).without_credentials(), "failure");
    check(&reporting(Scenario::new().with_tool(|tool| tool.on_current_state = Fault::Error)), "failure");
    for (missing, _) in report.as_object().expect("an object") {
        let mut less = report.clone();
        less.as_object_mut().expect("an object").remove(missing);
        assert!(!schema.is_valid(&less), "{missing}");
    }
}

/// The cases of `junit.xml`, as an independent reader has them: class, name, result, its message and text.
fn cases(scenario: &Scenario) -> Option<Vec<[String; 5]>> {
    let script = "\
import json, sys
from junitparser import JUnitXml
cases = []
for suite in JUnitXml.fromfile(sys.argv[1]):
    for case in suite:
        result = case.result[0] if case.result else None
        cases.append([case.classname, case.name, type(result).__name__, getattr(result, 'message', None) or '', getattr(result, 'text', None) or ''])
print(json.dumps(cases))";
    // Debian's, which has Debian's packages.
    let python =
        ["/usr/bin/python3", "python3"].into_iter().find(|python| Command::new(python).arg("-V").output().is_ok());
    let output = Command::new(python?).args(["-c", script]).arg(scenario.path("report/junit.xml")).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named 'junitparser'") {
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn junit_xml_is_read_by_others() {
    let scenario = with_odd_names();
    scenario.apply().succeeds();
    let Some(found) = cases(&scenario) else {
        engine::skip("no junitparser is here (Debian: python3-junitparser)");
        return;
    };
    let results = |class: &str, cases: &[[String; 5]]| -> Vec<String> {
        let of_class = cases.iter().filter(|case| case[0] == class);
        of_class.map(|case| format!("{} {}", case[1].split(' ').next().expect("a word"), case[2])).collect()
    };
    assert_eq!(results("hotfix.hotfixes", &found), ["1 NoneType", "2 NoneType", "3 NoneType", "4 NoneType"]);
    assert_eq!(results("hotfix.steps", &found).last().expect("one"), "push-image Skipped");
    let scenario = that_fails();
    scenario.apply().fails(6, "apply-hotfixes");
    let found = cases(&scenario).expect("read before");
    assert_eq!(results("hotfix.hotfixes", &found), ["1 NoneType", "2 Failure", "3 Skipped"]);
    let steps = results("hotfix.steps", &found);
    assert!(steps.contains(&"apply-hotfixes Failure".to_owned()), "{steps:?}");
    let failure = found.iter().find(|case| case[1] == "apply-hotfixes").expect("there");
    assert!(failure[3].contains("hotfix 2") && failure[4].contains("next: "), "{failure:?}");
    assert!(
        failure[4].contains("it said:\nerror: the hotfix fails in the middle"),
        "the end of its output: {}",
        failure[4]
    );
}

/// A tool that prints what terminals take for commands, and what XML has no way to write.
#[test]
fn what_the_tool_prints_harms_no_reader() {
    let said = r#"[ $1 = current-state ] && exit 0
printf '\033[31mred\033]0;title\007 \000\001 \357\277\276\357\277\277 </failure>]]>\n'
exit 9
"#;
    let scenario = reporting(Scenario::new().with_script(said));
    scenario.apply().fails(6, "apply-hotfixes");
    let summary = scenario.text("report/summary.md");
    assert!(summary.contains("red"), "{summary}");
    assert!(!summary.contains(|c: char| c.is_control() && c != '\n'), "{summary:?}");
    let Some(found) = cases(&scenario) else {
        engine::skip("no junitparser is here (Debian: python3-junitparser)");
        return;
    };
    let failure = found.iter().find(|case| case[1] == "apply-hotfixes").expect("there");
    assert!(failure[4].contains("red") && failure[4].contains("\u{fffd}\u{fffd} </failure>]]>"), "{failure:?}");
}

/// Nobody takes the report of the run before for that of one that could not begin.
#[test]
fn a_run_that_cannot_begin_has_a_report_too() {
    let scenario = reporting(Scenario::new());
    scenario.apply().succeeds();
    let reports = |scenario: &Scenario| {
        let report = scenario.report();
        let junit = scenario.text("report/junit.xml");
        (report["outcome"].clone(), report["exit_code"].clone(), junit.contains("command line: "))
    };
    let failed = (json!("failure"), json!(2), true);
    let words = scenario.apply_arguments();
    for more in [&["--through", "x"][..], &["--no-such-option"]] {
        scenario.apply().succeeds();
        let more = more.iter().map(ToString::to_string).collect();
        scenario.run(&[words.clone(), more].concat()).fails_with(2);
        assert_eq!(reports(&scenario), failed);
    }
    scenario.apply().succeeds();
    let scenario = scenario.env("HOTFIX_REPORT", "report");
    scenario.run(&["apply", "--through", "x"]).fails_with(2);
    assert_eq!(reports(&scenario), failed);
    assert!(scenario.text("report/summary.md").contains("failed with exit code 2"));
    // What makes no image has none.
    let scenario = Scenario::new().env("HOTFIX_REPORT", "report");
    scenario.run(&["plan", "--through", "x"]).fails_with(2);
    scenario.run(&["apply", "--dry-run", "--through", "x"]).fails_with(2);
    assert!(!scenario.path("report").exists());
    // In the form in which the log is wanted.
    let scenario = Scenario::new().env("HOTFIX_LOG_FORMAT", "json");
    let run = scenario.run(&["apply", "--through", "x", "a", "b"]);
    assert!(run.code == Some(2) && serde_json::from_str::<Value>(&run.stderr).is_ok(), "{}", run.stderr);
}

/// Of what was not applied there is nothing to count, and a table belongs to no list before it.
#[test]
fn the_summary_of_what_was_not_done() {
    let scenario = reporting(Scenario::new());
    let tables_stand_alone = |summary: &str| {
        let heads = ["| hotfix |", "| step |"].map(|head| format!("\n\n{head}"));
        assert!(heads.iter().all(|head| summary.contains(head)), "{summary}");
    };
    scenario.apply().succeeds();
    tables_stand_alone(&scenario.text("report/summary.md"));
    for (options, title) in [
        (&["--if-changed"][..], "unchanged"),
        (&["--report-only-changes"], "unchanged"),
        (&["--report-only-changes", "--label", "a=1"], "changed, nothing made"),
    ] {
        scenario
            .run(&[scenario.apply_arguments(), options.iter().map(ToString::to_string).collect()].concat())
            .succeeds();
        let summary = scenario.text("report/summary.md");
        assert!(summary.starts_with(&format!("# wso2am 4.1.0.10: {title}\n\n")), "{summary}");
        assert!(summary.contains("| 1 | wso2am-4.1.0.10-hf-1.zip | – | – | – |\n"), "{summary}");
        tables_stand_alone(&summary);
    }
    let failed = that_fails();
    failed.apply().fails(6, "apply-hotfixes");
    let summary = failed.text("report/summary.md");
    assert!(
        summary.contains("hf-2.zip | **failed** | – | – |\n") && summary.contains("hf-3.zip | – | – | – |"),
        "{summary}"
    );
    tables_stand_alone(&summary);
}

#[test]
fn report_html_works_in_a_browser() {
    let scenario = with_odd_names();
    scenario.apply().succeeds();
    for (width, height) in [(390, 844), (1280, 900)] {
        let Some(browser) = Browser::start(width, height) else { return };
        browser.open(&scenario.path("report/report.html"));
        assert_eq!(browser.run("return document.querySelector('h1 .badge').textContent"), "success");
        // Each step that ran has a bar, in the order in which they ran.
        let bars = "return [...document.querySelectorAll('#timeline svg')].map((svg) => svg.querySelector('.passed')?.getBoundingClientRect().left ?? null)";
        let bars: Vec<Option<f64>> = serde_json::from_value(browser.run(bars)).expect("numbers");
        let ran: Vec<f64> = bars.iter().copied().flatten().collect();
        assert!((bars.len(), ran.len()) == (8, 7) && ran.is_sorted(), "{bars:?}");
        assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true, "{width}");
        let shown = "return [...document.querySelectorAll('details')].map((block) => [!block.hidden, [...block.querySelectorAll('li')].filter((file) => file.checkVisibility()).length])";
        assert_eq!(browser.run(shown), json!([[true, 0], [true, 0], [true, 0], [true, 0]]));
        browser.type_into(".filter", "README");
        assert_eq!(browser.run(shown), json!([[true, 1], [false, 0], [false, 0], [true, 1]]));
        // On a page that is scrolled to its end, and in the dark, too.
        let (said, fetched) = browser.said_and_fetched();
        assert_eq!(said, Vec::<String>::new());
        assert!(!fetched.is_empty() && fetched.iter().all(|address| address.starts_with("file:")), "{fetched:?}");
        assert!(browser.picture().len() > 10_000);
    }
}

#[test]
fn report_html_tells_what_failed() {
    let scenario = that_fails();
    scenario.apply().fails(6, "apply-hotfixes");
    let Some(browser) = Browser::start(800, 800) else { return };
    browser.open(&scenario.path("report/report.html"));
    let error = browser.run("return document.querySelector('.error').textContent");
    let error = error.as_str().expect("text");
    assert!(error.starts_with("apply-hotfixes, exit code 6") && error.contains("Next: "), "{error}");
    assert_eq!(browser.run("return document.querySelectorAll('#timeline .failed').length"), 1);
    assert_eq!(browser.run("return document.querySelectorAll('details[open]').length"), 1);
}
