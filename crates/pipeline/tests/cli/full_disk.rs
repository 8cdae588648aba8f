//! Disks that are full, at every step: one clear refusal that names what is full, nothing half-made, and the next run goes well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Scenario;
use crate::support::layout::Layout;
use crate::support::scenario::Run;

const APPLY: [&str; 6] =
    ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--base-image", "scratch", "--no-disk-check"];

/// A disk of its own, for as long as it is not dropped.
struct Disk(PathBuf);

impl Disk {
    /// Of so many kilobytes; none where nothing can be mounted, which is told.
    fn new(place: &Path, kilobytes: u32) -> Option<Self> {
        Self::with(place, &format!("size={kilobytes}k"))
    }

    /// The same with a bound of any kind.
    fn with(place: &Path, bound: &str) -> Option<Self> {
        fs::create_dir_all(place).expect("made");
        // Of a place that others can write to there would be a warning.
        let options = format!("{bound},mode=0755");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(place).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(place.to_owned()));
        }
        crate::support::engine::skip_even_in_ci("nothing can be mounted here");
        None
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = walkdir::WalkDir::new(&self.0).min_depth(1).into_iter().filter_map(Result::ok);
        entries.map(walkdir::DirEntry::into_path).collect()
    }

    fn grow(&self) {
        let grown =
            Command::new("mount").args(["-o", "remount,size=1g,nr_inodes=0"]).arg(&self.0).status().expect("it starts");
        assert!(grown.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that another test has just started has our files open, as its own, for a moment.
        let is_unmounted = || Command::new("umount").arg(&self.0).output().is_ok_and(|output| output.status.success());
        let pause = || std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(
            (0..100).any(|_| is_unmounted() || {
                pause();
                false
            }) || std::thread::panicking()
        );
    }
}

/// Every size at which it fails, up to the one at which it does not, and what it says there.
fn fill(what: &[&str], place: &str, codes: &[i32]) {
    let scenario = Scenario::new().without_engine();
    scenario.run(&[&APPLY[..], &["--output", "oci:expected"]].concat()).succeeds();
    let expected = Layout::open(&scenario.path("expected"), "4.1.0.10-hf3").layer_digests();
    let mut seen = Vec::new();
    for step in 0.. {
        let kilobytes = 4 + 700 * step;
        let Some(disk) = Disk::new(&scenario.path(place), kilobytes) else { return };
        let output = if what.contains(&"--output") { &[][..] } else { &["--output", "oci:image"] };
        let child = scenario.spawn(&[&APPLY[..], what, output].concat());
        let ended = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8(ended.stderr).expect("UTF-8");
        let code = ended.status.code();
        if code == Some(0) {
            break;
        }
        assert!(codes.contains(&code.unwrap_or(-1)), "{kilobytes} kB: {code:?}: {stderr}");
        assert!(stderr.contains("o space left on device"), "{kilobytes} kB: {stderr}");
        assert!(stderr.contains("error: ") && stderr.contains("next: "), "{kilobytes} kB: {stderr}");
        assert_eq!(disk.files(), Vec::<PathBuf>::new(), "{kilobytes} kB: {stderr}");
        assert!(!scenario.path("image").exists(), "{kilobytes} kB");
        // Where it is full, and what would be enough.
        let names = ["/small has ", "/small/", "small/image"].iter().any(|place| stderr.contains(place));
        assert!(names && stderr.contains("make room"), "{kilobytes} kB: {stderr}");
        seen.push(code);
        disk.grow();
        let child = scenario.spawn(&[&APPLY[..], what, output].concat());
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{kilobytes} kB: {}", String::from_utf8_lossy(&ended.stderr));
        let image = if what.contains(&"--output") { format!("{place}/image") } else { "image".to_owned() };
        assert_eq!(Layout::open(&scenario.path(&image), "4.1.0.10-hf3").layer_digests(), expected);
        fs::remove_dir_all(scenario.path(&image)).expect("there");
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn of_the_workspace() {
    fill(&["--workspace", "small", "--no-cache", "--workspace-mode", "copy"], "small", &[4, 6, 8]);
}

#[test]
fn of_the_layout() {
    fill(&["--output", "oci:small/image"], "small", &[8]);
}

/// A scenario, and the layers that a run without any hardship gives there.
fn scenario() -> (Scenario, Vec<String>) {
    let scenario = Scenario::new().without_engine();
    scenario.run(&[&APPLY[..], &["--output", "oci:expected", "--no-cache"]].concat()).succeeds();
    let expected = Layout::open(&scenario.path("expected"), "4.1.0.10-hf3").layer_digests();
    (scenario, expected)
}

/// A run with nothing but what is on the disk from before.
fn apply<'a>(scenario: &'a Scenario, more: &[&str]) -> Run<'a> {
    let _ = fs::remove_dir_all(scenario.path("image"));
    scenario.run(&[&APPLY[..], &["--output", "oci:image"], more].concat())
}

