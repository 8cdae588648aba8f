//! `hotfix migrate` and `revert`: the steps of the vendor's page, one after the other.

use std::fs;

use serde_json::{Value, json};
use update_tool_sim::{Fault, Update};

use crate::support::installed::{Installed, OWN, README, SETTINGS};

const MIGRATE: &str = "migrate HOME --to-level 20 --backup b.tar.zst";

/// Two hotfixes, data of the user's own, and a setting that was changed since.
fn server() -> Installed {
    let installed = Installed::new().with_hotfixes(2).with_own_data();
    installed.put(SETTINGS, &installed.text(SETTINGS).replace("127.0.0.1", "10.0.0.7"));
    installed
}

fn has_own_data(installed: &Installed) {
    for (path, text) in OWN {
        assert_eq!(installed.text(path), text, "{path}");
    }
}

#[test]
fn from_hotfixes_to_a_level() {
    let installed = server();
    let before = installed.scenario.calls().len();
    let answer = installed.json(MIGRATE);
    assert_eq!(installed.standing(), ("20".to_owned(), 0));
    assert_eq!(
        installed.calls_since(before),
        ["current-state", "revert-hotfix", "revert-hotfix", "current-state", "--level 20"]
    );
    assert_eq!(answer["from"], json!({ "update_level": 10, "hotfixes": 2 }));
    assert_eq!(answer["to"], json!({ "update_level": 20, "hotfixes": 0 }));
    assert_eq!(answer["taken_back"], json!([{ "path": SETTINGS, "remedy": "merge" }]));
    let added = answer["changes"]["added"].as_array().expect("a list");
    assert!(added.contains(&"bin/fix.txt".into()), "{answer}");
    assert!(answer["changes"]["changed"].as_array().expect("a list").contains(&README.into()), "{answer}");
    assert_eq!(installed.text(README), "How to start the server of level 20.\n");
    assert!(installed.text(SETTINGS).contains("offset = 0") && !installed.text(SETTINGS).contains("10.0.0.7"));
    has_own_data(&installed);
    assert!(!installed.path(".hotfix-migration").exists());
    // What was taken back is in the backup.
    installed.run("restore b.tar.zst HOME --only repository/conf --force").succeeds();
    assert!(installed.text(SETTINGS).contains("10.0.0.7"));
    let again = installed.run("migrate HOME --to-level 20").succeeds().stdout;
    assert!(again.ends_with("is at level 20 with 0 hotfixes: nothing to do\n"), "{again}");
}

#[test]
fn step_1_the_server_is_stopped() {
    let installed = server();
    let mut process = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
    installed.put("wso2carbon.pid", &process.id().to_string());
    for command in [MIGRATE, "revert HOME", "migrate HOME --to-level 20 --dry-run"] {
        let run = installed.run(command).fails_with(4);
        run.says("error: validate-inputs: a server runs from ").says(&format!("process {}", process.id()));
    }
    process.kill().and_then(|()| process.wait()).expect("it ends");
    assert_eq!(installed.standing(), ("10".to_owned(), 2));
    installed.run(MIGRATE).succeeds();
}

#[test]
fn step_2_the_backup_comes_first() {
    let installed = server();
    let before = installed.scenario.calls().len();
    // A file that cannot be read is no backup, and without one nothing is touched.
    fs::create_dir(installed.path("repository/tenants/2")).expect("a folder");
    installed
        .run("migrate HOME --to-level 20 --backup nowhere/b.tar.zst")
        .fails_with(4)
        .says("nowhere/b.tar.zst cannot be written");
    let inside = format!("{}/b.tar.zst", installed.home);
    let run = installed.run(&format!("migrate HOME --to-level 20 --backup {inside}")).fails_with(4);
    run.says("is in the product itself").says("give --backup with a file elsewhere");
    assert_eq!((installed.standing(), installed.calls_since(before)), (("10".to_owned(), 2), Vec::new()));
    installed.run("migrate HOME --to-level 20 --no-backup ok").fails_with(2).says("expected a reason, in words");
    installed.run("migrate HOME --to-level 20 --no-backup a-good-reason --backup x").fails_with(2);
    // Beside the product, where nothing else is said.
    let run = installed.run("migrate HOME --to-level 20").succeeds();
    let beside = fs::read_dir(installed.scenario.path("servers")).expect("there").filter_map(Result::ok);
    let found: Vec<_> = beside.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    let backup = found.iter().find(|name| name.starts_with("wso2am-4.1.0-level-10-hf2-")).expect("a backup");
    assert!(run.stdout.contains(backup), "{}", run.stdout);
    let shown = installed.run(&format!("restore servers/{backup} HOME --dry-run")).succeeds().stdout;
    assert!(shown.contains(SETTINGS), "{shown}");
}

