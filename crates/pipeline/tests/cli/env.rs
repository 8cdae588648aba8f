//! Environments, by a real registry: which runs what, which hotfixes are where, and what the ledger keeps.

use serde_json::Value;

use crate::support::Scenario;
use crate::support::estate::{ENVIRONMENTS, Estate};
use crate::support::http::Server;

/// What a hotfix's row says, environment by environment.
fn states(status: &Value, hotfix: &str) -> Vec<String> {
    let rows = status["hotfixes"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["hotfix"] == hotfix).unwrap_or_else(|| panic!("no {hotfix} in {status}"));
    let places = row["environments"].as_array().expect("a list");
    places.iter().map(|place| place["state"].as_str().expect("text").to_owned()).collect()
}

fn versions(status: &Value) -> Vec<String> {
    let rows = status["environments"].as_array().expect("a list");
    let shown = |row: &Value| {
        let plus = if row["unsolved"] == true { "+" } else { "" };
        format!("{}{plus}", row["version"].as_str().unwrap_or("-"))
    };
    rows.iter().map(shown).collect()
}

/// The same pack with another first hotfix.
fn other_fix() -> Scenario {
    let scenario = Scenario::empty().without_engine().with_pack(|pack| pack);
    scenario.with_hotfix(1, |hotfix| hotfix.add("other.txt", "another fix"))
}

#[test]
fn where_the_hotfixes_are() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(0, &["dev"]);
    estate.deploy(1, &["qa"]);
    estate.deploy(2, &["preprod", "prod"]);
    let status = estate.json("status");
    assert_eq!(versions(&status), ["4.1.0.10", "4.1.0.10-hf1+", "4.1.0.10-hf2+", "4.1.0.10-hf2+"]);
    assert_eq!(states(&status, "wso2am-4.1.0.10/hf-1"), ["missing", "applied", "applied", "applied"]);
    assert_eq!(states(&status, "wso2am-4.1.0.10/hf-2"), ["missing", "missing", "applied", "applied"]);
    assert_eq!(status["environments"][3]["digest"], estate.digest("prod").as_str());
    let run = estate.env("status");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for line in [
        "environment        version               digest        since  by",
        "prod (production)  wso2am 4.1.0.10-hf2+  ",
        "wso2am-4.1.0.10/hf-2  missing  missing  applied  applied",
        "dev lacks wso2am-4.1.0.10/hf-1, which prod holds",
        "qa lacks wso2am-4.1.0.10/hf-2, which prod holds",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{}", run.stdout);
    }
    assert!(!run.stdout.contains('\u{1b}'));
    assert!(estate.env("status --color always").stdout.contains("\u{1b}[31mwso2am 4.1.0.10-hf2+\u{1b}[0m"));
    assert_eq!(estate.env("status --check").code, Some(11));
}

#[test]
fn where_all_is_as_it_should_be_the_check_passes() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &ENVIRONMENTS);
    assert_eq!(estate.env("status --check").succeeds().stdout.matches("applied").count(), 8);
    // Pre-production is ahead of production.
    estate.deploy(3, &["preprod"]);
    let run = estate.env("status --check");
    assert_eq!(run.code, Some(11));
    assert!(
        run.stdout.contains("preprod (4.1.0.10-hf3) is not synchronized with prod (4.1.0.10-hf2)"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_hotfix_of_the_same_number_and_another_content_is_another() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &ENVIRONMENTS);
    estate.deploy_from(&other_fix(), 1, &["qa"]);
    let status = estate.json("status");
    assert_eq!(states(&status, "wso2am-4.1.0.10/hf-1"), ["applied", "other", "applied", "applied"]);
    assert_eq!(status["drift"][0], "qa has another wso2am-4.1.0.10/hf-1 than prod");
}

