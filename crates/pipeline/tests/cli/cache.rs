//! Unpacked packs are kept: complete or absent, shared by runs, bounded, and noticed where somebody changed them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use update_tool_sim::{Fault, PackBuilder};

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::layout::Layout;
use crate::support::scenario::{PASSWORD, USERNAME};

const CACHE: &str = "home/.cache/hotfix";

fn scenario() -> Scenario {
    Scenario::new().args(["--report", "report", "--cache-dir", CACHE])
}

/// Unpacked packs, finished or not.
fn packs(scenario: &Scenario) -> Vec<PathBuf> {
    let found = fs::read_dir(scenario.path(CACHE).join("packs")).into_iter().flatten();
    found.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn only_pack(scenario: &Scenario) -> PathBuf {
    let packs = packs(scenario);
    assert_eq!(packs.len(), 1, "{packs:?}");
    packs[0].clone()
}

fn how(scenario: &Scenario) -> String {
    scenario.report()["workspace"]["cache"].as_str().expect("text").to_owned()
}

fn layers(scenario: &Scenario) -> Vec<String> {
    Layout::open(&scenario.path("image"), "4.1.0.10-hf3").layer_digests()
}

#[test]
fn a_pack_is_unpacked_once() {
    let scenario = scenario();
    scenario.apply().succeeds().says("unpacking packs/wso2am-4.1.0.10.zip into the cache");
    assert_eq!(how(&scenario), "made");
    let first = layers(&scenario);
    let before = Scenario::snapshot_of(&only_pack(&scenario));
    scenario.apply().succeeds().does_not_say("unpacking");
    assert_eq!(how(&scenario), "hit");
    assert_eq!(layers(&scenario), first);
    assert!(before == Scenario::snapshot_of(&only_pack(&scenario)), "the cached pack was changed");
    let mode = fs::metadata(scenario.path(CACHE).join("packs")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn another_copy_of_the_same_pack_is_the_same_pack() {
    let first = scenario();
    first.apply().succeeds();
    let moved = "packs/other/wso2am-4.1.0.10.zip";
    fs::create_dir(first.path("packs/other")).expect("a folder");
    fs::rename(first.pack(), first.path(moved)).expect("moved");
    let scenario = first.with_pack_path(moved);
    scenario.apply().succeeds();
    assert_eq!(how(&scenario), "hit");
}

#[test]
fn an_entry_that_somebody_changed_is_noticed_and_made_anew() {
    let scenario = scenario();
    scenario.apply().succeeds();
    let first = layers(&scenario);
    let file = "product/repository/conf/deployment.toml";
    let damages: [fn(&Path); 5] = [
        |path| fs::write(path, "changed").expect("writable"),
        |path| fs::remove_file(path).expect("there"),
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours"),
        |path| fs::write(path.with_extension("new"), "x").expect("writable"),
        |path| {
            // The same length and time.
            let time = fs::metadata(path).and_then(|metadata| metadata.modified()).expect("a time");
            let mut bytes = fs::read(path).expect("there");
            bytes[0] ^= 1;
            fs::write(path, bytes).expect("writable");
            fs::File::options().append(true).open(path).and_then(|file| file.set_modified(time)).expect("ours");
        },
    ];
    for damage in damages {
        damage(&only_pack(&scenario).join(file));
        scenario.apply().succeeds().says("was changed by somebody, and is made anew");
        assert_eq!(how(&scenario), "made");
        assert_eq!(layers(&scenario), first);
    }
    fs::write(only_pack(&scenario).join("entry.json"), "{").expect("writable");
    scenario.apply().succeeds().says("is made anew");
    fs::remove_dir_all(only_pack(&scenario).join("product")).expect("there");
    scenario.apply().succeeds().says("is made anew");
    assert_eq!(layers(&scenario), first);
}

#[test]
fn runs_at_the_same_time_share_it() {
    let scenario = scenario();
    let mut arguments = vec!["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--cache-dir", CACHE, "--output"];
    let outputs = ["oci:a", "oci:b", "oci:c"];
    arguments.push("");
    let children = outputs.map(|output| {
        let at = arguments.len() - 1;
        arguments[at] = output;
        scenario.spawn(&arguments)
    });
    let mut made = 0;
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        made += usize::from(stderr.contains("unpacking packs/wso2am"));
    }
    assert_eq!(made, 1, "one unpacks, the others use it");
    only_pack(&scenario);
    let images = ["a", "b", "c"].map(|name| Layout::open(&scenario.path(name), "4.1.0.10-hf3").manifest_digest);
    assert!(images.iter().all(|digest| *digest == images[0]));
}

#[test]
fn a_run_that_is_killed_while_it_unpacks_leaves_no_half_entry() {
    let scenario = scenario().with_pack(|pack| pack.filler(60_000_000)).args(["--output", "oci:image"]);
    for delay in [0, 20, 60] {
        let child = scenario.start_apply_until(|scenario| !packs(scenario).is_empty());
        std::thread::sleep(std::time::Duration::from_millis(delay));
        kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::KILL).expect("it is there");
        child.wait_with_output().expect("it ends");
        fs::remove_dir_all(scenario.path("tmp")).and_then(|()| fs::create_dir(scenario.path("tmp"))).expect("ours");
        scenario.apply().succeeds();
        let pack = only_pack(&scenario);
        assert!(!pack.file_name().expect("a name").to_string_lossy().starts_with('.'), "{pack:?}");
        fs::remove_dir_all(pack).expect("ours");
    }
}

#[test]
fn a_stopped_run_leaves_no_half_entry_either() {
    let scenario = scenario().with_pack(|pack| pack.filler(60_000_000)).args(["--output", "oci:image"]);
    let before = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| !packs(scenario).is_empty());
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::TERM).expect("it is there");
    let run = scenario.ended(child, &before);
    assert_eq!(run.code, Some(143), "{}", run.stderr);
    run.leaves_nothing();
    assert!(packs(&scenario).iter().all(|path| path.join("entry.json").exists()), "{:?}", packs(&scenario));
}

