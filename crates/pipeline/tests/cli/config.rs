//! Options from `hotfix.toml` and from the environment.

use crate::support::Scenario;
use crate::support::layout::Layout;
use crate::support::scenario::{PASSWORD, Run, USERNAME};

const FILE: &str = "hotfix.toml";

fn with_file(text: &str) -> Scenario {
    Scenario::new().with_file(FILE, text)
}

/// The run is refused with this error and this hint, and nothing is done.
#[track_caller]
fn refused(run: Run<'_>, error: &str, hint: &str) {
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert_eq!(run.stderr, format!("error: {error}\n  next: {hint}\n"));
    run.prints("").leaves_nothing();
}

/// The names of the image, which tell who has won.
#[track_caller]
fn tags(scenario: &Scenario) -> Vec<String> {
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let names =
        run.stdout.lines().filter_map(|line| line.strip_prefix("tag")).map(|rest| rest.trim_start_matches(", push"));
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
    assert_eq!(tags(&scenario.env("HOTFIX_TAG", "c:1\n\nd:1\n")), ["c:1", "d:1"]);
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
fn what_is_off_displaces_nobody() {
    let scenario = with_file("quiet = true").env("HOTFIX_VERBOSE", "0");
    assert_eq!(scenario.plan().stderr, "");
}

#[test]
fn two_rivals_in_one_source_are_wrong_wherever_they_are() {
    refused(
        with_file("base-image = 'scratch'\ndockerfile = 'x'").plan(),
        "hotfix.toml:2:1: 'dockerfile' cannot be used with 'base-image' (hotfix.toml:1:1)",
        "keep one of the two",
    );
    refused(
        Scenario::new().env("HOTFIX_TAG", "x").env("HOTFIX_REPOSITORY", "y").plan(),
        "HOTFIX_TAG: 'tag' cannot be used with 'repository' (HOTFIX_REPOSITORY)",
        "keep one of the two",
    );
    refused(
        with_file("password-stdin = true\npassword-file = 'x'").plan(),
        "hotfix.toml:2:1: 'password-file' cannot be used with 'password-stdin' (hotfix.toml:1:1)",
        "keep one of the two",
    );
}

#[test]
fn an_option_that_needs_another_one_says_so() {
    refused(
        with_file("\nbuild-arg = 'A=b'").plan(),
        "hotfix.toml:2:1: 'build-arg' needs 'dockerfile'",
        "set 'dockerfile' too, or leave 'build-arg' away",
    );
    let run = with_file("offline = true").args(["--build-arg", "A=b"]);
    let run = run.plan();
    assert_eq!(run.code, Some(2));
    run.says("error: command line: the following required arguments were not provided: --dockerfile <FILE>");
}

#[test]
fn a_need_can_be_met_from_elsewhere() {
    let scenario = with_file("dockerfile = 'missing/Dockerfile'").args(["--build-arg", "A=b"]);
    // Beyond usage: whatever it says now is about the Dockerfile.
    scenario.plan().does_not_say("command line").does_not_say("needs");
    assert_ne!(scenario.plan().code, Some(2));
}

#[test]
fn a_value_is_refused_alike_from_everywhere() {
    let expected = "expected a time such as 30m, 90s or 1h30m";
    let hint = "correct it there; 'hotfix plan --help' describes --step-timeout";
    refused(
        with_file("offline = true\nstep-timeout = 'soon'").plan(),
        &format!("hotfix.toml:2:16: invalid value 'soon' for 'step-timeout': {expected}"),
        hint,
    );
    refused(
        Scenario::new().env("HOTFIX_STEP_TIMEOUT", "soon").plan(),
        &format!("HOTFIX_STEP_TIMEOUT: invalid value 'soon' for 'step-timeout': {expected}"),
        hint,
    );
    refused(
        Scenario::new().args(["--step-timeout", "soon"]).plan(),
        &format!("command line: invalid value 'soon' for '--step-timeout <TIME>': {expected}"),
        hint,
    );
}

#[test]
fn a_value_of_a_wrong_type_is_told_what_was_expected() {
    for (text, place, words) in [
        ("push = 'yes'", "1:8", "for 'push': expected true or false, found text"),
        ("\ntag = ['a', 1.5]", "2:13", "for 'tag': expected text or a list of texts, found a number with a fraction"),
        ("base-image = ['a']", "1:14", "for 'base-image': expected text or a whole number, found a list"),
        (
            "env = { A = [] }",
            "1:13",
            "for 'env': expected a table { KEY = \"VALUE\" }, or a list of \"KEY=VALUE\", found a list",
        ),
        ("label.a.b = 'x'", "1:7", "for 'label': expected a table"),
        ("env = 'A'", "1:7", "invalid value 'A' for 'env': expected KEY=VALUE"),
        ("verbose = 300", "1:11", "expected true, false or how many times (0 to 255), found another number"),
        ("through = -1", "1:11", "invalid value '-1' for 'through': expected a whole number such as 3"),
        ("max-unpacked-size = 'big'", "1:21", "expected a size such as 20GB"),
        ("color = 'sometimes'", "1:9", "invalid value 'sometimes' for 'color': expected auto, always or never"),
        ("entrypoint = 1979-05-27", "1:14", "expected a list of texts, found a date"),
        ("report = ''", "1:10", "invalid value '' for 'report': expected a value"),
    ] {
        let scenario = with_file(text);
        let run = scenario.plan();
        assert_eq!(run.code, Some(2), "{text}: {}", run.stderr);
        run.says(&format!("error: hotfix.toml:{place}: invalid value"))
            .says(words)
            .says("\n  next: correct it there; ");
    }
    for (variable, value, words) in [
        ("HOTFIX_PUSH", "maybe", "invalid value 'maybe' for 'push': expected true or false (1 or 0, yes or no)"),
        ("HOTFIX_VERBOSE", "much", "expected true, false or how many times"),
        ("HOTFIX_LABEL", "a=b\nc", "invalid value 'c' for 'label': expected KEY=VALUE"),
        ("HOTFIX_LOG_FORMAT", "xml", "invalid value 'xml' for 'log-format': expected text or json"),
    ] {
        let scenario = Scenario::new().env(variable, value);
        let run = scenario.plan();
        assert_eq!(run.code, Some(2), "{variable}: {}", run.stderr);
        run.says(&format!("error: {variable}: ")).says(words);
    }
}

#[test]
fn an_unknown_key_is_told_the_nearest() {
    let unknown = |text: &str, error: &str, hint: &str| refused(with_file(text).plan(), error, hint);
    unknown("\n\nbase-imge = 1", "hotfix.toml:3:1: unknown key 'base-imge'", "did you mean 'base-image'?");
    unknown("BASE_IMAGE = 1", "hotfix.toml:1:1: unknown key 'BASE_IMAGE'", "did you mean 'base-image'?");
    let nothing_like_it = "keys are the long names of options: see 'hotfix apply --help'";
    unknown("wobbly-thing = 1", "hotfix.toml:1:1: unknown key 'wobbly-thing'", nothing_like_it);
    unknown("\"\\u001b[2J\" = 1", "hotfix.toml:1:1: unknown key '\\u{1b}[2J'", nothing_like_it);
    unknown("[apply]\ntag = 'x'", "hotfix.toml:1:2: unknown key 'apply'", nothing_like_it);
    unknown("pack = 'x'", "hotfix.toml:1:1: unknown key 'pack'", "give PACK on the command line: it is no option");
    unknown(
        "hotfix-dir = 'x'",
        "hotfix.toml:1:1: unknown key 'hotfix-dir'",
        "give HOTFIX_DIR on the command line: it is no option",
    );
    unknown(
        "config = 'x'",
        "hotfix.toml:1:1: unknown key 'config'",
        "give it as --config or HOTFIX_CONFIG: a file cannot name another one",
    );
    unknown("help = true", "hotfix.toml:1:1: unknown key 'help'", nothing_like_it);
}

#[test]
fn broken_toml_is_told_where_and_its_text_is_not_shown() {
    refused(
        with_file("offline = true\nx = = 'hush'").plan(),
        "hotfix.toml:2:5: extra `=`, expected nothing",
        "correct the TOML there",
    );
    let run = with_file("tag = 'a'\ntag = 'b'");
    let run = run.plan();
    assert_eq!(run.code, Some(2));
    run.says("error: hotfix.toml:2:1: duplicate key");
}

#[test]
fn a_password_is_no_setting() {
    let hint = "put it into a file and set 'password-file', or into the variable UPDATE_TOOL_PASSWORD";
    refused(with_file("password = 'hush'").plan(), "hotfix.toml:1:1: a password is never a setting", hint);
    refused(
        Scenario::new().env("HOTFIX_PASSWORD", "hush").plan(),
        "HOTFIX_PASSWORD: a password is never a setting",
        hint,
    );
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
fn a_file_that_cannot_be_read() {
    let fails = |scenario: Scenario, words: &str| {
        let run = scenario.plan();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.says(words).says("next: give a readable file of settings, or none").prints("").leaves_nothing();
    };
    let missing = "the file of settings none.toml cannot be read\n  cause: No such file";
    fails(Scenario::new().args(["--config", "none.toml"]), &format!("error: command line: {missing}"));
    fails(Scenario::new().env("HOTFIX_CONFIG", "none.toml"), &format!("error: HOTFIX_CONFIG: {missing}"));
    fails(Scenario::new().args(["--config", "packs"]), "the file of settings packs cannot be read");
    fails(
        Scenario::new().with_file(FILE, b"tag = '\xff'"),
        "error: the file of settings hotfix.toml is no text in UTF-8",
    );
}

#[test]
fn keys_for_other_commands_do_no_harm_but_are_checked() {
    let scenario =
        with_file("username = 'x'\npassword-file = 'missing'\ndry-run = true\ntag = 'a:1'").without_credentials();
    assert_eq!(tags(&scenario), ["a:1"]);
    let run = scenario.run(&["inspect", "oci:missing"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let scenario = with_file("step-timeout = 'soon'");
    let run = scenario.run(&["inspect", "oci:missing"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says("'hotfix apply --help' describes --step-timeout");
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
fn a_variable_that_is_nearly_ours_is_warned_of() {
    let scenario = Scenario::new().env("HOTFIX_BASE_IMGE", "x").env("HOTFIX_TAGS", "x").env("HOTFIX_REPORTS", "");
    let run = scenario.plan().says("HOTFIX_BASE_IMGE is not read: did you mean HOTFIX_BASE_IMAGE?");
    run.says("HOTFIX_TAGS is not read: did you mean HOTFIX_TAG?").does_not_say("HOTFIX_REPORTS");
    let scenario =
        Scenario::new().env("HOTFIX_TESTS_REQUIRE_ENGINE", "1").env("HOTFIX_CI", "1").env("HOTFIX_VERSION", "1");
    scenario.plan().does_not_say("HOTFIX_");
}

#[test]
fn settings_stay_before_the_end_of_the_options() {
    let scenario = with_file("tag = 'a:1'\nlog-format = 'json'");
    let run = scenario.run(&["plan", "--", "packs/wso2am-4.1.0.10.zip", "hotfixes"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("a:1"), "{}", run.stdout);
}
