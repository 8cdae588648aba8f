//! The ledger of environments, by a real registry and as a file: what is written is there for good, whoever writes.

use serde_json::Value;

use crate::support::estate::Estate;
use crate::support::http::{Answer, Server};

#[test]
fn a_dry_run_writes_nothing() {
    let Some(estate) = Estate::new() else { return };
    let run = estate.env("fixed-in wso2am-4.1.0.10/hf-1 15 --dry-run").succeeds();
    assert!(run.stdout.contains("is fixed in update level 15"), "{}", run.stdout);
    assert_eq!(estate.env("history").stdout, "nothing\n");
}

#[test]
fn eight_writers_at_once_lose_nothing() {
    let Some(estate) = Estate::new() else { return };
    std::thread::scope(|scope| {
        for writer in 1..=8 {
            let estate = &estate;
            scope.spawn(move || {
                for n in 1..=3 {
                    estate.env(&format!("fixed-in wso2am-4.1.0.10/hf-{writer} {}", 20 + n)).succeeds_beside_others();
                }
            });
        }
    });
    let history = estate.json("history");
    assert_eq!(history.as_array().expect("a list").len(), 24);
    // Whoever comes next has it all from one place.
    estate.env("fixed-in wso2am-4.1.0.10/hf-9 20").succeeds();
    let all = estate.registry.artifact("team/am", "hotfix-ledger");
    assert_eq!(all.lines().count(), 25);
}

#[test]
fn the_ledger_can_be_a_file() {
    let Some(estate) = Estate::new() else { return };
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 15 --ledger file:ledger.jsonl").succeeds();
    let text = estate.scenario.text("ledger.jsonl");
    let record: Value = serde_json::from_str(&text).expect("a line of JSON");
    assert_eq!((&record["schema"], &record["act"]), (&Value::from(1), &Value::from("fixed-in")));
    assert_eq!((&record["hotfix"], &record["level"]), (&Value::from("wso2am-4.1.0.10/hf-1"), &Value::from(15)));
    assert!(!estate.registry.has("team/am", "hotfix-ledger"));
    assert!(estate.env("history --ledger file:ledger.jsonl").succeeds().stdout.contains("update level 15"));
}

#[test]
fn records_are_as_the_schema_says() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    estate.deploy(0, &["dev"]);
    for words in [
        "fixed-in wso2am-4.1.0.10/hf-2 15",
        "verify --env dev --result fail",
        "reject --env dev --reason slow",
        "verify --env preprod --result pass",
        "approve --env preprod --reason good",
        "promote --from preprod --to prod",
        "propagate --from preprod --to dev",
    ] {
        estate.env(&format!("{words} --ledger file:ledger.jsonl")).succeeds();
    }
    estate.deploy(2, &["prod"]);
    estate.env("rollback --env prod --ledger file:ledger.jsonl").succeeds();
    estate.deploy(1, &["qa"]);
    estate.env("solve wso2am-4.1.0.10/hf-1 --ledger file:ledger.jsonl").succeeds();
    let schema: Value = serde_json::from_str(&crate::docs::document("docs/schemas/ledger.schema.json")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let text = estate.scenario.text("ledger.jsonl");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let acts: std::collections::BTreeSet<&str> = records.iter().filter_map(|record| record["act"].as_str()).collect();
    let all =
        ["approved", "begun", "fixed-in", "promoted", "propagated", "rejected", "rolled-back", "solved", "verified"];
    assert_eq!(acts.into_iter().collect::<Vec<_>>(), all);
    for record in records {
        let errors: Vec<String> = schema.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{record}: {errors:?}");
        for missing in ["id", "time", "actor", "act", "schema"] {
            let mut less = record.clone();
            less.as_object_mut().expect("an object").shift_remove(missing);
            assert!(!schema.is_valid(&less), "{less}");
        }
    }
}

/// The file with environments, with the registry behind somebody else.
fn behind(estate: &Estate, server: &Server) {
    let text = estate.scenario.text("environments.toml").replace(&estate.registry.host, &server.host);
    std::fs::write(estate.scenario.path("environments.toml"), text).expect("written");
}

