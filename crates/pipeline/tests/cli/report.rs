//! `--report` and `--format json`.

use serde_json::{Value, json};

use crate::support::Scenario;

#[test]
fn a_success_tells_what_was_done() {
    let scenario = Scenario::new().args(["--report", "report", "-t", "x:1"]);
    scenario.apply().succeeds();
    let report = scenario.report();
    assert_eq!(
        (&report["schema"], &report["outcome"], &report["exit_code"], &report["error"]),
        (&json!(1), &json!("success"), &json!(0), &Value::Null)
    );
    assert_eq!(report["product"], json!({ "name": "wso2am", "version": "4.1.0", "update_level": 10 }));
    let pack = std::fs::read(scenario.pack()).expect("there");
    assert_eq!(report["pack"], json!({ "file": "wso2am-4.1.0.10.zip", "sha256": sha256(&pack), "bytes": pack.len() }));
    let counts: Vec<_> = report["hotfixes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|h| [&h["number"], &h["changed"], &h["added"], &h["removed"]].map(|n| n.as_u64().expect("a number")))
        .collect();
    assert_eq!(counts, [[1, 1, 1, 1], [2, 1, 1, 0], [3, 0, 1, 2]]);
    let first = std::fs::read(scenario.path("hotfixes/wso2am-4.1.0.10-hf-1.zip")).expect("there");
    assert_eq!(
        (&report["hotfixes"][0]["sha256"], &report["hotfixes"][0]["bytes"]),
        (&json!(sha256(&first)), &json!(first.len()))
    );
    let steps: Vec<_> = report["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| (s["name"].as_str().expect("text"), s["status"].as_str().expect("text")))
        .collect();
    assert_eq!(
        steps,
        [
            ("validate-os", "passed"),
            ("validate-inputs", "passed"),
            ("validate-sequence", "passed"),
            ("extract-pack", "passed"),
            ("initialize-update-tool", "passed"),
            ("apply-hotfixes", "passed"),
            ("build-image", "passed"),
            ("push-image", "skipped")
        ]
    );
    assert_eq!((&report["image"]["tags"], &report["image"]["base"]), (&json!(["x:1"]), &json!("scratch")));
    assert!(report["image"]["hotfix_layer_bytes"].as_u64().is_some_and(|bytes| bytes > 1024));
    let summary = scenario.text("report/summary.md");
    for words in [
        "# wso2am 4.1.0.10: image built",
        "- image `x:1`",
        "| 3 | wso2am-4.1.0.10-hf-3.zip | 0 | 1 | 2 |",
        "| apply-hotfixes | passed |",
    ] {
        assert!(summary.contains(words), "{words:?} is not in:\n{summary}");
    }
}

#[test]
fn a_failure_tells_why_and_what_next() {
    let scenario = Scenario::new().without_hotfixes().args(["--report", "report"]);
    scenario.apply().fails(5, "validate-sequence");
    let report = scenario.report();
    assert_eq!(
        (&report["outcome"], &report["exit_code"], &report["image"]),
        (&json!("failure"), &json!(5), &Value::Null)
    );
    assert_eq!(report["error"]["step"], "validate-sequence");
    assert!(report["error"]["message"].as_str().is_some_and(|m| m.contains("there is no hotfix in hotfixes")));
    assert!(report["error"]["hint"].as_str().is_some_and(|h| h.contains("--through 0")));
    assert_eq!((&report["steps"][2]["status"], &report["steps"][3]["status"]), (&json!("failed"), &json!("skipped")));
    assert!(scenario.text("report/summary.md").contains("**validate-sequence** failed with exit code 5"));
}

#[test]
fn even_without_a_pack_there_is_a_report() {
    let scenario = Scenario::new().with_pack_path("packs/missing.zip").args(["--report", "report"]);
    scenario.apply().fails(4, "validate-inputs");
    assert_eq!((&scenario.report()["product"], &scenario.report()["exit_code"]), (&Value::Null, &json!(4)));
}

#[test]
fn json_on_stdout_is_the_report() {
    let scenario = Scenario::new().args(["--report", "report", "--format", "json"]);
    let run = scenario.apply().succeeds();
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).expect("one document"), scenario.report());
    let failing = Scenario::new().without_hotfixes().args(["--format", "json"]);
    let run = failing.apply();
    assert_eq!(serde_json::from_str::<Value>(&run.stdout).expect("one document")["exit_code"], 5);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}