#[test]
fn solved_is_only_what_is_everywhere() {
    let Some(estate) = Estate::new() else { return };
    let hotfix = "wso2am-4.1.0.10/hf-1";
    estate.deploy(1, &["qa", "preprod", "prod"]);
    // Development is at a later level, without hotfixes.
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["dev"]);
    let run = estate.env(&format!("solve {hotfix}"));
    assert_eq!(run.code, Some(11), "{}", run.stderr);
    run.says(&format!("error: {hotfix} is not everywhere: dev (4.1.0.20) lacks it")).says("hotfix env fixed-in");
    estate.env(&format!("fixed-in {hotfix} 30")).succeeds();
    assert_eq!(states(&estate.json("status"), hotfix)[0], "missing", "level 20 is before 30");
    estate.env(&format!("fixed-in {hotfix} 15 --actor jo")).succeeds();
    let status = estate.json("status");
    assert_eq!(states(&status, hotfix), ["included", "applied", "applied", "applied"]);
    assert_eq!(versions(&status), ["4.1.0.20", "4.1.0.10-hf1+", "4.1.0.10-hf1+", "4.1.0.10-hf1+"]);
    estate.env(&format!("solve {hotfix} --reason done --actor jo")).succeeds();
    let status = estate.json("status");
    assert_eq!(versions(&status), ["4.1.0.20", "4.1.0.10-hf1", "4.1.0.10-hf1", "4.1.0.10-hf1"]);
    assert_eq!(estate.env("status --check").code, Some(0));
    let history = estate.env("history").succeeds().stdout;
    let lines: Vec<&str> = history.lines().filter_map(|line| line.split_once("  ")).map(|(_, rest)| rest).collect();
    let expected = [format!("jo: {hotfix} is fixed in update level 15"), format!("jo: {hotfix} is solved: done")];
    assert_eq!(lines[1..], expected, "{history}");
    estate
        .env(&format!("fixed-in {hotfix} 10"))
        .fails_with(2)
        .says("level 10 cannot hold the fix of wso2am-4.1.0.10/hf-1");
}

#[test]
fn opinions_are_of_what_runs_now() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    estate.env("verify --env preprod --result pass").succeeds();
    estate.env("approve --env preprod --reason tested --actor ann").succeeds();
    estate.env("reject --env preprod --reason slow --actor bob").succeeds();
    let records = estate.json("history --env preprod");
    let records = records.as_array().expect("a list");
    let acts: Vec<_> = records.iter().map(|record| record["act"].as_str().expect("text")).collect();
    assert_eq!(acts, ["verified", "approved", "rejected"]);
    for record in records {
        assert_eq!(record["digest"], estate.digest("preprod").as_str());
    }
    assert_eq!((&records[0]["result"], &records[1]["reason"]), (&Value::from("pass"), &Value::from("tested")));
    assert_eq!(records[2]["actor"]["name"], "bob");
    assert_eq!(records[2]["actor"]["declared-by"], "option");
    assert_eq!(estate.json("history --env prod"), Value::Array(Vec::new()));
    let run = estate.env("approve --env prod --reason x").fails_with(4);
    run.says("error: the environment prod runs nothing: there is no ").says("push an image with that tag first");
    estate
        .env("approve --env prd --reason x")
        .fails_with(2)
        .says("there is no environment 'prd'")
        .says("did you mean 'prod'?");
}

/// How many environments there are where they are many.
const MANY: usize = 20;

#[test]
fn what_did_not_change_is_not_read_again() {
    let Some(estate) = Estate::new() else { return };
    let proxy = Server::in_front_of(&estate.registry.host, |_| None);
    let names: Vec<String> = (1..=MANY).map(|number| format!("e{number}")).collect();
    for name in &names {
        estate.deploy_with(&["--label", &format!("of={name}")], 1, &[name]);
    }
    let table =
        |name: &String| format!("[[environments]]\nname = \"{name}\"\nimage = \"{}/team/am:{name}\"\n", proxy.host);
    let text: String = names.iter().map(table).collect();
    std::fs::write(estate.scenario.path("environments.toml"), format!("{text}production = true\n")).expect("written");
    let asked = |words: &str| {
        let before = proxy.requests().len();
        estate.env(words).succeeds();
        let requests = proxy.requests();
        let of = |method: &str, part: &str| {
            let is_it = |line: &&String| line.starts_with(&format!("{method} /v2/team/am/{part}"));
            requests[before..].iter().filter(is_it).count()
        };
        (of("GET", "manifests/"), of("GET", "blobs/"), of("HEAD", "manifests/"))
    };
    // The ledger's tag is asked for as well, and is not there.
    assert_eq!(asked("status"), (MANY + 1, MANY, 0), "a manifest and a configuration each");
    assert_eq!(asked("status"), (1, 0, MANY));
    estate.deploy(2, &["e7"]);
    assert_eq!(asked("status"), (2, 1, MANY));
    assert_eq!(asked("status --no-cache"), (MANY + 1, MANY, 0));
}