#[test]
fn whoever_waits_for_another_run_can_be_stopped() {
    let scenario = scenario().args(["--output", "oci:image"]);
    scenario.apply().succeeds();
    let name = only_pack(&scenario).file_name().expect("a name").to_owned();
    fs::remove_dir_all(only_pack(&scenario)).expect("ours");
    let lock = fs::File::open(scenario.path(CACHE).join("locks").join(name)).expect("there");
    lock.lock().expect("nobody else has it");
    let (before, said) = (scenario.snapshot(), scenario.path("tmp"));
    let child = scenario.start_apply_until(|_| fs::read_dir(&said).is_ok_and(|found| found.count() > 0));
    std::thread::sleep(std::time::Duration::from_millis(500));
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::INT).expect("it is there");
    let run = scenario.ended(child, &before);
    run.fails(130, "extract-pack").says("another run is unpacking this pack into the cache, waiting for it");
}

#[test]
fn list_and_prune() {
    let scenario = scenario();
    let list = |more: &[&str]| scenario.run(&[&["cache", "list", "--cache-dir", CACHE], more].concat());
    list(&[]).succeeds().prints("nothing is cached\n");
    scenario.apply().succeeds();
    let run = list(&[]).succeeds();
    assert!(run.stdout.contains("wso2am 4.1.0.10"), "{}", run.stdout);
    let json: serde_json::Value = serde_json::from_str(&list(&["--format", "json"]).succeeds().stdout).expect("JSON");
    assert_eq!(json[0]["sha256"], scenario.report()["pack"]["sha256"]);
    assert_eq!(json[0]["in_use"], false);
    assert!(json[0]["bytes"].as_u64().expect("a number") > 10_000 && json[0]["last_used"].is_string(), "{json}");
    let prune = |more: &[&str]| scenario.run(&[&["cache", "prune", "--cache-dir", CACHE], more].concat()).succeeds();
    prune(&["--keep-size", "1GB"]).prints("0 B freed\n");
    only_pack(&scenario);
    let run = prune(&[]);
    assert!(run.stdout.starts_with("removed wso2am 4.1.0.10 ("), "{}", run.stdout);
    assert!(packs(&scenario).is_empty());
    prune(&[]).prints("0 B freed\n");
    scenario.run(&["cache", "prune", "--cache-dir", "nowhere"]).succeeds().prints("0 B freed\n");
    assert!(!scenario.path("nowhere").exists(), "looking does not make one");
}

#[test]
fn what_a_run_uses_is_not_pruned_and_what_killed_runs_left_is() {
    let scenario = scenario().with_tool(|tool| tool.on_current_state = Fault::Hang).args(["--output", "oci:image"]);
    let before = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    let left = scenario.path(CACHE).join(format!("packs/.making-{}-x1", "0".repeat(64)));
    fs::create_dir_all(left.join("product/deep")).expect("made");
    let prune = ["cache", "prune", "--cache-dir", CACHE];
    let run = scenario.run(&prune);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1 in use and kept\n0 B freed\n"), "{}", run.stderr);
    assert!(!left.exists());
    only_pack(&scenario);
    let list = scenario.run(&["cache", "list", "--cache-dir", CACHE]);
    assert!(list.stdout.contains(", in use"), "{}", list.stdout);
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::TERM).expect("it is there");
    assert_eq!(scenario.ended(child, &before).code, Some(143));
    assert_eq!(scenario.run(&prune).code, Some(0));
    assert!(packs(&scenario).is_empty());
}

