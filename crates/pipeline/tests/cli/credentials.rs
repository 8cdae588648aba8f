//! Every way in which the credentials come, and both in which they are handed on.

use crate::support::Scenario;
use crate::support::scenario::{PASSWORD, Run, USERNAME};

/// A tool that takes no other account, and none in the environment of ours.
fn scenario() -> Scenario {
    Scenario::new().with_tool(|tool| tool.accepts = Some((USERNAME.to_owned(), PASSWORD.to_owned())))
}

fn positional(scenario: &Scenario) -> Run<'_> {
    scenario.run(&["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", USERNAME, PASSWORD, "--output", "oci:image"])
}

#[test]
fn none() {
    let scenario = scenario().without_credentials();
    scenario
        .apply()
        .fails(4, "validate-inputs")
        .says("there are no credentials for the update tool")
        .says("UPDATE_TOOL_PASSWORD");
    let scenario = scenario.env("UPDATE_TOOL_USERNAME", USERNAME);
    scenario.apply().fails(4, "validate-inputs").says("there is no password for the update tool, only a user name");
    let scenario = scenario.env("UPDATE_TOOL_USERNAME", "").env("UPDATE_TOOL_PASSWORD", PASSWORD);
    scenario.apply().fails(4, "validate-inputs").says("there is no user name for the update tool, only a password");
    let scenario = self::scenario().env("UPDATE_TOOL_PASSWORD", "");
    scenario.apply().fails(4, "validate-inputs").says("there is no password for the update tool");
    let scenario = self::scenario().without_credentials().args(["-u", "jo"]);
    let run = scenario.apply().fails(4, "validate-inputs").says("there is no password for the update tool");
    run.says("next: set UPDATE_TOOL_PASSWORD, or give --password-file or --password-stdin");
}

/// Variables that are not set, of a job that gave them to the old script.
#[test]
fn empty_in_the_old_scripts_order() {
    let scenario = scenario();
    let run = |username: &str, password: &str| {
        let inputs = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", username, password, "--output", "oci:image"];
        let run = scenario.run(&inputs).fails(4, "validate-inputs");
        let next =
            "next: leave USERNAME and PASSWORD away where UPDATE_TOOL_USERNAME and UPDATE_TOOL_PASSWORD are set;";
        run.says(next).does_not_say("there are no credentials")
    };
    run("", "").says("USERNAME, the third argument, is empty").does_not_say("can be read by every user");
    run("", PASSWORD).says("USERNAME, the third argument, is empty");
    run(USERNAME, "").says("PASSWORD, the fourth argument, is empty").does_not_say("can be read by every user");
    // Nobody needs them here.
    let inputs = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "", "", "--output", "oci:image", "--through", "0"];
    scenario.run(&inputs).succeeds();
}

#[test]
fn wrong_ones() {
    let scenario = scenario().env("UPDATE_TOOL_PASSWORD", "wrong");
    scenario.apply().fails(6, "initialize-update-tool").says("exit code 1").says("check user name, password");
}

#[test]
fn from_the_environment() {
    scenario().apply().succeeds().does_not_say(PASSWORD);
}

#[test]
fn in_the_old_scripts_order() {
    let scenario = scenario().without_credentials();
    positional(&scenario).succeeds().says("a password on the command line can be read by every user");
    // The old order goes before everything else.
    let scenario = self::scenario().env("UPDATE_TOOL_USERNAME", "other").env("UPDATE_TOOL_PASSWORD", "other");
    positional(&scenario).succeeds();
}

#[test]
fn from_a_file() {
    let scenario = scenario().without_credentials().with_file("secret", format!("{PASSWORD}\n"));
    let scenario = scenario.args(["-u", USERNAME, "--password-file", "secret"]);
    scenario.apply().succeeds().does_not_say(PASSWORD);
}

#[test]
fn from_a_file_that_is_missing_or_empty() {
    let scenario = scenario().args(["--password-file", "missing"]);
    scenario.apply().fails(4, "validate-inputs").says("the password file missing cannot be read");
    let scenario = self::scenario().with_file("secret", "\n").args(["--password-file", "secret"]);
    scenario.apply().fails(4, "validate-inputs").says("the password file secret is empty");
    let scenario = self::scenario().with_file("secret", "a\0b").args(["--password-file", "secret"]);
    scenario.apply().fails(4, "validate-inputs").says("the password file secret holds a NUL byte");
}

#[test]
fn from_standard_input() {
    let scenario = scenario()
        .without_credentials()
        .args(["--username", USERNAME, "--password-stdin"])
        .input(&format!("{PASSWORD}\n"));
    scenario.apply().succeeds().does_not_say(PASSWORD);
    let scenario = self::scenario().args(["--password-stdin"]);
    scenario.apply().fails(4, "validate-inputs").says("standard input is empty");
}

#[test]
fn they_go_to_the_tool_in_its_environment() {
    let scenario = scenario();
    scenario.apply().succeeds();
    for call in scenario.calls() {
        assert_eq!(call.environment.get("UPDATE_TOOL_PASSWORD").map(String::as_str), Some(PASSWORD));
        assert!(!call.arguments.iter().any(|argument| argument.contains(PASSWORD) || argument.contains(USERNAME)));
    }
}

#[test]
fn a_tool_that_reads_no_environment_gets_flags_when_told_to() {
    let old = || Scenario::new().with_tool(|tool| tool.reads_environment = false);
    old().apply().fails(6, "initialize-update-tool").says("--tool-credentials flags");
    let scenario = old().args(["--tool-credentials", "flags"]);
    scenario.apply().succeeds().says("where every user of this machine can read it").does_not_say(PASSWORD);
    for call in scenario.calls() {
        assert!(
            call.arguments.ends_with(&["--username".into(), USERNAME.into(), "--password".into(), PASSWORD.into()]),
            "{:?}",
            call.arguments
        );
        assert!(!call.environment.contains_key("UPDATE_TOOL_PASSWORD"));
    }
}

#[test]
fn without_a_hotfix_to_apply_nobody_needs_them() {
    let scenario = scenario().without_credentials().args(["--through", "0"]);
    scenario.apply().succeeds().prints("wso2am:4.1.0.10\n");
    assert!(scenario.calls().is_empty());
}
