//! `hotfix restore`: what was backed up comes back as it was, and nothing else does.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::installed::{Installed, OWN};

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
    installed.run(&format!("backup HOME --to {name}.real --include bin")).succeeds();
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
        ("dot", vec![("bin/./a", evil.clone())], "bin/./a leads out of the product"),
        ("double", vec![("bin//a", evil.clone())], "bin//a leads out of the product"),
        ("other", vec![("updates/a", evil.clone())], "updates/a is in no folder that was backed up"),
        ("ours", vec![(".hotfix-migration/journal.json", evil.clone())], "is in no folder that was backed up"),
        ("twice", vec![("bin/a", evil.clone()), ("bin/a", evil.clone())], "bin/a is in it twice"),
        ("link", vec![("bin/l", link(outside)), ("bin/l/evil", evil.clone())], "bin/l/evil is below what is no folder"),
    ];
    for (name, entries, said) in cases {
        made_by_hand(&installed, name, &entries);
        let run = installed.run(&format!("restore {name} HOME")).fails_with(4);
        run.says(&format!("{name} is damaged: ")).says(said);
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
fn permissions_come_back_where_the_content_is_the_same() {
    let installed = Installed::new().with_own_data();
    let (key_store, folder) = (OWN[2].0, "repository/tenants/1");
    let mode = |path: &str| installed.path(path).metadata().expect("there").mode() & 0o7777;
    let set = |path: &str, mode: u32| {
        fs::set_permissions(installed.path(path), fs::Permissions::from_mode(mode)).expect("mine");
    };
    set(key_store, 0o600);
    set(folder, 0o750);
    installed.run("backup HOME --to b.tar.zst").succeeds();
    set(key_store, 0o644);
    // As a restore that was killed leaves it.
    set(folder, 0o700);
    let shown = installed.run("restore b.tar.zst HOME --dry-run").succeeds().stdout;
    for path in [key_store, folder] {
        assert!(shown.contains(&format!("~ {path}  (only permissions or owner)\n")), "{shown}");
    }
    installed.run("restore b.tar.zst HOME").succeeds();
    assert_eq!((mode(key_store), mode(folder)), (0o600, 0o750));
    assert!(installed.run("restore b.tar.zst HOME").succeeds().stdout.starts_with("0 restored, 0 kept"));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(installed.path(key_store), Some(12345), None).expect("root may");
        installed.run("restore b.tar.zst HOME").succeeds();
        assert_eq!(installed.path(key_store).metadata().expect("there").uid(), 0);
    }
}

#[test]
fn a_part_comes_back_in_folders_as_they_were() {
    let installed = Installed::new().with_own_data();
    fs::set_permissions(installed.path("repository/tenants"), fs::Permissions::from_mode(0o710)).expect("mine");
    installed.run("backup HOME --to b.tar.zst").succeeds();
    fs::remove_dir_all(installed.path("repository/tenants")).expect("there");
    installed.run(&format!("restore b.tar.zst HOME --only ./{}", OWN[1].0)).succeeds();
    assert_eq!(installed.path("repository/tenants").metadata().expect("there").mode() & 0o777, 0o710);
    assert_eq!(installed.text(OWN[1].0), OWN[1].1);
    for only in ["--only=", "--only .", "--only ../x", "--only /etc"] {
        installed.run(&format!("restore b.tar.zst HOME {only}")).fails_with(2).says("expected a path ");
    }
}

#[test]
fn links_come_back_to_the_letter() {
    let installed = Installed::new().with_own_data();
    let link = installed.path("repository/tenants/1/link");
    let long = format!("..//{}/x/./", "y/".repeat(80));
    for target in ["..//other//", long.as_str()] {
        symlink(target, &link).expect("a link");
        let time = link.symlink_metadata().and_then(|metadata| metadata.modified()).expect("a time");
        let backup = format!("{}.tar.zst", target.len());
        installed.run(&format!("backup HOME --to {backup}")).succeeds();
        fs::remove_file(&link).expect("there");
        std::thread::sleep(Duration::from_millis(20));
        installed.run(&format!("restore {backup} HOME")).succeeds();
        assert_eq!(fs::read_link(&link).expect("a link").to_str(), Some(target));
        assert_eq!(link.symlink_metadata().and_then(|metadata| metadata.modified()).expect("a time"), time);
        fs::remove_file(&link).expect("there");
    }
}

