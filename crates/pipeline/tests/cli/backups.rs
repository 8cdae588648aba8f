//! `hotfix state` and `backup`: what users keep in a product.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use update_tool_sim::ToolBehaviour;

use crate::support::installed::{Installed, OWN, README, SETTINGS};

/// Whether each folder is taken, with the reason.
fn decisions(answer: &Value) -> Vec<(String, bool, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let folders = answer["folders"].as_array().expect("a list");
    folders.iter().map(|one| (text(&one["folder"]), one["taken"] == true, text(&one["reason"]))).collect()
}

fn taken(installed: &Installed, more: &str) -> Vec<String> {
    let answer = installed.json(&format!("backup HOME --to b.tar.zst --dry-run{more}"));
    decisions(&answer).into_iter().filter(|one| one.1).map(|one| one.0.replace("repository/", "")).collect()
}

fn reason(installed: &Installed, folder: &str, more: &str) -> String {
    let answer = installed.json(&format!("backup HOME --to b.tar.zst --dry-run{more}"));
    decisions(&answer).into_iter().find(|one| one.0 == folder).expect("a folder").2
}

#[test]
fn where_a_product_stands() {
    let installed = Installed::new().with_hotfixes(2).with_own_data();
    let state = installed.json("state HOME --pack packs/wso2am-4.1.0.10.zip");
    assert_eq!((&state["product"], &state["version"]), (&"wso2am".into(), &"4.1.0".into()));
    assert_eq!((&state["update_level"], &state["hotfixes"]), (&10.into(), &2.into()));
    assert_eq!((&state["update_tool"], &state["server"]), (&"update tool 1.7.20".into(), &Value::Null));
    let own: Vec<_> = state["folders"].as_array().expect("a list").iter().map(|one| one["files"].clone()).collect();
    // The second hotfix added a file to the first of them.
    assert_eq!(own, [2, 1, 1, 1, 1, 1, 0]);
    let text = installed.run("state HOME").succeeds().stdout;
    for line in [
        "product   wso2am 4.1.0 at update level 10\n",
        "hotfixes  2 applied\n",
        "tool      update tool 1.7.20\n",
        "server    does not run\n",
        "repository/components/lib      1 files",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let run = installed.run("state packs/wso2am-4.1.0.10.zip").succeeds();
    assert!(run.stdout.starts_with("product   wso2am 4.1.0 at update level 10\n"), "{}", run.stdout);
    for (what, words) in [
        ("nothing", "error: there is no nothing"),
        ("packs", "error: packs holds no product: updates/product.txt in it cannot be read"),
        ("hotfixes/wso2am-4.1.0.10-hf-1.zip", "error: hotfixes/wso2am-4.1.0.10-hf-1.zip "),
    ] {
        installed.run(&format!("state {what}")).fails_with(4).says(words);
    }
}

#[test]
fn a_fresh_product_stands_nowhere_yet() {
    let installed = Installed::new();
    let state = installed.json("state HOME");
    assert_eq!((&state["update_level"], &state["hotfixes"]), (&Value::Null, &0.into()));
    installed.put("updates/config.json", "{");
    installed.run("state HOME").fails_with(4).says("updates/config.json cannot be read");
    installed.put("updates/product.txt", "something");
    installed.run("state HOME").fails_with(4).says("its updates/product.txt says 'something'");
}

#[test]
fn a_server_that_runs_is_seen() {
    let installed = Installed::new().with_own_data();
    let mut server = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
    installed.put("wso2carbon.pid", &server.id().to_string());
    assert_eq!(installed.json("state HOME")["server"]["pid"], server.id());
    let run = installed.run("backup HOME --to b.tar.zst").fails_with(4);
    run.says(&format!("repository/database is in use by the server that runs (process {})", server.id()));
    installed.run("backup HOME --to b.tar.zst --exclude repository/database").succeeds();
    let run = installed.run("restore b.tar.zst HOME").fails_with(4);
    run.says("a server runs from ").says("stop it first");
    installed.run("restore b.tar.zst HOME --dry-run").succeeds();
    server.kill().and_then(|()| server.wait()).expect("it ends");
    assert_eq!(installed.json("state HOME")["server"], Value::Null);
    installed.put("wso2carbon.pid", "soon");
    installed.run("restore b.tar.zst HOME").fails_with(4).says("wso2carbon.pid holds no process number: 'soon'");
}

#[test]
fn of_api_manager_the_vendors_conditions() {
    let installed = Installed::new();
    let pack = " --pack packs/wso2am-4.1.0.10.zip";
    // As it was unpacked there is nothing to take.
    assert_eq!(taken(&installed, pack), [""; 0]);
    for (folder, why) in [
        ("repository/deployment/server", "it is as in the pack"),
        ("repository/tenants", "there is nothing in it"),
        ("repository/resources/security", "it is as in the pack"),
        ("repository/logs", "logs are taken where they are wanted (--include repository/logs)"),
    ] {
        assert_eq!(reason(&installed, folder, pack), why, "{folder}");
    }
    let installed = installed.with_own_data();
    installed.put("repository/logs/wso2carbon.log", "a log\n");
    let all =
        ["deployment/server", "tenants", "resources/security", "database", "components/lib", "components/dropins"];
    assert_eq!(taken(&installed, pack), all);
    assert_eq!(reason(&installed, "repository/tenants", pack), "there are tenants: 1 files are not as in the pack");
    assert_eq!(taken(&installed, &format!("{pack} --include repository/logs")).last().expect("one"), "logs");
    // Databases elsewhere are backed up there.
    installed
        .put(SETTINGS, "[database.apim_db]\ntype = \"mysql\"\n[database.shared_db]\nurl = \"jdbc:mysql://db/s\"\n");
    let external = "repository/conf/deployment.toml names external databases only (mysql, mysql); \
                    --include repository/database takes what is there all the same";
    assert_eq!(reason(&installed, "repository/database", pack), external);
    installed.put(SETTINGS, "[database.apim_db]\ntype = \"mysql\"\n[database.shared_db]\ntype = \"h2\"\n");
    assert!(
        reason(&installed, "repository/database", pack)
            .starts_with("repository/conf/deployment.toml names an embedded H2")
    );
    // Key stores that are only changed, and one that is gone.
    installed.put("repository/resources/security/client-truststore.jks", "another one\n");
    fs::remove_file(installed.path("repository/resources/security/empty.txt")).expect("there");
    let why = "key stores can have been changed: 2 files are not as in the pack, and 1 are gone";
    assert_eq!(reason(&installed, "repository/resources/security", pack), why);
}

#[test]
fn of_identity_server_no_artifacts() {
    for product in ["wso2is", "wso2is-km"] {
        let installed = Installed::of(product, "7.1.0", |pack| pack).with_own_data();
        let all = ["tenants", "resources/security", "database", "components/lib", "components/dropins"];
        assert_eq!(taken(&installed, ""), all, "{product}");
        let why = "identity products keep no APIs and execution plans";
        assert_eq!(reason(&installed, "repository/deployment/server", ""), why);
        assert_eq!(taken(&installed, " --include repository/deployment/server").len(), 6);
    }
}

#[test]
fn of_micro_integrator_no_tenants() {
    let installed = Installed::of("wso2mi", "4.2.0", |pack| pack).with_own_data();
    let all = ["deployment/server", "resources/security", "database", "components/lib", "components/dropins"];
    assert_eq!(taken(&installed, ""), all);
    assert_eq!(reason(&installed, "repository/tenants", ""), "Micro Integrator has no tenants");
    assert_eq!(taken(&installed, " --include repository/tenants").len(), 6);
}

#[test]
fn a_name_that_is_no_text_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let installed = Installed::new().with_own_data();
    let name = std::ffi::OsStr::from_bytes(b"a\xff");
    fs::write(installed.path("repository/tenants").join(name), "x").expect("written");
    let run = installed.run("backup HOME --to b.tar.zst").fails_with(4);
    run.says("repository/tenants cannot be read").says("is not UTF-8").says("rename what has a name that is not UTF-8");
    installed.run("backup HOME --to b.tar.zst --exclude repository/tenants").succeeds();
    // Of what is left anyway nobody has to rename anything.
    fs::rename(installed.path("repository/tenants").join(name), installed.path("repository/logs").join(name))
        .expect("moved");
    installed.run("state HOME").succeeds();
    installed.run("backup HOME --to c.tar.zst").succeeds();
    installed.run("backup HOME --to d.tar.zst --include repository/logs").fails_with(4).says("repository/logs cannot");
    installed.run("migrate HOME --to-level 20 --backup e.tar.zst").succeeds();
}

