//! Disks that are full, at every step: one clear refusal that names what is full, nothing half-made, and the next run goes well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Scenario;
use crate::support::layout::Layout;

const APPLY: [&str; 6] =
    ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--base-image", "scratch", "--no-disk-check"];

/// A disk of its own, for as long as it is not dropped.
struct Disk(PathBuf);

impl Disk {
    /// Of so many kilobytes; none where nothing can be mounted, which is told.
    fn new(place: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir_all(place).expect("made");
        let size = format!("size={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(place).output();
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
        let grown = Command::new("mount").args(["-o", "remount,size=1g"]).arg(&self.0).status().expect("it starts");
        assert!(grown.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
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