#[test]
fn step_2_without_a_backup_there_is_a_reason() {
    let installed = server();
    let run = installed.scenario.run(&[
        "migrate",
        &installed.home,
        "--to-level",
        "20",
        "--no-backup",
        "the virtual machine has a snapshot",
    ]);
    run.succeeds().says("nothing is backed up: the virtual machine has a snapshot");
    assert_eq!(installed.standing(), ("20".to_owned(), 0));
}

#[test]
fn step_3_the_tool_is_made_ready() {
    let installed = Installed::with_tool(|tool| tool.accepts = Some(("x".to_owned(), "y".to_owned())));
    installed
        .run("migrate HOME --to-level 20 --backup b.tar.zst")
        .fails_with(6)
        .says("error: initialize-update-tool: ");
    let installed = Installed::with_tool(|tool| tool.self_updates = 2);
    installed.run("migrate HOME --to-level 20 --backup b.tar.zst").succeeds();
    assert_eq!(
        installed.calls_since(0),
        ["current-state", "current-state", "current-state", "current-state", "--level 20"]
    );
    let missing = Installed::of("wso2am", "4.1.0", update_tool_sim::PackBuilder::without_tool);
    missing.run(MIGRATE).fails_with(4).says("has no update tool for this machine");
    let nobody = Installed { scenario: Installed::new().scenario.without_credentials(), home: missing.home.clone() };
    nobody.run(MIGRATE).fails_with(4).says("there are no credentials for the update tool");
}

#[test]
fn step_4_hotfixes_are_reverted_newest_first() {
    let installed = Installed::new().with_hotfixes(3);
    let clean = Installed::new();
    let run = installed.run("revert HOME --backup 1.tar.zst").succeeds();
    assert!(run.stdout.contains("from level 10 with 3 hotfixes to level 10 with 2"), "{}", run.stdout);
    run.says("hotfix 3 is reverted, 2 left");
    let run = installed.run("revert HOME --all --backup 2.tar.zst").succeeds();
    run.says("hotfix 2 is reverted, 1 left").says("hotfix 1 is reverted, 0 left");
    assert_eq!((installed.standing(), installed.files()), (("10".to_owned(), 0), clean.files()));
    assert!(installed.run("revert HOME --all").succeeds().stdout.ends_with("with 0 hotfixes: nothing to do\n"));
    installed.run("revert HOME").fails_with(4).says("no hotfix is applied in ");
}

#[test]
fn step_4_what_the_tool_says_is_looked_at() {
    let installed = Installed::with_tool(|tool| tool.on_revert_hotfix = Fault::ExitCode(0)).with_hotfixes(2);
    let run = installed.run("revert HOME --all --backup b.tar.zst").fails_with(6);
    run.says("error: revert-hotfixes: the update tool said that hotfix 2 is reverted, but its records have 2 hotfixes")
        .says("so far: the backup is ")
        .says("/b.tar.zst, and nothing was changed");
    let installed = Installed::with_tool(|tool| tool.on_revert_hotfix = Fault::Error).with_hotfixes(1);
    let run = installed.run("revert HOME --backup b.tar.zst").fails_with(6);
    run.says("the update tool could not revert the newest hotfix: exit code 1").says("~/.wso2-updates");
}

