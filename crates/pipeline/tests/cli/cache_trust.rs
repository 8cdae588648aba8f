//! What others do to a pack, a cache or a layout, before we use it or while we do, never becomes a wrong image with success.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::Scenario;
use crate::support::layout::Layout;

const CACHE: &str = "home/.cache/hotfix";
const INPUTS: [&str; 3] = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"];

/// With an update tool that does what the variable `MEANWHILE` says, and one hotfix.
fn scenario() -> Scenario {
    let script = "[ \"$1\" = apply-hotfix ] || exit 0\necho fixed >>bin/README.txt\neval \"$MEANWHILE\"";
    Scenario::empty().with_script(script).with_hotfix(1, |hotfix| hotfix.add("x", "y")).env("MEANWHILE", "true")
}

fn into(scenario: &Scenario, folder: &str, options: &[&str]) -> Layout {
    let output = format!("oci:{folder}");
    scenario.run(&[&INPUTS, &["--output", output.as_str()][..], options].concat()).succeeds();
    Layout::open(&scenario.path(folder), "4.1.0.10-hf1")
}

/// The only file in a folder of the cache, or of a pack there.
fn only_in(scenario: &Scenario, folder: &str) -> PathBuf {
    let found = fs::read_dir(scenario.path(CACHE).join(folder)).expect("there");
    let mut found = found.map(|entry| entry.expect("readable").path());
    let only = found.next().expect("one");
    assert_eq!(found.next(), None);
    only
}

#[test]
fn a_cached_file_that_is_changed_while_it_is_used() {
    let scenario = scenario();
    let honest = into(&scenario, "honest", &["--no-cache"]).layer_digests();
    let file = scenario.path(CACHE).join("packs/*/product/repository/conf/deployment.toml");
    let change = format!("for file in {}; do printf evil | dd of=\"$file\" conv=notrunc; done", glob(&file));
    let scenario = scenario.env("MEANWHILE", &change);
    let run = scenario.run(&[&INPUTS, &["--output", "oci:image"][..]].concat());
    run.fails(8, "build-image").says("was changed by somebody while it was used").says("run the same command again");
    assert!(!scenario.path("image").exists());
    let scenario = scenario.env("MEANWHILE", "true");
    assert_eq!(into(&scenario, "image", &[]).layer_digests(), honest);
    assert_eq!(into(&scenario, "again", &[]).layer_digests(), honest);
}

/// A path for a shell, whose stars mean something.
fn glob(path: &Path) -> String {
    path.to_str().expect("UTF-8").split('*').map(|part| format!("'{part}'")).collect::<Vec<_>>().join("*")
}

#[test]
fn a_pack_that_is_changed_while_it_is_read() {
    for options in [&["--no-cache"][..], &[]] {
        let scenario = scenario();
        let change = format!("printf x >>'{}'", scenario.pack().display());
        let scenario = scenario.env("MEANWHILE", &change);
        let run = scenario.run(&[&INPUTS, &["--output", "oci:image"][..], options].concat());
        assert_eq!(run.code, Some(8), "{}", run.stderr);
        run.says("packs/wso2am-4.1.0.10.zip was changed while it was read").says("let nobody write to it");
        assert!(!scenario.path("image").exists());
    }
    // Another name for it changes its state and not its content.
    let scenario = scenario();
    let link = format!("ln '{}' '{}'", scenario.pack().display(), scenario.path("link.zip").display());
    into(&scenario.env("MEANWHILE", &link), "image", &[]);
}

#[test]
fn a_damaged_layout_is_made_whole() {
    let scenario = scenario();
    into(&scenario, "image", &[]);
    let blobs = scenario.path("image/blobs/sha256");
    let before = Scenario::snapshot_of(&blobs);
    assert_eq!(before.len(), 4);
    let damages: [fn(&Path); 3] = [
        |path| fs::write(path, "cut").expect("ours"),
        |path| fs::write(path, vec![0; fs::metadata(path).expect("there").len() as usize]).expect("ours"),
        |path| fs::remove_file(path).expect("ours"),
    ];
    for options in [&[][..], &["--no-cache"]] {
        for damage in damages {
            fs::read_dir(&blobs).expect("there").for_each(|entry| damage(&entry.expect("readable").path()));
            into(&scenario, "image", options);
            assert!(Scenario::snapshot_of(&blobs) == before);
        }
    }
}

