//! Options from `hotfix.toml` and from the environment.

use crate::support::Scenario;
use crate::support::layout::Layout;
use crate::support::scenario::{PASSWORD, USERNAME};

pub const FILE: &str = "hotfix.toml";

pub fn with_file(text: &str) -> Scenario {
    Scenario::new().with_file(FILE, text)
}

/// The names of the image, which tell who has won.
#[track_caller]
fn tags(scenario: &Scenario) -> Vec<String> {
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let names = run
        .stdout
        .lines()
        .filter_map(|line| line.trim_start_matches("  [ ] ").strip_prefix("tag"))
        .map(|rest| rest.trim_start_matches(", push"));
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn the_command_line_over_the_environment_over_the_file() {
    let scenario = with_file("tag = 'file:1'");
    assert_eq!(tags(&scenario), ["file:1"]);
    let scenario = scenario.env("HOTFIX_TAG", "environment:1");
    assert_eq!(tags(&scenario), ["environment:1"]);
    let scenario = scenario.args(["-t", "typed:1"]);
    assert_eq!(tags(&scenario), ["typed:1"]);
}

#[test]
fn a_stronger_list_takes_the_place_of_a_weaker_one() {
    let scenario = with_file("tag = ['a:1', 'b:1']");
    assert_eq!(tags(&scenario), ["a:1", "b:1"]);
    assert_eq!(tags(&scenario.env("HOTFIX_TAG", "c:1 \n\n  d:1\n")), ["c:1", "d:1"]);
    let empty = with_file("tag = ['a:1']").env("HOTFIX_TAG", "");
    assert_eq!(tags(&empty), ["a:1"]);
}

#[test]
fn values_of_every_type_reach_the_image() {
    let scenario = with_file(
        r#"
            through = 0x2
            entrypoint = ["/bin/sh", "-c", 'say "hi"']
            chown = "1:2"
            [env]
            PORT = 9443
            DEBUG = true
            TEXT = "a=b"
            [label]
            "org.example.team" = "x y"
        "#,
    );
    let scenario = scenario.env("HOTFIX_REPOSITORY", "127.0.0.1:5000/team/x").env("HOTFIX_FORMAT", "json");
    let report = scenario.apply().succeeds().stdout;
    let report: serde_json::Value = serde_json::from_str(&report).expect("one JSON document");
    assert_eq!(report["image"]["tags"], serde_json::json!(["127.0.0.1:5000/team/x:4.1.0.10-hf2"]));
    let config = Layout::open(&scenario.path("image"), "4.1.0.10-hf2").config;
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/bin/sh", "-c", "say \"hi\""]));
    let env = config["config"]["Env"].to_string();
    assert!(["PORT=9443", "DEBUG=true", "TEXT=a=b"].iter().all(|variable| env.contains(variable)), "{env}");
    assert_eq!(config["config"]["Labels"]["org.example.team"], "x y");
}

#[test]
fn flags_are_on_or_off_and_the_stronger_off_wins() {
    for (text, value, pushes) in [
        ("push = true", "", true),
        ("push = true", "no", false),
        ("push = false", "YES", true),
        ("push = true", "0", false),
        ("", "true", true),
        ("", "1", true),
    ] {
        let scenario = with_file(text).env("HOTFIX_PUSH", value);
        assert_eq!(scenario.plan().stdout.contains("tag, push "), pushes, "{text} {value}");
    }
}