#[test]
fn step_5_the_tool_looks_again() {
    let installed = server();
    let before = installed.scenario.calls().len();
    installed.run("revert HOME --all --backup b.tar.zst").succeeds();
    let calls = installed.calls_since(before);
    assert_eq!(calls, ["current-state", "revert-hotfix", "revert-hotfix", "current-state"]);
}

#[test]
fn step_6_the_level_is_what_was_asked_for() {
    let installed = server();
    installed.run("migrate HOME --to-level 15 --backup 1.tar.zst").succeeds();
    assert_eq!(installed.standing(), ("15".to_owned(), 0));
    let run = installed.run("migrate HOME --to-level 12 --backup 2.tar.zst").fails_with(4);
    run.says("is at update level 15, which is beyond 12");
    let run = installed.run("migrate HOME --to-level 17 --backup 2.tar.zst").fails_with(6);
    run.says("error: update-product: the update tool could not take updates to level 17: exit code 1")
        .says("2.tar.zst, and nothing was changed");
    // So nothing is to be finished.
    assert!(!installed.run("state HOME").succeeds().stdout.contains("open"));
    installed.run("migrate HOME --to-level latest --backup 3.tar.zst").succeeds().does_not_say("is given up");
    assert_eq!(installed.standing(), ("20".to_owned(), 0));
    let lying = Installed::with_tool(|tool| tool.on_update = Fault::ExitCode(0));
    lying.tool(&["current-state"]);
    let run = lying.run(MIGRATE).fails_with(6);
    run.says("the update tool said that it is done, but the product is at level 10, not 20");
    installed.run("migrate HOME --to-level soon").fails_with(2).says("expected an update level such as 20, or latest");
}

#[test]
fn step_7_the_user_decides_on_conflicts() {
    let installed = Installed::new();
    installed.tool(&["current-state"]);
    installed.put(README, "Mine.\n");
    let run = installed.run(MIGRATE).fails_with(7);
    run.says("error: update-product: the vendor's update and you have changed the same 1 files: bin/README.txt")
        .says("README.txt.final): it is yours now, ")
        .says("goes on with --continue")
        .says("/b.tar.zst, level 10, 0 of 0 hotfixes; the same command goes on");
    for kind in ["original", "new"] {
        assert!(installed.path(&format!("{README}.{kind}")).exists(), "{kind}");
    }
    let state = installed.run("state HOME").succeeds().stdout;
    assert!(state.contains("open      moving to level 20, begun on "), "{state}");
    // There is no other way than on.
    for other in ["migrate HOME --to-level 15", "revert HOME --all"] {
        let run = installed.run(other).fails_with(4);
        run.says(" is in the middle of moving to level 20, begun on ").says("with conflicts").says("finish that first");
    }
    // Without a decision the tool is not even asked.
    let before = installed.scenario.calls().len();
    installed.run(MIGRATE).fails_with(7).says("bin/README.txt");
    assert_eq!(installed.calls_since(before), ["current-state"]);
    installed.put(&format!("{README}.final"), "Both.\n");
    installed.run(MIGRATE).succeeds();
    assert_eq!((installed.standing(), installed.text(README)), (("20".to_owned(), 0), "Both.\n".to_owned()));
    assert!(!installed.path(".hotfix-migration").exists());
}

#[test]
fn what_is_decided_by_hand_is_found_done() {
    let installed = Installed::new();
    installed.put(README, "Mine.\n");
    installed.run(MIGRATE).fails_with(7);
    installed.put(&format!("{README}.final"), "Both.\n");
    installed.tool(&["--continue"]);
    installed.run(MIGRATE).succeeds();
    assert_eq!(installed.standing(), ("20".to_owned(), 0));
}