#[test]
fn what_stands_in_its_way_is_told_and_it_goes_on() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can become somebody else");
        return;
    }
    let installed = Installed::new().with_own_data().of_somebody_else();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    let locked = installed.path("repository/components/lib");
    OWN.iter().for_each(|(path, _)| fs::remove_file(installed.path(path)).expect("there"));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).expect("root may");
    let run = installed.run("restore b.tar.zst HOME").fails_with(4);
    run.says("repository/components/lib/driver.jar cannot be restored")
        .says("Permission denied")
        .says(" are restored, and the same command goes on")
        .does_not_say("damaged");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).expect("root may");
    installed.run("restore b.tar.zst HOME").succeeds();
    OWN.iter().for_each(|(path, text)| assert_eq!(installed.text(path), *text));
}

#[test]
fn what_a_killed_restore_has_left_is_removed() {
    let installed = Installed::new().with_own_data();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    let left = "repository/tenants/1/axis2services/.hotfix-restoring";
    installed.put(left, "half");
    installed.run("restore b.tar.zst HOME").succeeds();
    assert!(!installed.path(left).exists());
}

#[test]
fn a_backup_of_another_time_is_told() {
    let installed = Installed::new().with_hotfixes(2).with_own_data();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    installed.run("restore b.tar.zst HOME").succeeds().does_not_say("the backup was made at");
    installed.run("revert HOME --backup c.tar.zst").succeeds();
    let run = installed.run("restore b.tar.zst HOME").succeeds();
    run.says("the backup was made at level 10 with 2 hotfixes, and ").says(" is at level 10 with 1 hotfixes: ");
    let answer = installed.json("restore b.tar.zst HOME");
    assert_eq!(
        (&answer["then"]["hotfixes"], &answer["now"]["hotfixes"], &answer["kept"]),
        (&2.into(), &1.into(), &0.into())
    );
}

#[test]
fn nobody_else_is_at_work() {
    let installed = Installed::new().with_own_data();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    let lock = File::open(installed.path("")).expect("there");
    lock.lock().expect("nobody else has it");
    for command in ["restore b.tar.zst HOME", "backup HOME --to c.tar.zst"] {
        installed
            .run(command)
            .fails_with(4)
            .says("another hotfix, or an update tool that one has started, is at work on ");
    }
    installed.run("restore b.tar.zst HOME --dry-run").succeeds();
}

#[test]
fn in_the_middle_of_a_migration_it_is_warned_of() {
    let installed = Installed::new().with_own_data();
    installed.put(crate::support::installed::README, "Mine.\n");
    installed.run("migrate HOME --to-level 20 --backup b.tar.zst").fails_with(7);
    for command in ["restore b.tar.zst HOME --only repository/tenants", "backup HOME --to c.tar.zst"] {
        installed.run(command).succeeds().says(" is in the middle of moving to level 20, begun on ");
    }
}

#[test]
fn what_is_behind_its_end_is_no_backup() {
    let installed = Installed::new().with_own_data();
    installed.run("backup HOME --to b.tar.zst").succeeds();
    let whole = fs::read(installed.scenario.path("b.tar.zst")).expect("readable");
    let more = zstd::encode_all(&b"more"[..], 3).expect("in memory");
    for junk in [&b"junk"[..], &more] {
        fs::write(installed.scenario.path("b.tar.zst"), [&whole, junk].concat()).expect("written");
        installed.run("restore b.tar.zst HOME").fails_with(4).says("b.tar.zst is damaged");
    }
}

/// What swells when it is unpacked is read no further than a backup can go.
#[test]
fn backups_that_swell() {
    const PIECE: usize = 16 << 20;
    let installed = Installed::new();
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("in memory");
    let long = |kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 40);
        header.set_cksum();
        let mut bytes = packed(header.as_bytes());
        bytes.extend(packed(&vec![b'a'; PIECE]).repeat(256));
        bytes
    };
    installed.run("backup HOME --to good.tar.zst --include bin").succeeds();
    let mut zeros = fs::read(installed.scenario.path("good.tar.zst")).expect("readable");
    zeros.extend(packed(&vec![0; PIECE]).repeat(256));
    let cases = [
        ("name", long(tar::EntryType::GNULongName), "an entry's name and attributes take more than 1 MiB"),
        ("attributes", long(tar::EntryType::XHeader), "an entry's name and attributes take more than 1 MiB"),
        ("zeros", zeros, "there is something behind its end"),
    ];
    for (name, bytes, said) in cases {
        fs::write(installed.scenario.path(name), bytes).expect("written");
        let home = installed.path("");
        let arguments = ["--as=1500000000", env!("CARGO_BIN_EXE_hotfix"), "restore", name];
        let mut command = std::process::Command::new("prlimit");
        command.args(arguments).arg(home).current_dir(installed.scenario.path(""));
        let output = command.output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{name}: {stderr}");
        assert!(stderr.contains(said), "{name}: {stderr}");
    }
}
