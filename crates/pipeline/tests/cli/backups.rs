//! `hotfix state`, `backup` and `restore`: what users keep in a product.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

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
    let external = "repository/conf/deployment.toml names external databases only (mysql, mysql)";
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
fn what_is_taken_comes_back() {
    let installed = Installed::new().with_own_data();
    let key_store = installed.path("repository/resources/security/mine.jks");
    fs::set_permissions(&key_store, fs::Permissions::from_mode(0o640)).expect("mine");
    symlink("mine.xml", installed.path("repository/deployment/server/synapse-configs/default/api/same.xml"))
        .expect("a link");
    fs::create_dir_all(installed.path("repository/tenants/2/empty")).expect("a folder");
    let name = "repository/tenants/2/a\nb'ü \u{1b}[31m".to_owned();
    installed.put(&name, "odd\n");
    let before = installed.files();
    let modified = |path: &std::path::Path| path.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    let time = modified(&key_store);
    let run = installed.run("backup HOME --to b.tar.zst --pack packs/wso2am-4.1.0.10.zip").succeeds();
    assert!(run.stdout.ends_with("read back and whole, in b.tar.zst\n"), "{}", run.stdout);
    let file = installed.scenario.path("b.tar.zst");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    // As it is, nothing is to be done.
    let run = installed.run("restore b.tar.zst HOME").succeeds();
    assert_eq!(run.stdout, "0 restored, 0 kept, 8 as they are in the backup\n");
    // A new server, from the pack.
    fs::remove_dir_all(installed.path("")).expect("there");
    let zip = File::open(installed.scenario.pack()).expect("a pack");
    zip::ZipArchive::new(zip).and_then(|mut zip| zip.extract(installed.scenario.path("servers"))).expect("it unpacks");
    let shown = installed.run("restore b.tar.zst HOME --dry-run").succeeds().stdout;
    assert!(
        shown.contains("+ repository/tenants/2/a\\nb'ü \\u{1b}[31m\n") && shown.contains(" to be restored, 0 kept"),
        "{shown}"
    );
    assert_ne!(installed.files(), before);
    installed.run("restore b.tar.zst HOME --only repository/tenants").succeeds();
    assert_eq!(installed.text(OWN[1].0), OWN[1].1);
    assert!(!key_store.exists());
    installed.run("restore b.tar.zst HOME").succeeds();
    assert_eq!(installed.files(), before);
    assert_eq!(key_store.metadata().expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(modified(&key_store), time);
    assert!(installed.path("repository/tenants/2/empty").is_dir());
    let link = installed.path("repository/deployment/server/synapse-configs/default/api/same.xml");
    assert_eq!(fs::read_link(link).expect("a link"), std::path::Path::new("mine.xml"));
}

#[test]
fn what_is_newer_stays() {
    let installed = Installed::new().with_own_data();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    let (older, newer) = (OWN[0].0, OWN[4].0);
    for (path, hours) in [(older, -1), (newer, 1_i64)] {
        installed.put(path, "another\n");
        let now = SystemTime::now();
        let offset = Duration::from_secs(3600);
        let time = if hours < 0 { now - offset } else { now + offset };
        File::options().write(true).open(installed.path(path)).and_then(|file| file.set_modified(time)).expect("set");
    }
    let shown = installed.run("restore b.tar.zst HOME --dry-run").succeeds().stdout;
    assert!(
        shown.starts_with(&format!("! {newer}  (newer there: kept)\n~ {older}\n1 to be restored, 1 kept")),
        "{shown}"
    );
    assert_eq!(installed.text(older), "another\n");
    let run = installed.run("restore b.tar.zst HOME").fails_with(11);
    run.says("1 files are newer in ").says("--force replaces them as well");
    assert_eq!((installed.text(older).as_str(), installed.text(newer).as_str()), (OWN[0].1, "another\n"));
    installed.run("restore b.tar.zst HOME --only repository/tenants").succeeds();
    installed.run("restore b.tar.zst HOME --force").succeeds();
    assert_eq!(installed.text(newer), OWN[4].1);
}

#[test]
fn what_is_no_backup_is_told_before_anything_is_written() {
    let installed = Installed::new().with_own_data();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    let whole = fs::read(installed.scenario.path("b.tar.zst")).expect("a backup");
    let damaged = |bytes: &[u8]| {
        fs::write(installed.scenario.path("x.tar.zst"), bytes).expect("written");
        fs::remove_file(installed.path(OWN[0].0)).ok();
        let run = installed.run("restore x.tar.zst HOME").fails_with(4);
        assert!(!installed.path(OWN[0].0).exists());
        run.stderr
    };
    assert!(damaged(b"").contains("x.tar.zst is no backup"));
    assert!(damaged(b"not at all").contains("x.tar.zst is no backup"));
    for cut in [10, whole.len() / 2, whole.len() - 10] {
        let said = damaged(&whole[..cut]);
        assert!(said.contains("is no backup") || said.contains("is damaged"), "{cut}: {said}");
    }
    for at in (20..whole.len()).step_by(whole.len() / 20) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let said = damaged(&bytes);
        assert!(said.contains("x.tar.zst"), "{at}: {said}");
    }
    let run = installed.run("restore b.tar.zst HOME --only repository/logs").fails_with(4);
    run.says("b.tar.zst has nothing of repository/logs")
        .says("it holds repository/deployment/server, repository/tenants");
    let other = Installed::of("wso2mi", "4.2.0", |pack| pack);
    fs::copy(installed.scenario.path("b.tar.zst"), other.scenario.path("b.tar.zst")).expect("copied");
    other
        .run("restore b.tar.zst HOME")
        .fails_with(4)
        .says("b.tar.zst is of wso2am-4.1.0, and ")
        .says(" is wso2mi-4.2.0");
    fs::remove_file(installed.path(OWN[0].0)).ok();
    fs::create_dir(installed.path(OWN[0].0)).expect("a folder");
    installed.run("restore b.tar.zst HOME").fails_with(4).says("is a folder, and something else in the backup");
}