#[test]
fn a_record_of_something_else_is_none() {
    let scenario = scenario();
    let own = into(&scenario, "own", &[]).layer_digests();
    let other = Scenario::empty().with_script("[ \"$1\" = apply-hotfix ] || exit 0\necho x >>bin/README.txt\n");
    let other = other.with_hotfix(1, |hotfix| hotfix.add("x", "y"));
    into(&other, "other", &[]);
    fs::copy(only_in(&other, "layers"), only_in(&scenario, "layers")).expect("copied");
    assert_eq!(into(&scenario, "again", &[]).layer_digests(), own);
    let record = only_in(&scenario, "layers");
    for wrong in ["sha256:1111", "../../x"] {
        let text = fs::read_to_string(&record).expect("text");
        let digest = text.split('"').find(|word| word.starts_with("sha256:")).expect("a digest").to_owned();
        fs::write(&record, text.replace(&digest, wrong)).expect("ours");
        assert_eq!(into(&scenario, "again", &[]).layer_digests(), own);
    }
}

#[test]
fn a_folder_with_other_things_is_no_cache() {
    let scenario = scenario().with_file("packs/archive/old.zip", "mine").with_file("packs/notes.txt", "mine");
    let before = scenario.snapshot();
    let run = scenario.run(&[&INPUTS, &["--output", "oci:image", "--cache-dir", "packs"][..]].concat());
    run.fails(4, "validate-inputs").says("it holds other things, and is no cache of hotfix's").says("give --cache-dir");
    for command in ["list", "prune"] {
        let run = scenario.run(&["cache", command, "--cache-dir", "packs"]);
        assert_eq!(run.code, Some(4), "{}", run.stderr);
        run.says("is no cache of hotfix's");
    }
    assert!(scenario.snapshot() == before);
    let scenario =
        scenario.with_file("target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# By cargo.\n");
    let run = scenario.run(&[&INPUTS, &["--output", "oci:image", "--cache-dir", "target"][..]].concat());
    run.fails(4, "validate-inputs").says("it is the cache of another program");
}

#[test]
fn what_is_none_of_ours_in_a_cache_stays_and_is_in_nobodys_way() {
    let scenario = scenario();
    let own = into(&scenario, "own", &[]).layer_digests();
    let packs = scenario.path(CACHE).join("packs");
    fs::write(packs.join("README"), "mine").expect("ours");
    fs::create_dir(packs.join("archive")).expect("ours");
    let list = scenario.run(&["cache", "list"]).succeeds().stdout;
    assert_eq!(list.lines().count(), 2, "{list}");
    scenario.run(&["cache", "prune"]).succeeds();
    let mut left: Vec<_> =
        fs::read_dir(&packs).expect("there").map(|entry| entry.expect("readable").file_name()).collect();
    left.sort();
    assert_eq!(left, ["README", "archive"]);
    // In place of an entry there is a file.
    let key = only_in(&scenario, "locks").file_name().expect("a name").to_owned();
    fs::write(packs.join(&key), "x").expect("ours");
    assert_eq!(into(&scenario, "own", &[]).layer_digests(), own);
    assert!(packs.join(&key).is_dir());
}