#[test]
fn a_plan_changes_nothing() {
    let installed = server();
    let (before, calls) = (installed.files(), installed.scenario.calls().len());
    let plan = installed.run("migrate HOME --to-level 20 --pack packs/wso2am-4.1.0.10.zip --dry-run").succeeds().stdout;
    for line in [
        "product   wso2am 4.1.0 at update level 10\n",
        "          + repository/tenants: there are tenants: 1 files are not as in the pack\n",
        "          - repository/logs: logs are taken where they are wanted",
        "          + repository/conf: revert-hotfix takes back what was changed there since\n",
        "revert    hotfix 2\nrevert    hotfix 1\nupdate    to level 20 (whether there is one, only the update tool knows, afterwards)\n",
    ] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    assert_eq!((installed.files(), installed.scenario.calls().len()), (before, calls));
    let plan = installed.json("migrate HOME --to-level latest --dry-run");
    assert_eq!((&plan["revert"], &plan["target"], &plan["done"]), (&2.into(), &"latest".into(), &false.into()));
    installed
        .run("migrate HOME --to-level 20 --from-image x:1")
        .fails_with(2)
        .says("--from-image does not go with migrate");
    installed.run("migrate HOME").fails_with(2).says("--to-level");
    installed.run("migrate nowhere --to-level 20").fails_with(4).says("there is no nowhere");
}

#[test]
fn a_revert_that_was_stopped_can_become_a_migration() {
    let installed = Installed::with_tool(|tool| tool.on_update = Fault::Reverted).with_hotfixes(1);
    let run = installed.run(MIGRATE).fails_with(6);
    run.says("could not take updates to level 20: it reverted what it had done (exit code 4)");
    assert_eq!(installed.standing(), ("10".to_owned(), 0));
    // The backup is the one from before, and must be there.
    fs::rename(installed.scenario.path("b.tar.zst"), installed.scenario.path("moved")).expect("moved");
    let run = installed.run(MIGRATE).fails_with(4);
    run.says("b.tar.zst cannot be read").says("it was made before anything was changed: put it back");
    fs::rename(installed.scenario.path("moved"), installed.scenario.path("b.tar.zst")).expect("moved");
    let run = installed.run("migrate HOME --to-level 20 --backup other.tar.zst").fails_with(4);
    run.says("other.tar.zst was asked for, but the backup was made before anything was changed: ")
        .says("leave --backup out");
    let run = installed.run(&format!("{MIGRATE} --include repository/logs")).fails_with(4);
    run.says("repository/logs is not in the backup ").says("leave --include out");
    // It need not be finished.
    let run = installed.run("revert HOME --all").succeeds();
    run.says("moving to level 20, begun on ").says(" is given up");
    assert!(!installed.path(".hotfix-migration").exists());
}

#[test]
fn the_image_of_the_new_level() {
    let installed = server();
    installed.put("repository/logs/wso2carbon.log", "a log\n");
    let more = "--base-image scratch --output oci:image --tag team/am:4.1.0.20 --report report";
    let run = installed.run(&format!("{MIGRATE} {more}")).succeeds();
    assert!(run.stdout.ends_with("image team/am:4.1.0.20\n"), "{}", run.stdout);
    let contents = installed.json("inspect oci:image");
    assert_eq!((&contents["update_level"], &contents["hotfixes"]), (&20.into(), &json!([])));
    let layout = crate::support::layout::Layout::open(&installed.scenario.path("image"), "4.1.0.20");
    let files = layout.files();
    let home = "home/wso2carbon/wso2am-4.1.0";
    let text = |path: &str| String::from_utf8(files[&format!("{home}/{path}")].content.clone()).expect("UTF-8");
    assert_eq!(text(README), "How to start the server of level 20.\n");
    assert_eq!(text(OWN[4].0), OWN[4].1);
    for path in ["repository/logs/wso2carbon.log", "updates/logs", "wso2carbon.pid", ".hotfix-migration"] {
        assert!(!files.keys().any(|file| file.starts_with(&format!("{home}/{path}"))), "{path}");
    }
    let config: Value = serde_json::from_str(&text("updates/config.json")).expect("JSON");
    assert_eq!((&config["username"], &config["service"]["access-token"]), (&"".into(), &"".into()));
    // Where it is already, only the image is made; the same one.
    let again =
        installed.run("migrate HOME --to-level 20 --base-image scratch --output oci:again --tag x:1").succeeds();
    assert_eq!(again.stdout, "image x:1\n");
    let report = installed.scenario.report();
    assert_eq!((&report["outcome"], &report["product"]["update_level"]), (&"success".into(), &20.into()));
}

