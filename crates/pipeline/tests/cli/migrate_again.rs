//! `hotfix migrate` and `revert` once more, after a run that was stopped or failed: what is still so is trusted, what can be another
//! by now is not.

use std::fs;

use update_tool_sim::Fault;

use crate::support::installed::{Installed, OWN, README, SETTINGS};
use crate::support::scenario::PASSWORD;

const MIGRATE: &str = "migrate HOME --to-level 20";
/// What the update tool reverts the second hotfix with, and another place for it.
const KEPT: [&str; 2] = ["home/.wso2-updates/undo/wso2am-4.1.0/2", "home/kept"];

/// With a tool that lets nobody in, so that a run ends after its backup.
fn locked_out() -> Installed {
    let installed = Installed::new().with_hotfixes(1).with_own_data();
    let behave =
        |accepted: &str| installed.set_tool(|tool| tool.accepts = Some(("somebody".to_owned(), accepted.to_owned())));
    behave("else");
    installed.run(MIGRATE).fails_with(6).says("and nothing was changed");
    installed.set_tool(|tool| tool.accepts = None);
    installed
}

#[test]
fn what_was_written_since_is_backed_up_too() {
    let installed = locked_out();
    assert_eq!(installed.backups().len(), 1);
    installed.put(OWN[1].0, "a newer service\n");
    installed.put(SETTINGS, &installed.text(SETTINGS).replace("127.0.0.1", "10.0.0.7"));
    let answer = installed.json(MIGRATE);
    assert_eq!(answer["taken_back"], serde_json::json!([{ "path": SETTINGS, "remedy": "merge" }]));
    assert_eq!(installed.backups().len(), 2);
    let backup = answer["backup"].as_str().expect("a file").to_owned();
    fs::remove_file(installed.path(OWN[1].0)).expect("there");
    installed.scenario.run(&["restore", &backup, &installed.home, "--force"]).succeeds();
    assert_eq!(installed.text(OWN[1].0), "a newer service\n");
    assert!(installed.text(SETTINGS).contains("10.0.0.7"));
}

#[test]
fn what_is_as_it_was_is_not_backed_up_again() {
    let installed = locked_out();
    let before = installed.backups();
    let plan = installed.run(&format!("{MIGRATE} --dry-run")).succeeds().stdout;
    assert!(plan.contains(", made before\n"), "{plan}");
    installed.run(MIGRATE).succeeds();
    assert_eq!(installed.backups(), before);
}

#[test]
fn another_file_or_more_can_be_asked_for_until_something_is_changed() {
    let installed = locked_out();
    installed.put("repository/logs/wso2carbon.log", "a log\n");
    installed.run(&format!("{MIGRATE} --backup other.tar.zst --include repository/logs")).succeeds();
    let shown = installed.run("restore other.tar.zst HOME --dry-run --only repository/logs").succeeds().stdout;
    assert!(shown.contains("1 as they are in the backup"), "{shown}");
}

#[test]
fn a_run_that_failed_can_be_given_up_for_another_level() {
    let installed = Installed::new().with_hotfixes(2);
    let run = installed.run("migrate HOME --to-level 17 --backup b.tar.zst").fails_with(6);
    run.says("could not take updates to level 17")
        .says("b.tar.zst, level 10, 0 of 2 hotfixes; the same command goes on");
    let run = installed.run("migrate HOME --to-level 15").succeeds();
    run.says("moving to level 17, begun on ").says(" is given up");
    assert_eq!(installed.standing(), ("15".to_owned(), 0));
}

#[test]
fn one_is_not_all() {
    let installed = Installed::new().with_hotfixes(3);
    let kept = KEPT.map(|name| installed.scenario.path(name));
    fs::rename(&kept[0], &kept[1]).expect("moved");
    installed.run("revert HOME --all --backup b.tar.zst").fails_with(6).says("level 10, 2 of 3 hotfixes");
    fs::rename(&kept[1], &kept[0]).expect("moved");
    installed.run("revert HOME").succeeds();
    assert_eq!(installed.standing(), ("10".to_owned(), 1));
}

#[test]
fn from_another_folder_the_backup_is_found() {
    let installed = Installed::with_tool(|tool| tool.on_update = Fault::Reverted).with_hotfixes(1);
    installed.run(&format!("{MIGRATE} --backup b.tar.zst")).fails_with(6);
    installed.set_tool(|tool| tool.on_update = Fault::None);
    let home = installed.path("").to_str().expect("UTF-8").to_owned();
    installed
        .scenario
        .run_in("packs", &["migrate", &home, "--to-level", "20", "--backup", "../b.tar.zst"])
        .fails_with(4);
    installed.scenario.run_in("packs", &["migrate", &home, "--to-level", "20"]).succeeds();
}