#[test]
fn a_broken_entry_is_made_anew_and_hangs_nobody() {
    let scenario = scenario();
    let own = into(&scenario, "own", &[]).layer_digests();
    let entry = only_in(&scenario, "packs").join("entry.json");
    let text = fs::read_to_string(&entry).expect("text");
    let bytes = text.split("\"bytes\":").nth(1).and_then(|rest| rest.split(',').next()).expect("a number");
    let huge = text.replace(bytes, &u64::MAX.to_string());
    let second = scenario.path(CACHE).join("packs").join("0".repeat(64));
    fs::create_dir(&second).expect("ours");
    fs::write(second.join("entry.json"), &huge).expect("ours");
    fs::write(&entry, &huge).expect("ours");
    scenario.run(&["cache", "prune", "--keep-size", "1GB"]).succeeds();
    assert_eq!(into(&scenario, "own", &[]).layer_digests(), own);
    let entry = only_in(&scenario, "packs").join("entry.json");
    fs::remove_file(&entry).expect("ours");
    rustix::fs::mknodat(rustix::fs::CWD, &entry, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let run = scenario.run_without_reading_files(&[&INPUTS, &["--output", "oci:own"][..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(Layout::open(&scenario.path("own"), "4.1.0.10-hf1").layer_digests(), own);
}

#[test]
fn a_cache_that_nobody_asked_for_is_done_without_where_it_fails() {
    let scenario = scenario();
    let own = into(&scenario, "own", &[]).layer_digests();
    let lock = only_in(&scenario, "locks");
    fs::remove_file(&lock).expect("ours");
    fs::create_dir(&lock).expect("ours");
    let arguments = [&INPUTS, &["--output", "oci:again"][..]].concat();
    scenario.run(&arguments).succeeds().says("nothing is kept for later runs: ");
    assert_eq!(Layout::open(&scenario.path("again"), "4.1.0.10-hf1").layer_digests(), own);
    let named = scenario.run(&[&arguments[..], &["--cache-dir", CACHE]].concat());
    named.fails(4, "extract-pack").says("cannot be used").says("--no-cache");
}

#[test]
fn a_folder_that_others_can_write_to_is_warned_of_and_stays_as_it_is() {
    let warning = "whoever can write there decides what is in images";
    let run = |scenario: &Scenario, dir: &str| {
        scenario.run(&[&INPUTS, &["--output", "oci:image", "--cache-dir", dir][..]].concat()).succeeds().stderr.clone()
    };
    let scenario = scenario();
    for (mode, is_shared) in [(0o700, false), (0o755, false), (0o775, true), (0o757, true), (0o1777, true)] {
        let name = format!("cache-{mode:o}");
        let folder = scenario.path(&name);
        fs::create_dir(&folder).expect("ours");
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("ours");
        for _ in 0..2 {
            let said = run(&scenario, &name);
            assert_eq!(said.matches(warning).count(), usize::from(is_shared), "{mode:o}: {said}");
            let words = format!("mode {mode:04o}");
            assert!(!is_shared || said.contains(&words) && said.contains("chmod go-w"), "{mode:o}: {said}");
        }
        let after = fs::metadata(&folder).expect("there").permissions().mode() & 0o7777;
        assert_eq!(after, mode, "an existing folder keeps its mode");
    }
    // So is one of the folders in it.
    fs::set_permissions(scenario.path("cache-755/layers"), fs::Permissions::from_mode(0o777)).expect("ours");
    let said = run(&scenario, "cache-755");
    assert!(said.contains(warning) && said.contains("cache-755/layers"), "{said}");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(scenario.path("cache-700"), Some(4321), None).expect("root may");
        let said = run(&scenario, "cache-700");
        assert!(said.contains("belongs to another user (owner 4321, mode 0700)"), "{said}");
        assert!(said.contains(warning), "{said}");
    }
}

#[test]
fn without_a_place_for_a_cache_it_is_said_once() {
    let scenario = scenario().env("HOME", "").env("XDG_CACHE_HOME", "");
    let words = "nothing is kept for later runs: neither XDG_CACHE_HOME nor HOME says where";
    let run = |options: &[&str]| {
        scenario.run(&[&INPUTS, &["--output", "oci:image"][..], options].concat()).succeeds().stderr.clone()
    };
    assert_eq!(run(&[]).matches(words).count(), 1);
    for options in [&["--no-cache"][..], &["--cache-dir", "mine"], &["-q"]] {
        assert!(!run(options).contains(words), "{options:?}");
    }
}