#[test]
fn a_password_in_the_product_gets_into_no_image() {
    let installed = Installed::new();
    installed.put("repository/conf/notes.txt", crate::support::scenario::PASSWORD);
    let run = installed.run(&format!("{MIGRATE} --base-image scratch --output oci:image --tag x:1")).fails_with(8);
    run.says("error: build-image: repository/conf/notes.txt holds the update tool's password")
        .does_not_say(crate::support::scenario::PASSWORD);
    assert!(!installed.scenario.path("image").exists() && !installed.scenario.path("b.tar.zst").exists());
}

#[test]
fn what_the_tool_starts_ends_with_it() {
    let installed = Installed::with_tool(|tool| tool.spawn_grandchild = true);
    installed.run(MIGRATE).succeeds();
    assert!(installed.scenario.path("home/.wso2-updates/left-behind.pids").exists());
}

#[test]
fn an_update_that_the_tool_never_heard_of() {
    let installed = Installed::with_tool(|tool| tool.updates = vec![Update::to(11)]);
    installed.run("migrate HOME --to-level latest --backup b.tar.zst").succeeds();
    assert_eq!(installed.standing(), ("11".to_owned(), 0));
}

#[test]
fn one_at_a_time() {
    let installed = server();
    let lock = fs::File::open(installed.path("")).expect("there");
    lock.lock().expect("nobody else has it");
    installed
        .run(MIGRATE)
        .fails_with(4)
        .says("error: validate-inputs: another hotfix, or an update tool that one has started, is at work on ");
    drop(lock);
    installed.run(MIGRATE).succeeds();
}

#[test]
fn what_is_set_for_pipelines_is_told() {
    let installed = Installed::new();
    installed.put(README, "Mine.\n");
    let scenario = installed.scenario.env("WSO2_UPDATES_SKIP_CONFLICTS", "true");
    let installed = Installed { scenario, home: installed.home };
    installed
        .run(MIGRATE)
        .succeeds()
        .says("WSO2_UPDATES_SKIP_CONFLICTS is set: files that you and the vendor have changed");
}

#[test]
fn what_stands_in_a_file_for_images_makes_none_of_a_server() {
    let installed = server();
    let file = "tag = [\"team/am:x\"]\npush = true\noutput = \"oci:image\"\nfrom-image = \"team/am:y\"\n";
    fs::write(installed.scenario.path("hotfix.toml"), file).expect("written");
    let run = installed.run(MIGRATE).succeeds();
    assert!(!run.stdout.contains("image "), "{}", run.stdout);
    assert!(!installed.scenario.path("image").exists());
}

#[test]
fn roots_files_in_somebody_elses_product_are_told() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can give files away");
        return;
    }
    let installed = server();
    std::os::unix::fs::chown(installed.path(""), Some(12345), None).expect("root may");
    for command in [MIGRATE, "revert HOME --dry-run"] {
        let run = installed.run(command).fails_with(4);
        run.says("belongs to the user 12345, and what the update tool writes would be root's").says("--allow-root");
    }
    installed.run(&format!("{MIGRATE} --allow-root")).succeeds();
}

#[test]
fn by_a_user_who_may_not() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can become somebody else");
        return;
    }
    let installed = server();
    let before = installed.files();
    let folder = installed.scenario.path("");
    std::os::unix::fs::chown(&folder, Some(12345), None).expect("root may");
    let scenario = installed.scenario.under(["setpriv", "--reuid=12345", "--clear-groups"]);
    let installed = Installed { scenario, home: installed.home };
    let run = installed.run(MIGRATE).fails_with(4);
    run.says("/.hotfix-migration cannot be written").says("run as the user whom the product belongs to");
    assert_eq!((installed.standing(), installed.files()), (("10".to_owned(), 2), before));
}
