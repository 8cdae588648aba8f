//! `hotfix migrate` and `revert` that go on after the update tool was let at the product: the first backup stays the one, nothing
//! written since is lost, and there is always a way out.

use std::fs;

use update_tool_sim::Fault;

use crate::support::installed::{Installed, OWN, README, SETTINGS};

const MIGRATE: &str = "migrate HOME --to-level 20";
/// What the update tool reverts the first hotfix with, and another place for it.
const KEPT: [&str; 2] = ["home/.wso2-updates/undo/wso2am-4.1.0/1", "home/kept"];

/// Stopped with one of two hotfixes reverted, with `options`.
fn half_way(options: &str) -> Installed {
    let installed = Installed::new().with_hotfixes(2).with_own_data();
    installed.put(SETTINGS, &installed.text(SETTINGS).replace("127.0.0.1", "10.0.0.7"));
    let kept = KEPT.map(|name| installed.scenario.path(name));
    fs::rename(&kept[0], &kept[1]).expect("moved");
    installed.run(&format!("{MIGRATE} {options}")).fails_with(6).says("level 10, 1 of 2 hotfixes");
    fs::rename(&kept[1], &kept[0]).expect("moved");
    installed
}

#[test]
fn what_was_written_since_is_in_a_second_backup() {
    let installed = half_way("--backup b.tar.zst");
    installed.put(OWN[1].0, "a newer service\n");
    installed.put(SETTINGS, "[server]\nhostname = \"mine\"\n");
    let plan = installed.run(&format!("{MIGRATE} --dry-run")).succeeds().stdout;
    assert!(plan.contains("b.tar.zst, made before; something is not as it was then\n"), "{plan}");
    assert_eq!(installed.backups(), Vec::<String>::new());
    let answer = installed.json(MIGRATE);
    assert!(answer["backup"].as_str().expect("a file").ends_with("/b.tar.zst"), "{answer}");
    let later = answer["later_backups"][0].as_str().expect("a file").to_owned();
    assert_eq!(installed.backups().len(), 1);
    installed.scenario.run(&["restore", &later, &installed.home, "--force"]).succeeds();
    assert_eq!(installed.text(SETTINGS), "[server]\nhostname = \"mine\"\n");
    assert_eq!(installed.text(OWN[1].0), "a newer service\n");
    installed.run("restore b.tar.zst HOME --force").succeeds();
    assert!(installed.text(SETTINGS).contains("10.0.0.7"));
}

#[test]
fn with_what_was_left_out_the_first_time_left_out_again() {
    let installed = half_way("--backup b.tar.zst --exclude repository/tenants");
    installed.put(SETTINGS, "[server]\n");
    let answer = installed.run(MIGRATE).succeeds().stdout;
    let later = answer.lines().find_map(|line| line.strip_prefix("what was not as in it when a run went on is in "));
    let shown = installed.scenario.run(&["restore", later.expect("a file"), &installed.home, "--dry-run"]).succeeds();
    assert!(shown.stdout.contains(SETTINGS) && !shown.stdout.contains("tenants"), "{}", shown.stdout);
}

#[test]
fn the_first_backup_is_not_forgotten() {
    let installed = half_way("--backup b.tar.zst");
    let answer = installed.run(&format!("{MIGRATE} --no-backup there-is-one-already")).succeeds().stdout;
    assert!(answer.contains("/b.tar.zst\n"), "{answer}");
    // Where it is lost, that is the way on.
    let installed = half_way("--backup b.tar.zst");
    fs::remove_file(installed.scenario.path("b.tar.zst")).expect("there");
    installed.run(MIGRATE).fails_with(4).says("put it back, or give --no-backup with a reason");
    installed.run(&format!("{MIGRATE} --no-backup it-is-lost")).succeeds();
}

#[test]
fn a_backup_that_comes_too_late_is_refused() {
    let installed = half_way("--no-backup the-disk-has-a-snapshot");
    for option in ["--backup late.tar.zst", "--include repository/logs"] {
        let run = installed.run(&format!("{MIGRATE} {option}")).fails_with(4);
        run.says("a backup was asked for, but moving to level 20, begun on ")
            .says(" without one: what is there now is not what was there then")
            .says("'hotfix backup' makes one of what is there now");
    }
    assert!(!installed.scenario.path("late.tar.zst").exists());
    installed.run(MIGRATE).succeeds();
}

#[test]
fn another_backup_is_not_taken_for_the_first() {
    let installed = half_way("--backup b.tar.zst");
    fs::remove_file(installed.scenario.path("b.tar.zst")).expect("there");
    installed.run("backup HOME --to b.tar.zst --include repository/conf").succeeds();
    installed.run(MIGRATE).fails_with(4).says("b.tar.zst is not the backup that was made before anything was changed");
}

