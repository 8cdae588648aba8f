//! What is wrong in `hotfix.toml` and in the environment, and how it is said.

use crate::config::{FILE, with_file};
use crate::support::Scenario;
use crate::support::scenario::Run;

/// The run is refused with this error and this hint, and nothing is done.
#[track_caller]
fn refused(run: Run<'_>, error: &str, hint: &str) {
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert_eq!(run.stderr, format!("error: {error}\n  next: {hint}\n"));
    run.prints("").leaves_nothing();
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
fn a_way_makes_no_room_for_an_option_that_does_not_go_with_it() {
    let hint = "leave one of the two away, or give another way for this run, such as --base-image";
    let dockerfile = || with_file("\n\ndockerfile = 'recipe/Dockerfile'");
    refused(
        dockerfile().args(["--env", "A=b"]).plan(),
        "command line: '--env' cannot be used with 'dockerfile' (hotfix.toml:3:1)",
        hint,
    );
    refused(
        dockerfile().env("HOTFIX_ENV", "A=b").plan(),
        "HOTFIX_ENV: 'env' cannot be used with 'dockerfile' (hotfix.toml:3:1)",
        hint,
    );
    refused(
        with_file("from-image = 'x'").env("HOTFIX_CHOWN", "1:1").plan(),
        "HOTFIX_CHOWN: 'chown' cannot be used with 'from-image' (hotfix.toml:1:1)",
        hint,
    );
    refused(
        Scenario::new().env("HOTFIX_VENDOR_IMAGE", "true").args(["--platform", "linux/arm64"]).plan(),
        "command line: '--platform' cannot be used with 'vendor-image' (HOTFIX_VENDOR_IMAGE)",
        hint,
    );
    // A way of this run takes the place of both.
    let scenario = dockerfile().args(["--env", "A=b", "--base-image", "scratch"]);
    assert_eq!(scenario.plan().code, Some(0), "{}", scenario.plan().stderr);
}

#[test]
fn what_is_wrong_among_settings_is_said_as_they_ask_for() {
    let scenario = with_file("log-format = 'json'\nbase-image = 'scratch'\ndockerfile = 'x'");
    let run = scenario.plan();
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.lines().all(|line| line.starts_with('{')), "{}", run.stderr);
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
fn a_build_argument_without_a_dockerfile_is_refused_whatever_else_is_given() {
    let words = "error: command line: the following required arguments were not provided: --dockerfile <FILE>";
    for way in [["--base-image", "scratch"].as_slice(), &["--from-image", "x"], &["--vendor-image"]] {
        let scenario = Scenario::new().args(["--build-arg", "A=b"]).args(way.iter().copied());
        let run = scenario.plan();
        assert_eq!(run.code, Some(2), "{way:?}: {}", run.stderr);
        run.says(words).prints("").leaves_nothing();
    }
    // Also where the file had a Dockerfile, which made room.
    let scenario = with_file("dockerfile = 'x'").args(["--build-arg", "A=b", "--base-image", "scratch"]);
    let run = scenario.plan();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says(words);
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
fn a_home_that_no_shell_has_written_out_is_refused() {
    let expected = "~ is not your home here: write the folder out or use $HOME (a folder called ~ is ./~)";
    let hint = |option: &str| format!("correct it there; 'hotfix plan --help' describes --{option}");
    refused(
        Scenario::new().args(["--output", "oci:~/x"]).plan(),
        &format!("command line: invalid value 'oci:~/x' for '--output <WHERE>': {expected}"),
        &hint("output"),
    );
    refused(
        with_file("report = '~/r'").plan(),
        &format!("hotfix.toml:1:10: invalid value '~/r' for 'report': {expected}"),
        &hint("report"),
    );
    refused(
        Scenario::new().env("HOTFIX_CACHE_DIR", "~/c").plan(),
        &format!("HOTFIX_CACHE_DIR: invalid value '~/c' for 'cache-dir': {expected}"),
        &hint("cache-dir"),
    );
    for arguments in [
        ["--workspace", "~/w"],
        ["--dockerfile", "~/Dockerfile"],
        ["--base-image", "oci:~/base"],
        ["--from-image", "oci:~/image:1"],
    ] {
        let scenario = Scenario::new().args(arguments);
        let run = scenario.plan();
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        run.says(expected).leaves_nothing();
    }
    let scenario = Scenario::new().args(["--report", "./~/r"]);
    scenario.apply().succeeds();
    assert!(scenario.path("~/r/report.json").is_file());
}

#[test]
fn a_tag_in_the_name_of_a_layout_is_refused_where_one_is_written() {
    refused(
        Scenario::new().args(["--output", "oci:image:1"]).plan(),
        "command line: invalid value 'oci:image:1' for '--output <WHERE>': expected oci:DIR: the tag is given by --tag",
        "correct it there; 'hotfix plan --help' describes --output",
    );
    let scenario = with_file("output = 'oci:image:1'");
    assert_eq!(scenario.plan().code, Some(2));
    // A folder that is called so is meant, and so is one below another with a colon in its name.
    std::fs::create_dir(scenario.path("image:1")).expect("a folder");
    assert_eq!(scenario.plan().code, Some(0), "{}", scenario.plan().stderr);
    let below = Scenario::new().args(["--output", "oci:a:b/image"]);
    assert_eq!(below.plan().code, Some(0), "{}", below.plan().stderr);
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
    let of_the_moment = "give --no-backup on the command line: it is said each time, and is no setting";
    unknown("no-backup = 'x'", "hotfix.toml:1:1: unknown key 'no-backup'", of_the_moment);
    // An argument of one command, an option of another.
    unknown(
        "hotfix = 'x'",
        "hotfix.toml:1:1: unknown key 'hotfix'",
        "give HOTFIX on the command line: it is no option",
    );
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
fn a_variable_that_is_nearly_ours_is_warned_of() {
    let scenario = Scenario::new().env("HOTFIX_BASE_IMGE", "x").env("HOTFIX_TAGS", "x").env("HOTFIX_REPORTS", "");
    let run = scenario.plan().says("HOTFIX_BASE_IMGE is not read: did you mean HOTFIX_BASE_IMAGE?");
    run.says("HOTFIX_TAGS is not read: did you mean HOTFIX_TAG?").does_not_say("HOTFIX_REPORTS");
    let scenario =
        Scenario::new().env("HOTFIX_TESTS_REQUIRE_ENGINE", "1").env("HOTFIX_CI", "1").env("HOTFIX_VERSION", "1");
    scenario.plan().does_not_say("HOTFIX_");
}

#[test]
fn a_variable_for_what_is_said_each_time_is_warned_of() {
    let scenario = Scenario::new().env("HOTFIX_NO_BACKUP", "a good reason");
    let run = scenario.run(&["migrate", "nowhere", "--to-level", "20"]).fails_with(4);
    run.says("HOTFIX_NO_BACKUP is not read: give --no-backup on the command line");
    // Others may have it for their own.
    scenario.plan().does_not_say("HOTFIX_");
}

#[test]
fn a_file_of_settings_that_is_no_file() {
    let scenario = Scenario::new();
    let made = std::process::Command::new("mkfifo").arg(scenario.path(FILE)).status().expect("mkfifo starts");
    assert!(made.success());
    for arguments in [vec!["plan", "x.zip", "hotfixes"], vec!["plan", "x.zip", "hotfixes", "--config", FILE]] {
        let run = scenario.run_without_reading_files(&arguments);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.says("the file of settings hotfix.toml cannot be read").says("cause: it is no regular file");
    }
    let run =
        scenario.run_without_reading_files(&["plan", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--config", "/dev/null"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let scenario = Scenario::new();
    std::os::unix::fs::symlink("gone.toml", scenario.path(FILE)).expect("a link");
    let run = scenario.plan();
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run.says("the file of settings hotfix.toml cannot be read").says("No such file");
}

#[test]
fn a_key_with_an_equals_sign_would_be_another_one() {
    for option in ["env", "label"] {
        let run = format!("{option} = {{ 'A=B' = 'c' }}");
        let scenario = with_file(&run);
        let run = scenario.plan();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.says(&format!("invalid value 'A=B' for '{option}': a key has no ="));
    }
}