#[test]
fn an_image_as_pack_makes_room_too() {
    let original = Scenario::new().args(["--through", "0"]);
    original.apply().succeeds();
    let image = format!("oci:{}", original.path("image").display());
    let scenario = Scenario::like(&original)
        .with_image(&image)
        .with_file("hotfix.toml", "base-image = \"scratch\"\nchown = \"1:1\"\n");
    let scenario = scenario.env("HOTFIX_DOCKERFILE", "nowhere");
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn a_weaker_rival_makes_room() {
    let scenario = with_file("repository = 'file/x'").args(["-t", "typed:1"]);
    assert_eq!(tags(&scenario), ["typed:1"]);
    let scenario = with_file("tag = 'file:1'").env("HOTFIX_REPOSITORY", "environment");
    assert_eq!(tags(&scenario), ["environment:4.1.0.10-hf3"]);
    let scenario = with_file("dockerfile = 'Dockerfile'\nbuild-arg = { A = 'b' }").args(["--base-image", "scratch"]);
    assert!(scenario.plan().stdout.contains("image     on scratch"), "{}", scenario.plan().stderr);
    let scenario = with_file("quiet = true\noffline = true").args(["-v"]);
    scenario.plan().says("--offline is set by hotfix.toml:2:1").does_not_say("--quiet");
    let scenario = with_file("verbose = 2").args(["-q"]);
    assert_eq!(scenario.plan().stderr, "");
}

#[test]
fn a_stronger_way_displaces_what_does_not_go_with_it_and_says_so() {
    let scenario = with_file("env = { A = 'b' }").args(["--dockerfile", "missing/Dockerfile", "-v"]);
    let run = scenario.plan().fails(4, "validate-inputs");
    run.says("'env' (hotfix.toml:1:1) does not count beside '--dockerfile' (command line)");
    let scenario = with_file("dockerfile = 'Dockerfile'\nbuild-arg = { A = 'b' }").env("HOTFIX_BASE_IMAGE", "scratch");
    let scenario = scenario.args(["-v", "--env", "C=d"]);
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.says("'dockerfile' (hotfix.toml:1:1) does not count beside 'base-image' (HOTFIX_BASE_IMAGE)")
        .says("'build-arg' (hotfix.toml:2:1) does not count: it needs 'dockerfile', which made room");
}

#[test]
fn what_is_off_displaces_nobody() {
    let scenario = with_file("quiet = true").env("HOTFIX_VERBOSE", "0");
    assert_eq!(scenario.plan().stderr, "");
}

#[test]
fn a_need_can_be_met_from_elsewhere() {
    let scenario = with_file("dockerfile = 'missing/Dockerfile'").args(["--build-arg", "A=b"]);
    // Beyond usage: whatever it says now is about the Dockerfile.
    scenario.plan().does_not_say("command line").does_not_say("needs");
    assert_ne!(scenario.plan().code, Some(2));
}

#[test]
fn the_file_can_be_anywhere() {
    let scenario = Scenario::new().with_file("home/a.toml", "tag = 'a:1'").with_file("home/b.toml", "tag = 'b:1'");
    let scenario = scenario.env("HOTFIX_CONFIG", "home/a.toml").with_file(FILE, "not even TOML");
    assert_eq!(tags(&scenario), ["a:1"]);
    let scenario = scenario.args(["--config", "home/b.toml"]);
    assert_eq!(tags(&scenario), ["b:1"]);
    let none = with_file("tag = 'a:1'").args(["--config", "/dev/null"]);
    assert_eq!(tags(&none), ["wso2am:4.1.0.10-hf3"]);
}

#[test]
fn keys_for_other_commands_do_no_harm() {
    let scenario =
        with_file("username = 'x'\npassword-file = 'missing'\ndry-run = true\ntag = 'a:1'").without_credentials();
    assert_eq!(tags(&scenario), ["a:1"]);
    let run = scenario.run(&["inspect", "oci:missing"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    // No variable of that name is there, which is of no matter to others.
    let scenario = with_file("dockerfile = 'x'\nbuild-arg = 'NOT_THERE'\nstep-timeout = 'soon'");
    assert_eq!(scenario.run(&["inspect", "oci:missing"]).code, Some(4));
}

#[test]
fn help_needs_no_good_file() {
    let scenario = with_file("not even TOML");
    for arguments in [vec!["--help"], vec!["--version"], vec!["apply", "--help"]] {
        assert_eq!(scenario.run(&arguments).code, Some(0));
    }
}

#[test]
fn credentials_come_from_the_file_and_the_environment_goes_before_it() {
    let text = format!("username = '{USERNAME}'\npassword-file = 'home/password'\noutput = 'oci:image'\n");
    let scenario = with_file(&text).with_file("home/password", PASSWORD).without_credentials();
    scenario.apply().succeeds();
    assert_eq!(scenario.calls()[0].environment["UPDATE_TOOL_USERNAME"], USERNAME);

    let text = "username = 'of-the-file'\npassword-file = 'missing'\noutput = 'oci:image'\n";
    let scenario = with_file(text);
    scenario.apply().succeeds();
    assert_eq!(scenario.calls()[0].environment["UPDATE_TOOL_USERNAME"], USERNAME);
}

#[test]
fn the_log_speaks_as_configured_from_the_first_line() {
    let json = |stderr: &str| stderr.lines().all(|line| line.starts_with('{')) && !stderr.is_empty();
    let scenario = with_file("log-format = 'json'\nverbose = true");
    assert!(json(&scenario.plan().stderr), "{}", scenario.plan().stderr);
    let scenario = with_file("log-format = 'json'\nbase-imge = 'x'");
    let run = scenario.plan();
    assert!(json(&run.stderr) && run.code == Some(2), "{}", run.stderr);
    let run = Scenario::new().env("HOTFIX_LOG_FORMAT", "json").env("HOTFIX_THROUGH", "x");
    assert!(json(&run.plan().stderr), "{}", run.plan().stderr);
    let run = Scenario::new().args(["--log-format", "json", "--through", "x"]);
    assert!(json(&run.plan().stderr), "{}", run.plan().stderr);
    with_file("color = 'always'\nbase-imge = 'x'").plan().says("\u{1b}[1;31merror:");
    with_file("color = 'always'\nbase-imge = 'x'").env("NO_COLOR", "1").plan().does_not_say("\u{1b}");
}

#[test]
fn a_log_that_says_more_says_where_settings_come_from() {
    let scenario = with_file("\ntag = 'a:1'").env("HOTFIX_PUSH", "1").args(["-v"]);
    let run = scenario.plan().says("--push is set by HOTFIX_PUSH").says("--tag is set by hotfix.toml:2:1");
    run.does_not_say("tag is set by HOTFIX");
}

#[test]
fn settings_stay_before_the_end_of_the_options() {
    let scenario = with_file("tag = 'a:1'\nlog-format = 'json'");
    let run = scenario.run(&["plan", "--", "packs/wso2am-4.1.0.10.zip", "hotfixes"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("a:1"), "{}", run.stdout);
}

#[test]
fn files_from_other_systems_are_read() {
    assert_eq!(tags(&with_file("\u{feff}offline = true\r\ntag = 'a:1'\r\n")), ["a:1"]);
}