#[test]
fn data_that_is_not_mounted_is_not_no_data() {
    let installed = Installed::new().with_own_data();
    fs::remove_dir_all(installed.path("repository/tenants")).expect("there");
    symlink("/mnt/nowhere", installed.path("repository/tenants")).expect("a link");
    for command in ["backup HOME --to b.tar.zst", "migrate HOME --to-level 20 --backup b.tar.zst"] {
        let run = installed.run(command).fails_with(4);
        run.says("repository/tenants is a link to what is not there").says("--exclude repository/tenants");
    }
    installed.run("backup HOME --to b.tar.zst --exclude repository/tenants").succeeds();
}

#[test]
fn a_database_in_use_is_in_no_backup() {
    let installed = Installed::new().with_own_data();
    installed.put("wso2carbon.pid", &std::process::id().to_string());
    installed
        .run("backup HOME --to b.tar.zst")
        .fails_with(4)
        .says("repository/database is in use by the server that runs");
    // By another way.
    let external = ["shared_db", "apim_db"].map(|name| format!("[database.{name}]\ntype = \"mysql\"\n")).concat();
    installed.put(SETTINGS, &external);
    for wish in ["repository", OWN[3].0] {
        let run = installed.run(&format!("backup HOME --to b.tar.zst --include {wish}")).fails_with(4);
        run.says("repository/database is in use by the server that runs");
    }
    installed.run("backup HOME --to a.tar.zst").succeeds();
    installed.run("backup HOME --to b.tar.zst --include repository --exclude repository/database").succeeds();
}