#[test]
fn one_registry_that_fails_hides_nothing_of_the_others() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &ENVIRONMENTS);
    let server = Server::start(|_| crate::support::http::Answer::new(503));
    let text =
        estate.scenario.text("environments.toml").replace(&estate.tag("qa"), &format!("{}/team/am:qa", server.host));
    std::fs::write(estate.scenario.path("environments.toml"), text).expect("written");
    let run = estate.env("status --check --html status.html").fails_with(9);
    assert!(run.stdout.contains("wso2am-4.1.0.10/hf-1  applied  ?   applied  applied"), "{}", run.stdout);
    assert!(run.stdout.contains("qa                 (cannot be read)"), "{}", run.stdout);
    run.says(&format!("error: cannot look at {}/team/am:qa", server.host)).says("503");
    assert!(estate.scenario.text("status.html").contains("cannot be read"));
    let rows = estate.json("status")["environments"].clone();
    let problem = rows[1]["problem"].as_str().expect("text");
    assert!(problem.contains("503") && rows[0]["problem"].is_null(), "{rows}");
    estate.env("solve wso2am-4.1.0.10/hf-1").fails_with(9).says("cannot look at");
}

#[test]
fn what_was_called_solved_and_is_lacking_is_told() {
    let Some(estate) = Estate::new() else { return };
    let hotfix = "wso2am-4.1.0.10/hf-1";
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &ENVIRONMENTS);
    estate.env(&format!("fixed-in {hotfix} 15")).succeeds();
    estate.env(&format!("solve {hotfix}")).succeeds();
    let run = estate.env("status --check").succeeds();
    assert!(!run.stdout.contains("hf-1"), "{}", run.stdout);
    // The vendor was wrong.
    estate.env(&format!("fixed-in {hotfix} 30")).succeeds();
    let run = estate.env("status --check");
    assert_eq!(run.code, Some(11), "{}", run.stderr);
    assert!(run.stdout.contains(&format!("prod lacks {hotfix}, which was called solved")), "{}", run.stdout);
    assert_eq!(states(&estate.json("status"), hotfix), ["missing"; 4]);
}

#[test]
fn a_level_that_production_has_is_a_fix_that_others_lack() {
    let Some(estate) = Estate::new() else { return };
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["preprod", "prod"]);
    estate.deploy(0, &["dev"]);
    estate.deploy(1, &["qa"]);
    estate.env("fixed-in wso2am-4.1.0.10/hf-1 15").succeeds();
    let drift = estate.json("status")["drift"].clone();
    assert_eq!(drift, serde_json::json!(["dev lacks wso2am-4.1.0.10/hf-1, which prod holds"]));
}

#[test]
fn wrong_settings_are_told_with_their_place() {
    let Some(estate) = Estate::new() else { return };
    let scenario = &estate.scenario;
    scenario.run(&["env", "status", "--environments", "none.toml"]).fails_with(4).says("error: cannot read none.toml");
    std::fs::write(scenario.path("wrong.toml"), "[[environments]]\nnme = \"x\"\n").expect("written");
    let run = scenario.run(&["env", "status", "--environments", "wrong.toml"]).fails_with(2);
    run.says("error: wrong.toml:2:1: unknown key 'nme'").says("next: did you mean 'name'?");
    let run = estate.env("fixed-in wso2am/1 3").fails_with(2);
    run.says("invalid value 'wso2am/1' for '<HOTFIX>': expected <product>-<version>.<level>/hf-<n>");
    estate.env("history --ledger file:").fails_with(2).says("invalid value 'file:' for '--ledger'");
}

#[test]
fn a_registry_that_fails_is_told() {
    let Some(estate) = Estate::new() else { return };
    let server = Server::start(|_| crate::support::http::Answer::new(503));
    let text = format!("[[environments]]\nname = \"x\"\nimage = \"{}/a:b\"\nproduction = true\n", server.host);
    std::fs::write(estate.scenario.path("broken.toml"), text).expect("written");
    let run = estate.scenario.run(&["env", "status", "--environments", "broken.toml"]).fails_with(9);
    run.says(&format!("error: cannot look at {}/a:b", server.host)).says("503");
}

#[test]
fn settings_of_other_commands_are_not_those_of_environments() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    // `env` and `tag` mean something else to `apply`.
    std::fs::write(estate.scenario.path("hotfix.toml"), "env = { A = \"b\" }\ntag = [\"x:y\"]\nactor = \"jo\"\n")
        .expect("written");
    estate.env("verify --env preprod --result pass").succeeds();
    assert_eq!(estate.json("history")[0]["actor"]["name"], "jo");
}

