//! Steps 5 and 6: the update tool, however it behaves.

use update_tool_sim::{Behave, Fault, SetupScript};

use crate::support::Scenario;

#[test]
fn it_updates_itself_first_and_loses_its_run_bit() {
    let scenario = Scenario::new().with_tool(|tool| {
        tool.self_updates = 3;
        tool.self_update_loses_run_bit = true;
    });
    scenario.apply().succeeds().says("the update tool updated itself");
    assert_eq!(scenario.calls().iter().filter(|call| call.arguments == ["current-state"]).count(), 4);
}

#[test]
fn it_updates_itself_between_two_hotfixes() {
    let scenario = Scenario::new().with_tool(|tool| {
        tool.self_updates = 2;
        tool.self_update_on_apply = true;
    });
    scenario.apply().succeeds();
    assert_eq!(scenario.calls().iter().filter(|call| call.arguments[0] == "apply-hotfix").count(), 5);
}

#[test]
fn it_updates_itself_for_ever() {
    let scenario = Scenario::new().with_tool(|tool| tool.self_updates = u32::MAX);
    scenario
        .apply()
        .fails(6, "initialize-update-tool")
        .says("updated itself 4 times in a row and still could not show the current state");
    let scenario = Scenario::new().with_tool(|tool| tool.on_apply_hotfix = Fault::SelfUpdateClaimed);
    scenario.apply().fails(6, "apply-hotfixes").says("still could not apply hotfix 1 (wso2am-4.1.0.10-hf-1.zip)");
}

#[test]
fn it_is_missing() {
    let scenario = Scenario::new().with_pack(|pack| pack.without_tool());
    scenario
        .apply()
        .fails(6, "initialize-update-tool")
        .says("has no update tool for this machine: neither bin/wso2update_")
        .says("update_tool_setup.sh");
}

#[test]
fn it_is_downloaded_by_the_setup_script() {
    let scenario = Scenario::new().with_pack(|pack| pack.setup_script(SetupScript::Works));
    scenario.apply().succeeds().says("running bin/update_tool_setup.sh");
}

#[test]
fn the_setup_script_fails_or_leaves_nothing() {
    let scenario = Scenario::new().with_pack(|pack| pack.setup_script(SetupScript::Fails));
    scenario
        .apply()
        .fails(6, "initialize-update-tool")
        .says("bin/update_tool_setup.sh could not get the update tool: exit code");
    let scenario = Scenario::new().with_pack(|pack| pack.setup_script(SetupScript::LeavesNothing));
    scenario.apply().fails(6, "initialize-update-tool").says("ended with success, but there is no bin/wso2update_");
}

#[test]
fn it_is_no_program() {
    let tool = update_tool_sim::tool_file_name();
    let scenario =
        Scenario::new().with_pack(|pack| pack.without_tool().file(&format!("bin/{tool}"), "\x7fELF but no more"));
    scenario.apply().fails(6, "initialize-update-tool").says("could not show the current state: exit code");
}

/// As a program for glibc is on a system without it: it is there, and what it names to start it is not.
#[test]
fn it_is_for_another_system() {
    let tool = update_tool_sim::tool_file_name();
    let scenario =
        Scenario::new().with_pack(|pack| pack.without_tool().file(&format!("bin/{tool}"), "#!/nowhere/ld-linux.so\n"));
    let run = scenario.apply().fails(6, "initialize-update-tool").says(&format!("bin/{tool} cannot be run"));
    run.says("this system lacks what starts it").says("run hotfix on a usual Linux");
}

#[test]
fn it_fails() {
    let scenario = Scenario::new().with_tool(|tool| tool.on_current_state = Fault::Error);
    scenario
        .apply()
        .fails(6, "initialize-update-tool")
        .says("could not show the current state: exit code 1")
        .says("it said:");
    let scenario = Scenario::new().with_tool(|tool| tool.on_apply_hotfix = Fault::ExitCode(77));
    scenario
        .apply()
        .fails(6, "apply-hotfixes")
        .says("could not apply hotfix 1 (wso2am-4.1.0.10-hf-1.zip): exit code 77")
        // It has logged in before.
        .does_not_say("check user name")
        .says("next: see what it said; if the network is not to blame, ask the vendor about this hotfix");
    let scenario = Scenario::new().with_tool(|tool| tool.on_apply_hotfix = Fault::Abort);
    scenario.apply().fails(6, "apply-hotfixes").says("it was ended by signal 6");
}

#[test]
fn it_finds_conflicts() {
    let scenario =
        Scenario::new().without_hotfixes().with_hotfix(1, |hotfix| hotfix.add("a", "b").behave(Behave::Conflict));
    scenario
        .apply()
        .fails(7, "apply-hotfixes")
        .says("could not apply hotfix 1")
        .says("it found conflicts")
        .says("clean pack");
}

#[test]
fn it_reverts() {
    let scenario =
        Scenario::new().without_hotfixes().with_hotfix(1, |hotfix| hotfix.add("a", "b").behave(Behave::Reverted));
    scenario.apply().fails(6, "apply-hotfixes").says("it reverted what it had done");
}

#[test]
fn it_says_done_and_changed_nothing() {
    for behave in [Behave::Nothing, Behave::NothingAtAll] {
        let scenario = Scenario::new().with_hotfix(3, |hotfix| hotfix.add("a", "b").behave(behave));
        scenario
            .apply()
            .fails(6, "apply-hotfixes")
            .says("said that hotfix 3 (wso2am-4.1.0.10-hf-3.zip) is applied, but nothing in the product changed");
    }
}