#[test]
fn what_was_left_out_is_not_taken_for_included() {
    let installed = half_way("--backup b.tar.zst --exclude repository/tenants/1");
    let run = installed.run(&format!("{MIGRATE} --include repository/tenants/1")).fails_with(4);
    run.says("repository/tenants/1 is not in the backup ");
}

#[test]
fn only_one_is_reverted_also_after_something_else_was_given_up() {
    let installed = Installed::with_tool(|tool| tool.slow_ms = 300).with_hotfixes(3);
    let kept = ["home/.wso2-updates/undo/wso2am-4.1.0/2", "home/kept"].map(|name| installed.scenario.path(name));
    fs::rename(&kept[0], &kept[1]).expect("moved");
    installed.run(&format!("{MIGRATE} --backup b.tar.zst")).fails_with(6).says("2 of 3 hotfixes");
    fs::rename(&kept[1], &kept[0]).expect("moved");
    let before = installed.scenario.calls().len();
    let mut child = installed.scenario.spawn(&["revert", &installed.home]);
    // Ready, reverted, and killed while the tool is asked for the state.
    installed.wait_for_calls(before + 3);
    child.kill().and_then(|()| child.wait()).expect("it was started");
    assert_eq!(installed.standing(), ("10".to_owned(), 1));
    installed.run("revert HOME").succeeds();
    assert_eq!(installed.standing(), ("10".to_owned(), 1));
}

#[test]
fn a_decision_of_another_time_is_shown() {
    let installed = Installed::new();
    installed.put(README, "Mine.\n");
    installed.put(&format!("{README}.final"), "An old decision.\n");
    let run = installed.run(MIGRATE).fails_with(7);
    run.says("bin/README.txt.final was there before, and decides unless you change it");
    assert_eq!(installed.text(README), "Mine.\n");
    installed.run(MIGRATE).succeeds();
    assert_eq!(installed.text(README), "An old decision.\n");
}

#[test]
fn no_decision_is_none_also_where_the_versions_are_gone() {
    let installed = Installed::new();
    installed.put(README, "Mine.\n");
    installed.run(MIGRATE).fails_with(7);
    for version in ["new", "original"] {
        fs::remove_file(installed.path(&format!("{README}.{version}"))).expect("there");
    }
    installed.run(MIGRATE).fails_with(7).says("have changed the same 1 files: bin/README.txt");
}

#[test]
fn conflicts_without_files_leave_every_way_open() {
    let installed = Installed::with_tool(|tool| tool.on_update = Fault::Conflict).with_hotfixes(1);
    let run = installed.run(&format!("{MIGRATE} --backup b.tar.zst")).fails_with(7);
    run.says("it has left no versions of files (.original, .new) to decide on")
        .says("another --to-level, or 'hotfix revert', can be given instead");
    installed.run("migrate HOME --to-level 15 --dry-run").succeeds();
    installed.run("revert HOME --all").succeeds();
}

#[test]
fn without_its_notes_of_before_it_is_begun_anew() {
    let installed = half_way("--backup b.tar.zst");
    fs::remove_file(installed.path(".hotfix-migration/before.json")).expect("there");
    let run = installed.run(MIGRATE).fails_with(4);
    run.says(".hotfix-migration/before.json cannot be read")
        .says("if it is lost, remove ")
        .says(", and begin anew: the backup is ")
        .says("b.tar.zst");
    fs::remove_dir_all(installed.path(".hotfix-migration")).expect("there");
    installed.run(MIGRATE).succeeds();
}

#[test]
fn what_root_has_begun_is_told_to_be_roots() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can become somebody else");
        return;
    }
    let installed = half_way("--backup b.tar.zst").of_somebody_else();
    for name in ["", "journal.json", "before.json"] {
        let path = installed.path(".hotfix-migration").join(name);
        std::os::unix::fs::chown(path, Some(0), Some(0)).expect("root may");
    }
    let run = installed.run(MIGRATE).fails_with(4);
    run.says(".hotfix-migration belongs to the user 0, who was moving to level 20, begun on ").says("(chown -R)");
}

#[test]
fn another_level_is_offered_where_one_fails() {
    let installed = Installed::new().with_hotfixes(1);
    let run = installed.run("migrate HOME --to-level 17").fails_with(6);
    run.says("the same command goes on, another --to-level can take its place");
}

#[test]
fn a_level_is_a_number() {
    let installed = Installed::new().with_hotfixes(1);
    let config = installed.text("updates/config.json");
    assert!(config.contains("\"update-level\": \"10\""), "{config}");
    let level = |level: &str| installed.put("updates/config.json", &config.replace("\"10\"", level));
    level("10");
    assert!(installed.run("state HOME").succeeds().stdout.contains("at update level 10\n"));
    level("\"x\"");
    let run = installed.run(MIGRATE).fails_with(4);
    run.says("updates/config.json cannot be read").says("its update-level is no number: x");
}