#[test]
fn what_differs_between_two_environments() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev"]);
    estate.deploy(3, &["preprod"]);
    estate.deploy(3, &["prod"]);
    let blobs =
        || estate.registry.requests().iter().filter(|request| request.starts_with("GET /v2/team/am/blobs/")).count();
    let before = blobs();
    let run = estate.env("compare dev preprod").succeeds();
    assert_eq!(blobs() - before, 4, "two configurations and the layers of the hotfixes; no layer of the product");
    let (head, files) = run.stdout.split_once("files, from dev to preprod:\n").expect("files");
    let lines: Vec<&str> = head.lines().collect();
    assert!(lines[0].starts_with("dev: 4.1.0.10-hf1 (") && lines[1].starts_with("preprod: 4.1.0.10-hf3 ("), "{head}");
    assert_eq!(lines[2], "only in preprod: wso2am-4.1.0.10/hf-2, wso2am-4.1.0.10/hf-3");
    // As the report of the run says.
    let arguments = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--output", "oci:again", "--report", "report"];
    estate.scenario.run(&arguments).succeeds();
    let report = estate.scenario.report();
    let mut expected = Vec::new();
    for (number, hotfix) in [(2, &report["hotfixes"][1]), (3, &report["hotfixes"][2])] {
        for (list, sign) in [("changed", '~'), ("added", '+'), ("removed", '-')] {
            let paths = hotfix["files"][list].as_array().expect("a list").iter();
            expected
                .extend(paths.map(|path| (path.as_str().expect("text").to_owned(), format!("{sign} (hf-{number})"))));
        }
    }
    expected.sort();
    let found: Vec<(String, String)> = files
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[1].to_owned(), format!("{} {}", words[0], words[2]))
        })
        .collect();
    assert_eq!(found, expected);
    let back = estate.env("compare preprod dev").succeeds().stdout;
    assert_eq!(back.matches("\n  + ").count(), files.matches("  - ").count());
    assert_eq!(back.matches("\n  - ").count(), files.matches("  + ").count());
    assert!(estate.env("compare preprod prod").succeeds().stdout.ends_with("no files differ\n"));
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["qa"]);
    let run = estate.env("compare qa prod").succeeds();
    assert!(run.stdout.contains("files: they are made from different packs"), "{}", run.stdout);
    estate.env("compare qa nowhere").fails_with(2).says("there is no environment 'nowhere'");
}

#[test]
fn the_status_as_a_page() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev"]);
    estate.deploy(2, &["prod"]);
    estate.env("status --html status.html").succeeds();
    let page = estate.scenario.text("status.html");
    for part in [
        "4.1.0.10-hf2+",
        "wso2am-4.1.0.10/hf-2 in dev: missing",
        "wso2am-4.1.0.10/hf-2 in prod: applied",
        ">nothing</td>",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // Nothing is fetched, and nothing runs.
    for part in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(part), "{part}");
    }
    estate.env("status --html nowhere/status.html").fails_with(4).says("cannot write nowhere/status.html");
}

#[test]
fn what_others_wrote_fools_no_terminal() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy_with(&["--label", "x=y"], 1, &["dev", "prod"]);
    let file = "ledger.jsonl";
    let reason = "fine\u{1b}[2Jand\u{202e}gone";
    estate
        .scenario
        .run(&["env", "approve", "--env", "dev", "--reason", reason, "--ledger", "file:ledger.jsonl"])
        .succeeds();
    let shown = estate.env(&format!("history --ledger file:{file}")).succeeds().stdout;
    assert!(shown.contains("fine\\u{1b}[2Jand\\u{202e}gone"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
}

#[test]
fn a_hotfix_ends_in_a_later_version() {
    let Some(estate) = Estate::new() else { return };
    let hotfix = "wso2am-4.1.0.10/hf-1";
    estate.deploy(1, &["qa", "preprod", "prod"]);
    let later =
        Scenario::empty().without_engine().with_pack(|_| update_tool_sim::PackBuilder::new("wso2am", "4.2.0").level(1));
    estate.deploy_from(&later, 0, &["dev"]);
    assert_eq!(states(&estate.json("status"), hotfix)[0], "elsewhere");
    assert_eq!(estate.env("status --check").code, Some(11));
    estate.env(&format!("fixed-in {hotfix} 4.2.0.2")).succeeds();
    assert_eq!(states(&estate.json("status"), hotfix)[0], "elsewhere");
    estate.env(&format!("fixed-in {hotfix} 4.2.0.1")).succeeds();
    assert_eq!(states(&estate.json("status"), hotfix)[0], "included");
    estate.env("status --check").succeeds();
    estate.env(&format!("solve {hotfix}")).succeeds();
    assert!(estate.env("history").stdout.contains("is fixed in 4.2.0, update level 1"));
    estate.env(&format!("fixed-in {hotfix} 4.2")).fails_with(2).says("expected an update level such as 15");
}

#[test]
fn what_was_rejected_and_runs_is_told() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["dev"]);
    estate.env("reject --env dev --reason burns --actor eve").succeeds();
    let status = estate.env("status").succeeds().stdout;
    assert!(status.contains("to be known:\n  dev runs what was rejected: eve rejected it: burns"), "{status}");
}