#[test]
fn a_list_of_tags_that_lags_hides_no_record() {
    let Some(estate) = Estate::new() else { return };
    let none =
        |address: &str| address.contains("/tags/list").then(|| Answer::new(200).body(r#"{"name":"a","tags":[]}"#));
    let lagging = Server::in_front_of(&estate.registry.host, move |request| none(&request.address));
    behind(&estate, &lagging);
    for number in 1..=3 {
        estate.env(&format!("fixed-in wso2am-4.1.0.10/hf-{number} 20")).succeeds();
    }
    assert_eq!(estate.json("history").as_array().expect("a list").len(), 3);
}

#[test]
fn a_registry_that_lists_no_tags_is_told() {
    let Some(estate) = Estate::new() else { return };
    let none = |address: &str| address.contains("/tags/list").then(|| Answer::new(404));
    let silent = Server::in_front_of(&estate.registry.host, move |request| none(&request.address));
    behind(&estate, &silent);
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20").succeeds();
    let run = estate.env("history").fails_with(4);
    run.says(&format!("the registry does not list the tags of {}/team/am", silent.host)).says("--ledger file:PATH");
}

#[test]
fn products_in_one_repository_have_histories_of_their_own() {
    let Some(estate) = Estate::with(None, "gate = { soak = \"0s\" }") else { return };
    let other = estate.scenario.text("environments.toml");
    let other = ["dev", "qa", "preprod", "prod"]
        .iter()
        .fold(other, |text, name| text.replace(&format!("am:{name}\""), &format!("am:is-{name}\"")));
    std::fs::write(estate.scenario.path("other.toml"), other).expect("written");
    estate.deploy(1, &["preprod"]);
    estate.deploy(2, &["is-preprod"]);
    estate.env("promote --from preprod --to prod").succeeds();
    let of_other = |words: &str| estate.json(&format!("{words} --environments other.toml"));
    assert_eq!(of_other("history --env prod"), Value::Array(Vec::new()));
    assert_eq!(estate.env("promote --from preprod --to prod --environments other.toml").code, Some(0));
    // One after the other in one ledger.
    assert_eq!(of_other("history").as_array().expect("a list").len(), 2);
    let since = |status: &Value| status["environments"][3]["since"].as_str().map(str::to_owned);
    let (one, two) = (estate.json("status"), of_other("status"));
    assert!(since(&one).is_some() && since(&two).is_some() && since(&one) != since(&two), "{one} {two}");
    assert_eq!(estate.json("history --env prod").as_array().expect("a list").len(), 1);
}

#[test]
fn a_clock_that_is_behind_takes_nothing_back() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    let ledger = "--ledger file:ledger.jsonl";
    estate.env(&format!("approve --env preprod --reason good --actor ann {ledger}")).succeeds();
    // By a clock that is years ahead.
    let mut record: Value = serde_json::from_str(&estate.scenario.text("ledger.jsonl")).expect("JSON");
    record["time"] = "2200-01-01T00:00:00Z".into();
    std::fs::write(estate.scenario.path("ledger.jsonl"), format!("{record}\n")).expect("written");
    let run = estate.env(&format!("reject --env preprod --reason slow --actor bob {ledger}")).succeeds();
    run.says("the clock of this machine is wrong, or that of another one was");
    estate.env(&format!("promote --from preprod --to prod {ledger}")).fails_with(11).says("bob rejected it: slow");
}

#[test]
fn a_record_of_a_newer_hotfix_stops_an_older_one() {
    let Some(estate) = Estate::new() else { return };
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20 --ledger file:ledger.jsonl").succeeds();
    let newer = estate.scenario.text("ledger.jsonl").replace("\"schema\":1", "\"schema\":2");
    std::fs::write(estate.scenario.path("ledger.jsonl"), newer).expect("written");
    let run = estate.env("history --ledger file:ledger.jsonl").fails_with(4);
    run.says("ledger.jsonl:1: a record of a newer hotfix (schema 2; this one knows 1)").says("use the newer hotfix");
}

#[test]
fn eight_promotions_and_writers_at_once_lose_nothing() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["preprod"]);
    let tables = (1..=8)
        .map(|n| format!("[[environments]]\nname = \"live{n}\"\nimage = \"{}\"\n", estate.tag(&format!("live{n}"))));
    let text: String = [estate.scenario.text("environments.toml")].into_iter().chain(tables).collect();
    std::fs::write(estate.scenario.path("environments.toml"), text).expect("written");
    std::thread::scope(|scope| {
        for n in 1..=8 {
            let estate = &estate;
            scope.spawn(move || estate.env(&format!("promote --from preprod --to live{n}")).succeeds_beside_others());
            // These to one environment, all at once.
            scope.spawn(move || estate.env("promote --from preprod --to prod").succeeds_beside_others());
            scope.spawn(move || estate.env(&format!("fixed-in wso2am-4.1.0.10/hf-{n} 20")).succeeds_beside_others());
        }
    });
    let all = (1..=8).map(|n| format!("live{n}")).chain(["prod".to_owned()]);
    for environment in all {
        assert_eq!(estate.registry.digest_of("team/am", &environment), estate.digest("preprod"), "{environment}");
        let history = estate.json(&format!("history --env {environment}"));
        let promoted = history.as_array().expect("a list").iter().filter(|record| record["act"] == "promoted").count();
        assert!(promoted >= 1, "{environment}: {history}");
    }
    let history = estate.json("history");
    let fixed = history.as_array().expect("a list").iter().filter(|record| record["act"] == "fixed-in").count();
    assert_eq!(fixed, 8, "{history}");
}