#[test]
fn a_database_that_is_not_named_is_where_it_came() {
    let installed = Installed::new().with_own_data();
    let names = |names: &[&str]| -> String {
        names.iter().map(|name| format!("[database.{name}]\ntype = \"mysql\"\n")).collect()
    };
    installed.put(SETTINGS, &names(&["shared_db"]));
    let why = reason(&installed, "repository/database", "");
    assert!(
        why.starts_with("repository/conf/deployment.toml does not name apim_db, so WSO2AM_DB.mv.db is in use"),
        "{why}"
    );
    installed.put(SETTINGS, &names(&["shared_db", "apim_db"]));
    assert!(reason(&installed, "repository/database", "").contains("external databases only (mysql, mysql)"));
}

#[test]
fn a_backup_is_where_it_is_safe() {
    let installed = Installed::new().with_own_data();
    installed.run("backup HOME --to HOME/b.tar.zst").fails_with(4).says("cannot be written");
    let inside = format!("{}/b.tar.zst", installed.home);
    installed.run(&format!("backup HOME --to {inside}")).fails_with(4).says("is in the product itself");
    installed.run("backup HOME --to b.tar.zst").succeeds();
    installed
        .run("backup HOME --to b.tar.zst")
        .fails_with(4)
        .says("b.tar.zst is there already")
        .says("never overwritten");
    for wish in ["--include ../x", "--exclude /etc", "--include=", "--include ."] {
        installed.run(&format!("backup HOME --to c.tar.zst {wish}")).fails_with(2).says("expected a path ");
    }
    let run = installed.run("backup HOME --to c.tar.zst --include .hotfix-migration").fails_with(2);
    run.says("that is hotfix's own");
    installed
        .run("backup HOME --to c.tar.zst --include repository/nothing")
        .fails_with(4)
        .says("there is no repository/nothing in ");
    let other = Installed::of("wso2mi", "4.2.0", |pack| pack);
    fs::copy(other.scenario.pack(), installed.scenario.path("packs/wso2mi-4.2.0.10.zip")).expect("copied");
    let run = installed.run("backup HOME --to c.tar.zst --pack packs/wso2mi-4.2.0.10.zip").fails_with(4);
    run.says("is wso2am-4.1.0, and the pack packs/wso2mi-4.2.0.10.zip is wso2mi-4.2.0");
    installed.tool(&["--level", "15"]);
    let run = installed.run("backup HOME --to c.tar.zst --pack packs/wso2am-4.1.0.10.zip").fails_with(4);
    run.says("is at update level 15, and the pack packs/wso2am-4.1.0.10.zip at 10");
    assert!(!installed.scenario.path("c.tar.zst").exists());
}