#[test]
fn it_hangs() {
    for fault in [Fault::Hang, Fault::HangIgnoringTerm] {
        let scenario = Scenario::new().with_tool(|tool| tool.on_current_state = fault).args(["--step-timeout", "2s"]);
        scenario
            .apply()
            .fails(10, "initialize-update-tool")
            .says("initialize-update-tool took longer than 2s")
            .says("raise --step-timeout");
    }
}

#[test]
fn it_hangs_in_a_hotfix() {
    let scenario = Scenario::new()
        .without_hotfixes()
        .with_hotfix(1, |hotfix| hotfix.add("a", "b").behave(Behave::Hang))
        .args(["--step-timeout", "2s"]);
    scenario.apply().fails(10, "apply-hotfixes").says("took longer than 2s");
}

#[test]
fn it_prompts_and_finds_nobody() {
    let scenario = Scenario::new().with_tool(|tool| tool.on_current_state = Fault::Prompt).input("yes\n");
    scenario.apply().fails(6, "initialize-update-tool");
    assert!(scenario.calls().iter().all(|call| call.stdin == "/dev/null" && !call.has_terminal));
}

#[test]
fn it_leaves_a_grandchild_that_holds_its_output() {
    Scenario::new().with_tool(|tool| tool.spawn_grandchild = true).apply().succeeds();
    let scenario =
        Scenario::new().without_hotfixes().with_hotfix(1, |hotfix| hotfix.add("a", "b").behave(Behave::Fork));
    scenario.apply().succeeds();
}

#[test]
fn it_knows_another_level_than_the_packs_name() {
    let scenario = Scenario::new().with_tool(|tool| tool.level_reported = Some("12".to_owned()));
    scenario.apply().fails(6, "initialize-update-tool").says("is at update level 12, not 10");
}

#[test]
fn offline_is_passed_on_to_apply_hotfix_only() {
    let scenario = Scenario::new().args(["--offline"]);
    scenario.apply().succeeds();
    for call in scenario.calls() {
        assert_eq!(
            call.arguments[0] == "apply-hotfix",
            call.arguments.contains(&"--offline".to_owned()),
            "{:?}",
            call.arguments
        );
    }
}

#[test]
fn it_works_in_bin_with_a_home_in_the_workspace() {
    let scenario = Scenario::new();
    let caches = scenario.path("caches").to_str().expect("UTF-8").to_owned();
    let scenario = scenario
        .env("HTTPS_PROXY", "http://proxy:1")
        .env("BUILD_TAG", "jenkins-1")
        .env("HOTFIX_NOISE", "x")
        .env("XDG_CACHE_HOME", &caches);
    assert_eq!(scenario.apply().code, Some(0));
    let temporary = scenario.path("tmp");
    for call in scenario.calls() {
        let get = |key: &str| call.environment.get(key).map(String::as_str);
        assert!(call.current_dir.ends_with("wso2am-4.1.0/bin"), "{:?}", call.current_dir);
        assert!(
            ["HOME", "TMPDIR"]
                .iter()
                .all(|key| get(key).is_some_and(|path| path.starts_with(temporary.to_str().expect("UTF-8"))))
        );
        assert_eq!(
            (get("HTTPS_PROXY"), get("BUILD_TAG"), get("HOTFIX_NOISE"), get("XDG_CACHE_HOME")),
            (Some("http://proxy:1"), Some("jenkins-1"), None, None)
        );
    }
}

/// What any tool does, in shell: its records, and one file a hotfix.
const RECORDS: &str = r#"mkdir -p $home/updates; echo "{ \"update-level\": \"10\", \"n\": \"$(basename "$2")\" }" > $home/updates/config.json
[ $1 = current-state ] || echo x > $home/$(basename "$2").txt"#;

#[test]
fn it_leaves_processes_in_sessions_of_their_own() {
    let scenario = Scenario::new().with_script(&format!("{RECORDS}\nsetsid sleep 1000 &\nsetsid -f sleep 1000"));
    scenario.apply().succeeds();
}

#[test]
fn it_makes_a_folder_beforehand_that_a_hotfix_puts_files_into() {
    let script = format!("{RECORDS}\nmkdir -p $home/patches\n[ $1 = current-state ] || echo x > $home/patches/a.jar");
    let scenario = Scenario::new().with_script(&script);
    scenario.apply().succeeds();
    let layer = crate::support::layout::Layout::open(&scenario.path("image"), "4.1.0.10-hf3").layer(1);
    let folder = &layer["home/wso2carbon/wso2am-4.1.0/patches"];
    assert_eq!((folder.kind, folder.owner, folder.mode), (tar::EntryType::Directory, (10001, 10001), 0o755));
}

#[test]
fn it_leaves_what_no_image_can_hold() {
    let left = |what: &str| Scenario::new().with_script(&format!("{RECORDS}\n[ $1 = current-state ] || {what}"));
    left("echo x > $home/.wh.bin")
        .apply()
        .fails(6, "apply-hotfixes")
        .says("a hotfix left .wh.bin, a name that means a deletion");
    left("[ -e $home/pipe ] || mkfifo $home/pipe")
        .apply()
        .fails(8, "build-image")
        .says("a hotfix left pipe, which is neither");
    left("touch $home/$(printf '\\377')").apply().fails(6, "apply-hotfixes").says("is not UTF-8");
}

#[test]
fn it_makes_folders_that_nobody_may_open() {
    let script = format!("{RECORDS}\nmkdir -p \"$HOME/a/b\"; chmod 000 \"$HOME/a/b\"; chmod 000 \"$HOME/a\"");
    Scenario::new().with_script(&script).apply().succeeds();
}

#[test]
fn it_changes_only_its_records() {
    let script = RECORDS.replace("[ $1 = current-state ] ||", "true ||");
    Scenario::new().with_script(&script).apply().succeeds().says("hotfix 1 changed no file of the product");
}