#[test]
fn it_stays_below_its_bound() {
    let scenario = scenario().with_pack(|pack| pack.filler(3_000_000));
    scenario.apply().succeeds();
    let first = only_pack(&scenario);
    let other = PackBuilder::new("wso2is", "7.1.0").level(2).filler(3_000_000).tool(scenario.tool());
    other.write_to(scenario.path("packs"));
    fs::create_dir(scenario.path("fixes")).expect("new");
    update_tool_sim::HotfixBuilder::new("wso2is", "7.1.0", 2, 1).add("x", "y").write_to(scenario.path("fixes"));
    let through =
        ["apply", "packs/wso2is-7.1.0.2.zip", "fixes", "--through", "0", "--output", "oci:is", "--cache-dir", CACHE];
    // Without hotfixes nothing is unpacked, so nothing is kept.
    scenario.run(&through).succeeds();
    assert_eq!(only_pack(&scenario), first);
    let with = |size: &str| {
        let pack = "packs/wso2is-7.1.0.2.zip";
        scenario.run(&["apply", pack, "fixes", "--output", "oci:is", "--cache-dir", CACHE, "--cache-size", size])
    };
    with("1MB").succeeds().says("is not kept for later runs: it takes more than --cache-size");
    assert_eq!(only_pack(&scenario), first);
    let list = scenario.run(&["cache", "list", "--cache-dir", CACHE, "--format", "json"]).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let room_for_one = list[0]["bytes"].as_u64().expect("a number") * 3 / 2;
    with(&room_for_one.to_string()).succeeds().says("left the cache, to keep it below --cache-size");
    assert_ne!(only_pack(&scenario), first);
    with("1GB").succeeds();
    scenario.apply().succeeds();
    assert_eq!(packs(&scenario).len(), 2);
}

#[test]
fn a_cache_that_cannot_be_had() {
    let named = Scenario::new().with_file("file", "x").args(["--cache-dir", "file"]);
    named.apply().fails(4, "validate-inputs").says("file cannot be").says("--cache-dir");
    let in_hotfixes = Scenario::new().args(["--cache-dir", "hotfixes/cache"]);
    in_hotfixes.apply().fails(4, "validate-inputs").says("--cache-dir hotfixes/cache is in the hotfix folder");
    // One that nobody asked for is done without.
    let unnamed = Scenario::new().with_file("home/.cache", "x").args(["--report", "report"]);
    unnamed.apply().succeeds().says("nothing is kept for later runs");
    assert_eq!(how(&unnamed), "off");
    let homeless = Scenario::new().env("HOME", "").args(["--report", "report"]);
    homeless.apply().succeeds();
    assert_eq!(how(&homeless), "off");
    let nobody = Scenario::empty().env("HOME", "");
    let run = nobody.run(&["cache", "list"]);
    assert_eq!(run.code, Some(2));
    run.says("error: there is no folder for the cache").says("next: give --cache-dir");
    let both = Scenario::new().args(["--no-cache", "--cache-dir", "x"]);
    assert_eq!(both.apply().code, Some(2));
}

#[test]
fn it_is_found_by_the_environment() {
    let scenario = Scenario::new().env("XDG_CACHE_HOME", "");
    scenario.apply().succeeds();
    only_pack(&scenario);
    let elsewhere = Scenario::new();
    let elsewhere = {
        let path = elsewhere.path("home/.cache/x");
        elsewhere.env("XDG_CACHE_HOME", path.to_str().expect("UTF-8"))
    };
    elsewhere.apply().succeeds();
    assert!(elsewhere.path("home/.cache/x/hotfix/CACHEDIR.TAG").exists());
    let set = Scenario::new().env("HOTFIX_NO_CACHE", "true");
    set.apply().succeeds();
    assert!(!set.path("home/.cache").exists());
}

#[test]
fn it_holds_no_secret() {
    let scenario = scenario().with_tool(|tool| tool.loud = true);
    scenario.apply().succeeds();
    for (path, bytes) in Scenario::snapshot_of(&scenario.path(CACHE)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for secret in [PASSWORD, USERNAME, "hotfixes/"] {
            assert!(!text.contains(secret), "{secret} is in {path}");
        }
    }
}

#[test]
fn a_layer_that_is_in_the_layout_is_not_written_again() {
    let scenario = scenario();
    scenario.apply().succeeds();
    let digests = layers(&scenario);
    let blob = scenario.path("image/blobs").join(digests[0].replace(':', "/"));
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"));
    let before = inode(&blob);
    scenario.apply().succeeds();
    assert_eq!((layers(&scenario), inode(&blob)), (digests.clone(), before));
    // What is remembered is no promise: a blob that is gone is made again.
    fs::remove_dir_all(scenario.path("image")).expect("there");
    scenario.apply().succeeds();
    assert_eq!(layers(&scenario), digests);
    assert!(blob.exists());
}

#[test]
fn an_engine_that_lacks_the_remembered_layer_gets_it() {
    if !engine::is_there() {
        return;
    }
    let base = Base::new("cache");
    let tag = format!("hotfix-test-cache:{}", std::process::id());
    let scenario = scenario().args(["--output", "docker", "--base-image", &base.name, "-t", &tag, "-v"]);
    scenario.apply().succeeds().says("sent=Own");
    let id = docker(&["inspect", "--format", "{{.Id}}", &tag]);
    scenario.apply().succeeds().says("sent=New");
    assert_eq!(docker(&["inspect", "--format", "{{.Id}}", &tag]), id);
    docker(&["rmi", &tag]);
    scenario.apply().succeeds().says("the engine wants more layers").says("sent=Own");
    let seen =
        docker(&["run", "--rm", "--network", "none", &tag, "cat", "/home/wso2carbon/wso2am-4.1.0/updates/product.txt"]);
    assert_eq!(seen, "wso2am-4.1.0");
    try_docker(&["rmi", "--force", &tag]);
}