#[test]
fn a_list_that_is_lost_is_made_again() {
    let Some(estate) = Estate::new() else { return };
    for number in 1..=2 {
        estate.env(&format!("fixed-in wso2am-4.1.0.10/hf-{number} 20")).succeeds();
    }
    estate.registry.lose_artifact("team/am", "hotfix-ledger");
    let run = estate.env("history").succeeds();
    assert_eq!(run.stdout.lines().count(), 2, "{}", run.stdout);
    run.says("the list of all records cannot be read, and is made again from them");
    estate.env("fixed-in wso2am-4.1.0.10/hf-3 20").succeeds();
    assert_eq!(estate.env("history").succeeds().does_not_say("cannot be read").stdout.lines().count(), 3);
}

#[test]
fn a_ledger_with_nothing_in_it_is_told() {
    let Some(estate) = Estate::new() else { return };
    let words = "there is nothing in the ledger";
    estate.env("history").succeeds().says(&format!("{words} {}", estate.tag("hotfix-ledger")));
    estate.env("history --ledger file:typo.jsonl").succeeds().says(&format!("{words} file:typo.jsonl"));
    estate.env("history --ledger file:~/l").fails_with(2).says("~ is not your home here");
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20").succeeds().says("no environment holds wso2am-4.1.0.10/hf-1");
    estate.env("history").succeeds().does_not_say(words);
}

#[test]
fn the_ledger_is_no_environments_tag() {
    let Some(estate) = Estate::new() else { return };
    let run = estate.env(&format!("fixed-in wso2am-4.1.0.10/hf-1 20 --ledger {}", estate.tag("prod"))).fails_with(2);
    run.says("--ledger: the ledger ").says("would be what 'prod' runs");
    assert!(!estate.registry.has("team/am", "prod"));
}

#[test]
fn a_line_break_begins_no_record() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev"]);
    let reason = "ok\n2026-11-26 07:09:26  boss: prod: approved";
    estate.scenario.run(&["env", "approve", "--env", "dev", "--reason", reason, "--actor", "ann\nbob"]).succeeds();
    let history = estate.env("history").succeeds().stdout;
    assert_eq!(history.lines().count(), 1, "{history}");
    assert!(history.contains("ann\\nbob: dev: ") && history.contains("ok\\n2026-11-26"), "{history}");
}

#[test]
fn a_line_that_is_cut_short_is_told() {
    let Some(estate) = Estate::new() else { return };
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20 --ledger file:l.jsonl").succeeds();
    let text = estate.scenario.text("l.jsonl");
    std::fs::write(estate.scenario.path("l.jsonl"), &text[..text.len() - 5]).expect("written");
    estate.env("history --ledger file:l.jsonl").succeeds().says("the last line of l.jsonl is cut short");
    std::fs::write(estate.scenario.path("l.jsonl"), format!("\u{feff}{text}")).expect("written");
    assert!(estate.env("history --ledger file:l.jsonl").succeeds().stdout.contains("update level 20"));
}

#[test]
fn a_dry_run_that_is_set_elsewhere_is_one() {
    let Some(estate) = Estate::new() else { return };
    std::fs::write(estate.scenario.path("hotfix.toml"), "dry-run = true\n").expect("written");
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20").succeeds();
    std::fs::remove_file(estate.scenario.path("hotfix.toml")).expect("there");
    assert_eq!(estate.env("history").stdout, "nothing\n");
}

#[test]
fn the_status_is_shown_without_the_ledger() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev", "prod"]);
    let none = Server::start(|_| Answer::new(503));
    let run = estate.env(&format!("status --ledger {}/a:b", none.host)).fails_with(9);
    assert!(run.stdout.contains("dev                wso2am 4.1.0.10-hf1+"), "{}", run.stdout);
    assert!(run.stdout.contains("the ledger cannot be read: what is solved"), "{}", run.stdout);
    run.says("error: cannot use the ledger ").says("it answered 503 Service Unavailable\n");
}

#[test]
fn a_blob_that_is_missed_for_a_moment_is_no_failure() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let Some(estate) = Estate::new() else { return };
    let missed = AtomicU32::new(0);
    let first = move |request: &crate::support::http::Request| {
        let is_manifest = request.method == "PUT" && request.address.contains("/manifests/");
        (is_manifest && missed.fetch_add(1, Ordering::SeqCst) == 0).then(|| Answer::new(400))
    };
    let proxy = Server::in_front_of(&estate.registry.host, first);
    behind(&estate, &proxy);
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 20").succeeds();
    assert_eq!(estate.json("history").as_array().expect("a list").len(), 1);
}
