//! The command line itself: what it refuses, and what `plan` and help say.

use crate::support::Scenario;

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_was_expected() {
    let scenario = Scenario::new();
    let pack = "packs/wso2am-4.1.0.10.zip";
    for (arguments, words) in [
        (vec![], "Usage: hotfix"),
        (vec!["frobnicate"], "unrecognized subcommand"),
        (vec!["apply"], "<PACK>"),
        (vec!["apply", pack], "<HOTFIX_DIR>"),
        (vec!["apply", pack, "hotfixes", "--through", "x"], "--through"),
        (vec!["apply", pack, "hotfixes", "--through", "-1"], "-1"),
        (vec!["apply", pack, "hotfixes", "--output", "tar"], "expected docker or oci:DIR"),
        (vec!["apply", pack, "hotfixes", "--chown", "root"], "such as 10001:10001"),
        (vec!["apply", pack, "hotfixes", "--entrypoint", "sh"], "a JSON array of strings"),
        (vec!["apply", pack, "hotfixes", "--env", "X"], "expected KEY=VALUE"),
        (vec!["apply", pack, "hotfixes", "--step-timeout", "0s"], "more than nothing"),
        (vec!["apply", pack, "hotfixes", "--max-unpacked-size", "big"], "--max-unpacked-size"),
        (vec!["apply", pack, "hotfixes", "-q", "-v"], "cannot be used with"),
        (vec!["apply", pack, "hotfixes", "--password-stdin", "--password-file", "x"], "cannot be used with"),
        (vec!["apply", pack, "hotfixes", "--tool-credentials", "magic"], "expected env or flags"),
        (vec!["plan", pack, "hotfixes", "--tga", "x"], "unexpected argument '--tga'"),
        (vec!["inspect"], "<IMAGE>"),
    ] {
        let run = scenario.run(&arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        let lines: Vec<&str> = run.stderr.lines().collect();
        let is_help = arguments.is_empty();
        assert!(is_help || lines.len() == 2 && lines[0].starts_with("error: command line: "), "{}", run.stderr);
        assert!(is_help || lines[1].starts_with("  next: "), "{}", run.stderr);
        assert!(!run.stderr.contains("as a value"), "nobody means a file of that name: {}", run.stderr);
        run.says(words).prints("").leaves_nothing();
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let scenario = Scenario::new();
    for arguments in [["--help"], ["--version"]] {
        let run = scenario.run(&arguments);
        assert_eq!(run.code, Some(0));
        assert!(run.stdout.contains("hotfix") && run.stderr.is_empty());
    }
    assert!(
        scenario.run(&["--help"]).stdout.contains("5 hotfix\nsequence")
            || scenario.run(&["--help"]).stdout.contains("Exit codes:")
    );
}

#[test]
fn a_plan_says_what_apply_would_do_and_writes_nothing() {
    let scenario = Scenario::new().without_credentials().env("DOCKER_HOST", "unix:///nowhere.sock").args([
        "--push",
        "-t",
        "r.example.org/t/am:1",
    ]);
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for line in [
        "Checked:\n  [x] product   wso2am 4.1.0 at update level 10\n  [x] pack      wso2am-4.1.0.10.zip (",
        "  [x] hotfixes  1 wso2am-4.1.0.10-hf-1.zip",
        "                3 wso2am-4.1.0.10-hf-3.zip",
        "To do:\n  [ ] unpack ",
        "  [ ] apply     hotfixes 1 to 3, one by one\n  [ ] image     on eclipse-temurin:11-jdk",
        "  [ ] output    docker",
        "  [ ] tag, push r.example.org/t/am:1",
        "  [ ] the credentials of the update tool\n",
        "  [ ] the right to push\n",
    ] {
        assert!(run.stdout.contains(line), "{line:?} is not in:\n{}", run.stdout);
    }
    run.leaves_nothing();
}

#[test]
fn a_plan_says_where_nothing_may_be_made() {
    let scenario = Scenario::new().args(["--if-changed"]);
    let planned = scenario.plan().stdout;
    assert!(
        planned.contains("[ ] compare   with what the names have; the rest only where something differs\n"),
        "{planned}"
    );
    assert!(planned.contains("[ ] unpack "), "{planned}");
    let planned = scenario.args(["--report-only-changes"]).plan().stdout;
    assert!(planned.contains("[ ] compare   with what the names have, and tell; nothing is made\n"), "{planned}");
    assert!(!planned.contains("[ ] unpack "), "{planned}");
}

#[test]
fn a_dry_run_is_a_plan() {
    let scenario = Scenario::new().args(["--format", "json"]);
    let planned = scenario.plan().stdout;
    let scenario = scenario.args(["--dry-run"]);
    let dry = scenario.apply();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("one JSON document");
    let (mut plan, mut dry_plan) = (json(&planned), json(&dry.stdout));
    for plan in [&mut plan, &mut dry_plan] {
        // Those two depend on the output, which a scenario's apply chooses for itself, and on the moment.
        ["disk_free", "output", "method"].iter().for_each(|key| plan[*key] = serde_json::Value::Null);
    }
    assert_eq!(plan, dry_plan);
    assert_eq!(plan["product"], serde_json::json!({ "name": "wso2am", "version": "4.1.0", "update_level": 10 }));
    assert_eq!(plan["tags"], serde_json::json!(["wso2am:4.1.0.10-hf3"]));
    dry.leaves_nothing();
}

#[test]
fn a_plan_says_that_it_writes_no_report_to_whoever_asked_for_one_now() {
    let words = "--report is not written by a plan";
    let scenario = Scenario::new().args(["--report", "report"]);
    let run = scenario.plan().says(words).leaves_nothing();
    assert_eq!(run.code, Some(0));
    let scenario = scenario.args(["--dry-run"]);
    assert_eq!(scenario.apply().says(words).leaves_nothing().code, Some(0));
    assert!(!scenario.path("report").exists());
    let elsewhere = Scenario::new().env("HOTFIX_REPORT", "report");
    assert_eq!(elsewhere.plan().does_not_say(words).code, Some(0));
    let elsewhere = Scenario::new().with_file("hotfix.toml", "report = 'report'");
    assert_eq!(elsewhere.plan().does_not_say(words).code, Some(0));
}

#[test]
fn a_plan_of_bad_inputs_fails_as_apply_would() {
    Scenario::new().with_pack_path("packs/missing.zip").plan().fails(4, "validate-inputs").prints("");
    let run = Scenario::new().without_hotfixes();
    let run = run.plan().fails(5, "validate-sequence").says("good before that: validate-os, validate-inputs\n");
    run.prints("");
    let json = Scenario::new().without_hotfixes().args(["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.plan().stdout).expect("one JSON document");
    assert_eq!((&json["exit_code"], &json["error"]["step"]), (&5.into(), &"validate-sequence".into()));
    Scenario::new().with_pack(|pack| pack.without_tool()).plan().fails(6, "initialize-update-tool").prints("");
}

#[test]
fn stdout_holds_the_references_and_nothing_else_however_much_is_said() {
    for talk in [["-q"].as_slice(), &["-v"], &["-vv", "--color", "always"]] {
        let scenario = Scenario::new().args(["-t", "a:1", "-t", "b/c:2", "-t", "a:1"]).args(talk.iter().copied());
        scenario.apply().succeeds().prints("a:1\nb/c:2\n");
    }
}

#[test]
fn quiet_says_nothing_where_nothing_is_wrong() {
    let run = Scenario::new().args(["-q"]);
    assert_eq!(run.apply().succeeds().stderr, "");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    Scenario::new().apply().succeeds().does_not_say("\u{1b}");
    Scenario::new().args(["--color", "always"]).apply().succeeds().says("\u{1b}");
    Scenario::new().without_hotfixes().args(["--color", "always"]).apply().says("\u{1b}[1;31merror:");
}

/// Who looks for what is set where is told no more than that.
#[test]
fn a_verbose_run_tells_what_is_set_where() {
    let scenario = Scenario::new().env("HOTFIX_OFFLINE", "true").args(["-v"]);
    let run = scenario.apply().succeeds();
    let run = run.says("--offline is set by HOTFIX_OFFLINE").says("the product is in the workspace mode=");
    run.does_not_say("is set by UPDATE_TOOL").does_not_say(" { ");
}

#[test]
fn a_json_log_is_json_to_the_last_line() {
    let good = Scenario::new().args(["--log-format", "json", "-v"]).apply().succeeds().stderr;
    let bad = Scenario::new().without_hotfixes().args(["--log-format", "json"]).apply().stderr;
    for line in good.lines().chain(bad.lines()) {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert!(bad.contains("error: validate-sequence: there is no hotfix"), "{bad}");
    let failing = Scenario::new().with_pack_path("packs/missing.zip").args(["--log-format", "json"]).apply().stderr;
    let last: serde_json::Value = serde_json::from_str(failing.lines().last().expect("one")).expect("JSON");
    assert_eq!(last["fields"]["causes"], "No such file or directory (os error 2)");
    assert_eq!(last["fields"]["hint"], "give the path of the product pack, a zip");
}

#[test]
fn inspect_of_what_is_none_of_ours() {
    let scenario = Scenario::new();
    let inspect = |image: &str, code| {
        let run = scenario.run(&["inspect", image]);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        run.prints("")
    };
    inspect("oci:missing", 4).says("there is no image oci:missing");
    inspect("NO GOOD", 2).says("the name of the image cannot be used");
    inspect("127.0.0.1:1/x:y", 9).says("its registry cannot be asked");
}

#[test]
fn an_answer_that_nobody_got_is_no_success() {
    let scenario = Scenario::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there on Linux");
    let mut plan = std::process::Command::new(env!("CARGO_BIN_EXE_hotfix"));
    plan.args(["plan", "packs/wso2am-4.1.0.10.zip", "hotfixes"]).current_dir(scenario.path("")).stdout(full);
    let output = plan.output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: the answer could not be written to standard output"), "{stderr}");
}

#[test]
fn an_empty_tmpdir_says_nothing() {
    let scenario = Scenario::new().env("TMPDIR", "").args(["--through", "1"]);
    let plan = scenario.plan();
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    scenario.apply().succeeds();
    let made = std::fs::read_dir(scenario.path("")).expect("there").filter_map(Result::ok);
    assert!(!made.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("hotfix-")));
}

#[test]
fn arguments_are_shown_together_in_their_order() {
    let run = Scenario::empty().run(&["apply", "--help"]).stdout.clone();
    let (_, arguments) = run.split_once("\nArguments:\n").expect("there");
    let arguments = arguments.lines().take_while(|line| line.is_empty() || line.starts_with(' '));
    let arguments = arguments.map(str::trim).filter(|line| line.starts_with(['<', '[']));
    assert_eq!(arguments.collect::<Vec<_>>(), ["<PACK>", "<HOTFIX_DIR>", "[USERNAME]", "[PASSWORD]"], "{run}");
}
