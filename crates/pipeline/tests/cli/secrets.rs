//! The password and the tokens: in no log, no report, no output, whatever the tool prints.

use update_tool_sim::Fault;

use crate::support::Scenario;
use crate::support::scenario::{PASSWORD, USERNAME};

/// A tool that prints its password and tokens, and fails or not.
fn loud(fault: Fault) -> Scenario {
    let scenario = Scenario::new().with_tool(|tool| {
        tool.loud = true;
        tool.on_apply_hotfix = fault;
    });
    scenario.args(["-vv", "--report", "report", "--keep-workspace", "--workspace", "work"])
}

#[test]
fn a_loud_tool_gives_nothing_away() {
    for (fault, code) in [(Fault::None, 0), (Fault::Error, 6)] {
        let scenario = loud(fault);
        let run = scenario.apply();
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        let said = [
            run.stdout.as_str(),
            &run.stderr,
            &scenario.text("report/report.json"),
            &scenario.text("report/summary.md"),
        ]
        .concat();
        assert!(!said.contains(PASSWORD), "the password was printed:\n{said}");
        assert!(said.contains("***"), "the tool is loud, so something must have been replaced:\n{said}");
        let tokens = tokens(&said);
        assert!(tokens.is_empty(), "tokens were printed: {tokens:?}\n{said}");
    }
}

/// The stand-in's loud line is `access-token: …`; what follows must have been replaced.
fn tokens(said: &str) -> Vec<&str> {
    let after = said.lines().filter_map(|line| line.split_once("token").map(|(_, rest)| rest));
    after.filter(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.len() >= 16)).collect()
}

/// Of a path that was to be in quotes; the old script took the password as the fourth word.
#[test]
fn a_word_too_many_is_not_shown() {
    let scenario = Scenario::new().env("GITHUB_ACTIONS", "true");
    for words in [
        vec!["my", "packs/wso2am-4.1.0.10.zip", "hotfixes", "jo", "s3cretPassw0rd"],
        vec!["packs/wso2am-4.1.0.10.zip", "hotfixes", "jo", "--s3cretPassw0rd"],
        vec!["packs/wso2am-4.1.0.10.zip", "hotfixes", "jo", "--S3=cretPassw0rd"],
        vec!["packs/wso2am-4.1.0.10.zip", "hotfixes", "jo", "s3cret", "cretPassw0rd", "--through", "1"],
    ] {
        let run = scenario.run(&[&["apply"][..], &words].concat()).fails_with(2);
        run.says("there is a word too many, which is not shown").says("put quotes around").does_not_say("cretPassw0rd");
    }
    // What is mistyped is told.
    scenario.run(&["apply", "a", "b", "--tga", "x"]).fails_with(2).says("unexpected argument '--tga'");
    scenario.run(&["inspect", "a", "b"]).fails_with(2).says("unexpected argument 'b'");
}

#[test]
fn a_hotfix_that_holds_a_secret_stops_the_run_and_names_the_file() {
    for secret in [PASSWORD, USERNAME] {
        let text = format!("before {secret} after");
        let scenario =
            Scenario::new().without_hotfixes().with_hotfix(1, |hotfix| hotfix.add("conf/leak.txt", text.clone()));
        let run =
            scenario.apply().fails(8, "build-image").says("conf/leak.txt holds the password, the user name or a token");
        assert!(!run.stderr.contains(secret), "{}", run.stderr);
    }
}

#[test]
fn a_token_that_the_tool_left_elsewhere_stops_the_run_too() {
    let records = r#"mkdir -p $home/updates; echo "{ \"n\": \"$2\", \"access-token\": \"live-token-$$\" }" > $home/updates/config.json"#;
    let scenario =
        Scenario::new().with_script(&format!("{records}\ncp $home/updates/config.json $home/updates/config.json.bak"));
    scenario
        .apply()
        .fails(8, "build-image")
        .says("updates/config.json.bak holds the password, the user name or a token");
}

#[test]
fn a_workspace_that_is_kept_loses_files_that_hold_one() {
    let scenario = Scenario::new().without_hotfixes().with_hotfix(1, |hotfix| hotfix.add("conf/leak.txt", PASSWORD));
    let scenario = scenario.args(["--keep-workspace", "--workspace", "work"]);
    let run = scenario.apply();
    assert_eq!(run.code, Some(8), "{}", run.stderr);
    run.says("files of the kept workspace held a secret and were removed");
    let left = scenario.snapshot();
    let kept: Vec<_> = left.iter().filter(|(path, _)| path.starts_with("work/")).collect();
    assert!(kept.len() > 10);
    let holds = |content: &[u8]| content.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
    assert!(!kept.iter().any(|(_, content)| holds(content)));
}

#[test]
fn tokens_are_nowhere_in_image_log_and_report() {
    const TOKEN: &str = "live-token-5f2c9";
    let records = format!(
        r#"mkdir -p $home/updates/logs; n=$(basename "$2")
echo "using {TOKEN} as $UPDATE_TOOL_USERNAME" | tee $home/updates/logs/wso2update-01-02-2026.log
echo "{{ \"username\": \"$UPDATE_TOOL_USERNAME\", \"n\": \"$n\", \"service\": {{ \"access-token\": \"{TOKEN}\", \"refresh-token\": \"{TOKEN}r\" }} }}" > $home/updates/config.json
[ $1 = current-state ] || echo x > $home/$n.txt"#
    );
    let scenario = Scenario::new().with_script(&records).args(["-vv", "--report", "report"]);
    let run = scenario.apply().succeeds().says("using *** as").does_not_say(TOKEN);
    assert!(run.stderr.contains("the update tool said"));
    let image = crate::support::layout::Layout::open(&scenario.path("image"), "4.1.0.10-hf3");
    let config: serde_json::Value =
        serde_json::from_slice(&image.files()["home/wso2carbon/wso2am-4.1.0/updates/config.json"].content)
            .expect("JSON");
    assert_eq!((&config["username"], &config["service"]["access-token"]), (&"".into(), &"".into()));
    let text =
        [image.config.to_string(), scenario.text("report/report.json"), scenario.text("report/summary.md")].concat();
    // The script itself holds the token as a constant, and is in the product's layer as any file of the pack.
    assert!(!text.contains(TOKEN));
    assert!(!image.layer_bytes(1).windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
}

#[test]
fn the_password_is_in_nothing_that_is_said_of_the_image() {
    let json = serde_json::json!([PASSWORD]).to_string();
    for (option, value) in
        [("--env", format!("X={PASSWORD}")), ("--label", format!("x={PASSWORD}")), ("--entrypoint", json)]
    {
        let scenario = Scenario::new().args([option, &value]);
        let run = scenario.apply().fails(4, "validate-inputs");
        run.says(&format!("{option} holds the password of the update tool")).does_not_say(PASSWORD);
    }
}