#[test]
fn configuration_that_is_elsewhere_is_looked_at() {
    let installed = Installed::new().with_hotfixes(1);
    let elsewhere = installed.scenario.path("nfs-conf");
    fs::rename(installed.path("repository/conf"), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, installed.path("repository/conf")).expect("a link");
    installed.put(SETTINGS, &installed.text(SETTINGS).replace("127.0.0.1", "10.0.0.7"));
    let answer = installed.json(MIGRATE);
    assert_eq!(answer["taken_back"], serde_json::json!([{ "path": SETTINGS, "remedy": "merge" }]));
}

#[test]
fn versions_of_another_time_hide_no_conflict() {
    let installed = Installed::new();
    installed.run("migrate HOME --to-level 20 --dry-run").succeeds();
    installed.put(README, "Mine.\n");
    // As the tool will leave them, to the letter.
    installed.put(&format!("{README}.original"), "How to start the server.\n");
    installed.put(&format!("{README}.new"), "How to start the server of level 20.\n");
    for _ in 0..2 {
        installed.run(MIGRATE).fails_with(7).says("have changed the same 1 files: bin/README.txt");
    }
    installed.put(&format!("{README}.final"), "Both.\n");
    installed.run(MIGRATE).succeeds();
    assert_eq!(installed.text(README), "Both.\n");
}

#[test]
fn half_a_decision_is_none() {
    let installed = Installed::new();
    installed.put(README, "Mine.\n");
    installed.run(MIGRATE).fails_with(7);
    fs::remove_file(installed.path(&format!("{README}.new"))).expect("there");
    installed.run(MIGRATE).fails_with(7).says("bin/README.txt");
    fs::create_dir(installed.path(&format!("{README}.final"))).expect("made");
    installed.run(MIGRATE).fails_with(7).says("bin/README.txt");
}

#[test]
fn a_journal_that_cannot_be_read_blocks_only_what_needs_it() {
    let installed = Installed::new();
    installed.put(".hotfix-migration/journal.json", "{");
    let run = installed.run(MIGRATE).fails_with(4);
    run.says(".hotfix-migration/journal.json, which a run that was stopped has left, cannot be read")
        .says("then remove that folder, and begin anew");
    let state = installed.run("state HOME").succeeds().stdout;
    assert!(state.contains("journal.json, which a run that was stopped has left, cannot be read"), "{state}");
    installed.run("backup HOME --to b.tar.zst").succeeds();
}

#[test]
fn a_disk_that_is_full_names_the_option() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can mount");
        return;
    }
    let installed = Installed::new().with_own_data();
    let small = installed.scenario.path("small");
    fs::create_dir(&small).expect("made");
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=4k", "none"]).arg(&small).status();
    if !mount.is_ok_and(|status| status.success()) {
        crate::support::engine::skip_even_in_ci("nothing can be mounted here");
        return;
    }
    let run = installed.run(&format!("{MIGRATE} --backup small/b.tar.zst"));
    let left = fs::read_dir(&small).expect("there").count();
    let unmounted = std::process::Command::new("umount").arg(&small).status().expect("it starts");
    assert!(unmounted.success());
    run.fails_with(4)
        .says("small/b.tar.zst cannot be written")
        .says("No space left on device")
        .says("or give --backup with a file on another disk")
        .says("nothing was changed");
    assert_eq!(left, 0);
}

#[test]
fn a_server_that_was_started_meanwhile_stops_it() {
    let installed = Installed::with_tool(|tool| tool.slow_ms = 400).with_hotfixes(2);
    let before = installed.scenario.calls().len();
    let child = installed.scenario.spawn(&["migrate", &installed.home, "--to-level", "20", "--backup", "b.tar.zst"]);
    installed.wait_for_calls(before + 2);
    let mut server = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
    installed.put("wso2carbon.pid", &server.id().to_string());
    let output = child.wait_with_output().expect("it ends");
    server.kill().and_then(|()| server.wait()).expect("it ends");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("error: revert-hotfixes: a server runs from ") && said.contains("1 of 2 hotfixes"), "{said}");
    assert!(!said.contains(PASSWORD));
    installed.run(MIGRATE).succeeds();
}

#[test]
fn what_a_run_has_left_that_was_killed_at_its_end_goes() {
    let installed = Installed::new();
    installed.tool(&["--level", "20"]);
    installed.put(".hotfix-migration/before.json", "{}");
    installed.run("migrate HOME --to-level 20 --dry-run").succeeds();
    assert!(installed.path(".hotfix-migration").exists());
    assert!(installed.run(MIGRATE).succeeds().stdout.ends_with(": nothing to do\n"));
    assert!(!installed.path(".hotfix-migration").exists());
}

#[test]
fn what_cannot_be_read_is_told_by_its_name_before_anything_is_written() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can become somebody else");
        return;
    }
    let installed = Installed::new().of_somebody_else();
    fs::set_permissions(installed.path(README), fs::Permissions::from_mode(0o0)).expect("root may");
    installed.run(MIGRATE).fails_with(4).says("bin/README.txt cannot be read").says("nothing was changed");
    assert_eq!(installed.backups(), Vec::<String>::new());
}