fn assert_image(scenario: &Scenario, expected: &[String]) {
    assert_eq!(Layout::open(&scenario.path("image"), "4.1.0.10-hf3").layer_digests(), expected);
}

/// Files and folders that a cache may have on a disk until nothing is left for any more of them.
fn files_that_fit() -> impl Iterator<Item = u32> {
    (2..).step_by(9)
}

/// What is left in the cache of a pack that could not be kept, and of records that could not be written.
fn half_made(disk: &Disk) -> Vec<PathBuf> {
    let is_of_pack = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("packs"));
    let is_temporary = |path: &Path| path.to_string_lossy().contains("/.tmp");
    disk.files().into_iter().filter(|path| is_of_pack(path) || is_temporary(path)).collect()
}

#[test]
fn of_the_cache_that_was_named() {
    let (scenario, expected) = scenario();
    let named = ["--cache-dir", "small", "--report", "report"];
    let mut refused = 0;
    for files in files_that_fit() {
        let Some(disk) = Disk::with(&scenario.path("small"), &format!("size=1g,nr_inodes={files}")) else { return };
        let run = apply(&scenario, &named);
        if run.code == Some(0) {
            break;
        }
        let run = run.fails_with(4).says("o space left on device").says("make room").says("small");
        assert_eq!(half_made(&disk), Vec::<PathBuf>::new(), "{files} files: {}", run.stderr);
        assert!(!scenario.path("image").exists(), "{files} files");
        refused += 1;
        disk.grow();
        for cache in ["made", "hit"] {
            apply(&scenario, &named).succeeds();
            assert_image(&scenario, &expected);
            assert_eq!(scenario.report()["workspace"]["cache"], cache, "{files} files");
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn of_the_cache_that_is_a_convenience() {
    let (scenario, expected) = scenario();
    let place = scenario.path("home/.cache/hotfix");
    let mut warned = 0;
    for files in files_that_fit() {
        let Some(disk) = Disk::with(&place, &format!("size=1g,nr_inodes={files}")) else { return };
        let run = apply(&scenario, &["--report", "report"]).succeeds();
        assert_image(&scenario, &expected);
        if scenario.report()["workspace"]["cache"] == "made" {
            break;
        }
        run.says("WARN nothing is kept for later runs: ").says("hotfix").says("o space left on device");
        assert_eq!(half_made(&disk), Vec::<PathBuf>::new(), "{files} files");
        warned += 1;
        disk.grow();
        apply(&scenario, &["--report", "report"]).succeeds().does_not_say("WARN");
        assert_eq!(scenario.report()["workspace"]["cache"], "made", "{files} files");
    }
    assert!(warned > 5, "{warned}");
}

#[test]
fn of_a_cache_that_is_too_small_for_the_pack() {
    let (scenario, expected) = scenario();
    for kilobytes in [4, 700, 50_000] {
        let Some(disk) = Disk::new(&scenario.path("small"), kilobytes) else { return };
        let run = apply(&scenario, &["--cache-dir", "small"]).succeeds();
        run.says("the unpacked pack is not kept for later runs: ").says("/small has ").says("are needed");
        assert_image(&scenario, &expected);
        assert_eq!(fs::read_dir(scenario.path("small/packs")).expect("there").count(), 0);
        drop(disk);
    }
}

#[test]
fn of_the_report() {
    let (scenario, expected) = scenario();
    for (bound, code) in [("nr_inodes=1", 4), ("nr_inodes=2", 0), ("size=4k", 0)] {
        let Some(disk) = Disk::with(&scenario.path("small"), bound) else { return };
        let run = apply(&scenario, &["--report", "small"]);
        let run = match code {
            0 => run.succeeds().says("WARN the report, which takes "),
            _ => run.fails(code, "validate-inputs").says("make room there, or give --report"),
        };
        run.says("o space left on device").says("written to small");
        assert_eq!(disk.files(), Vec::<PathBuf>::new(), "{bound}");
        if code == 0 {
            assert_image(&scenario, &expected);
        }
        disk.grow();
        apply(&scenario, &["--report", "small"]).succeeds().does_not_say("WARN");
        assert_eq!(disk.files().len(), 4, "{bound}");
    }
}