#[test]
fn more_than_the_list_can_be_taken() {
    let installed = Installed::new().with_own_data();
    let wishes = format!("--include repository/conf/ --include {README} --exclude repository/tenants/1");
    let answer = installed.json(&format!("backup HOME --to b.tar.zst {wishes}"));
    let folders: Vec<String> = decisions(&answer).into_iter().filter(|one| one.1).map(|one| one.0).collect();
    assert_eq!(folders[folders.len() - 2..], [README, "repository/conf"]);
    fs::remove_file(installed.path(README)).expect("there");
    fs::remove_dir_all(installed.path("repository/tenants")).expect("there");
    installed.run("restore b.tar.zst HOME").succeeds();
    assert_eq!(installed.text(README), "How to start the server.\n");
    assert!(!installed.path(OWN[1].0).exists());
}

#[test]
fn data_that_is_elsewhere_is_the_users_too() {
    let installed = Installed::new().with_own_data();
    let elsewhere = installed.scenario.path("nfs-tenants");
    fs::rename(installed.path("repository/tenants"), &elsewhere).expect("moved");
    symlink(&elsewhere, installed.path("repository/tenants")).expect("a link");
    installed.run("backup HOME --to b.tar.zst").succeeds();
    fs::remove_file(installed.path(OWN[1].0)).expect("there");
    installed.run("restore b.tar.zst HOME").succeeds();
    assert_eq!(fs::read_to_string(elsewhere.join("1/axis2services/a.aar")).expect("there"), OWN[1].1);
}

#[test]
fn an_old_tool_that_says_no_version_is_no_failure() {
    let installed = Installed::of("wso2am", "4.1.0", |pack| pack.tool(ToolBehaviour::default()).tool_run_bit(false));
    let state = installed.json("state HOME");
    assert_eq!(state["update_tool"], Value::Null);
}

#[test]
fn links_that_lead_elsewhere_are_warned_of() {
    let installed = Installed::new().with_own_data();
    let folder = installed.path("repository/deployment/server");
    symlink("/srv/wars", folder.join("webapps-elsewhere")).expect("a link");
    symlink("synapse-configs/default", folder.join("here")).expect("a link");
    let run = installed.run("backup HOME --to b.tar.zst").succeeds();
    let run = run
        .says("what the link repository/deployment/server/webapps-elsewhere leads to is not in the backup: /srv/wars");
    assert!(!run.stderr.contains("server/here"), "{}", run.stderr);
}

#[test]
fn what_no_restore_would_take_is_not_backed_up() {
    let installed = Installed::new();
    let elsewhere = installed.scenario.path("elsewhere");
    fs::create_dir_all(&elsewhere).expect("made");
    symlink(&elsewhere, installed.path("repository/mine")).expect("a link");
    let run = installed.run("backup HOME --to b.tar.zst --include repository/mine").fails_with(4);
    run.says("repository/mine is a link, and 'hotfix restore' would not write through it");
    // Folders of the vendor's list can be links, and to leave something out is always possible.
    installed.run("backup HOME --to b.tar.zst --exclude repository/mine").succeeds();
}

#[test]
fn a_backup_is_not_part_of_itself() {
    let installed = Installed::new().with_own_data();
    let elsewhere = installed.scenario.path("nfs");
    fs::rename(installed.path("repository/tenants"), &elsewhere).expect("moved");
    symlink(&elsewhere, installed.path("repository/tenants")).expect("a link");
    let run = installed.run("backup HOME --to nfs/b.tar.zst").fails_with(4);
    run.says("nfs/b.tar.zst is in repository/tenants, which is a link to there")
        .says("give --to with a file elsewhere");
    installed.run("backup HOME --to b.tar.zst").succeeds();
}

#[test]
fn a_folder_that_is_not_ones_own_is_no_full_disk() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can become somebody else");
        return;
    }
    let installed = Installed::new().of_somebody_else();
    let locked = installed.scenario.path("locked");
    fs::create_dir(&locked).expect("made");
    let run = installed.run("backup HOME --to locked/b.tar.zst").fails_with(4);
    run.says("locked/b.tar.zst cannot be written")
        .says("Permission denied")
        .says("give --to with a file in a folder that you may write to");
}