/// A backup that somebody has made by hand: with this manifest's entries, and nothing behind it but what they say.
fn made_by_hand(installed: &Installed, name: &str, entries: &[(&str, Value)]) {
    installed.run(&format!("backup HOME --to {name}.real --include {README}")).succeeds();
    let real =
        zstd::decode_all(File::open(installed.scenario.path(&format!("{name}.real"))).expect("there")).expect("zstd");
    let mut archive = tar::Archive::new(real.as_slice());
    let first = archive.entries().expect("entries").next().expect("one").expect("readable");
    let mut manifest: Value = serde_json::from_reader(first).expect("JSON");
    let entry = |(path, kind): &(&str, Value)| serde_json::json!({ "path": path, "kind": kind, "mode": 0o4755, "modified": "2026-01-01T00:00:00Z", "uid": 0, "gid": 0 });
    manifest["entries"] = entries.iter().map(entry).collect();
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, link: Option<&str>, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        // As it is, wherever it leads.
        header.as_gnu_mut().expect("GNU").name[..path.len()].copy_from_slice(path.as_bytes());
        if let Some(link) = link {
            header.set_link_name(link).expect("short");
        }
        header.set_cksum();
        builder.append(&header, content).expect("in memory");
    };
    add("hotfix-backup.json", tar::EntryType::Regular, None, manifest.to_string().as_bytes());
    for (path, kind) in entries {
        match kind.get("link") {
            Some(link) => add(path, tar::EntryType::Symlink, link["target"].as_str(), b""),
            None if *kind == "directory" => add(path, tar::EntryType::Directory, None, b""),
            None => add(path, tar::EntryType::Regular, None, b"evil"),
        }
    }
    let bytes = zstd::encode_all(builder.into_inner().expect("whole").as_slice(), 1).expect("zstd");
    fs::write(installed.scenario.path(name), bytes).expect("written");
}

#[test]
fn a_backup_leads_nowhere_else() {
    let installed = Installed::new();
    let evil = serde_json::json!({ "file": { "bytes": 4, "sha256": hex_of(b"evil") } });
    let link = |target: &str| serde_json::json!({ "link": { "target": target } });
    let outside = installed.scenario.path("outside");
    fs::create_dir(&outside).expect("a folder");
    let outside = outside.to_str().expect("UTF-8");
    let cases = [
        ("up", vec![("../evil", evil.clone())], "../evil leads out of the product"),
        ("root", vec![("/evil", evil.clone())], "/evil leads out of the product"),
        ("twice", vec![("bin/a", evil.clone()), ("bin/a", evil.clone())], "bin/a is in it twice"),
        ("link", vec![("bin/l", link(outside)), ("bin/l/evil", evil.clone())], "bin/l/evil is below what is no folder"),
    ];
    for (name, entries, said) in cases {
        made_by_hand(&installed, name, &entries);
        installed.run(&format!("restore {name} HOME")).fails_with(4).says(&format!("{name} is damaged: {said}"));
    }
    // In two steps.
    made_by_hand(&installed, "first", &[("bin/l", link(outside))]);
    made_by_hand(&installed, "second", &[("bin/l/evil", evil.clone())]);
    installed.run("restore first HOME").succeeds();
    let run = installed.run("restore second HOME").fails_with(4);
    run.says("bin/l is a link, and what is below it in the backup would be written elsewhere");
    assert_eq!(fs::read_dir(outside).expect("there").count(), 0);
    // Nothing of it runs as somebody else.
    made_by_hand(&installed, "plain", &[("bin/evil", evil)]);
    installed.run("restore plain HOME").succeeds();
    assert_eq!(installed.path("bin/evil").metadata().expect("there").permissions().mode() & 0o7777, 0o755);
}

fn hex_of(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
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
    installed.run("backup HOME --to c.tar.zst --include ../x").fails_with(4).says("../x is no folder of ");
    installed.run("backup HOME --to c.tar.zst --exclude /etc").fails_with(4).says("it leads elsewhere");
    installed
        .run("backup HOME --to c.tar.zst --include repository/nothing")
        .fails_with(4)
        .says("there is no such thing");
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
