//! Ordinary hardships of machines: whatever they are, the same inputs give the same layers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use walkdir::WalkDir;

use crate::support::Scenario;
use crate::support::layout::Layout;
use crate::support::scenario::Run;

const APPLY: [&str; 6] = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--base-image", "scratch", "--output"];
/// Of another user.
const SOMEBODY: u32 = 12345;

/// A scenario, and what a run without any hardship gives there.
fn scenario() -> (Scenario, Vec<String>) {
    let scenario = Scenario::new().without_engine();
    scenario.run(&[&APPLY[..], &["oci:expected"]].concat()).succeeds();
    let expected = digests(&scenario, "expected");
    (scenario, expected)
}

fn digests(scenario: &Scenario, folder: &str) -> Vec<String> {
    Layout::open(&scenario.path(folder), "4.1.0.10-hf3").layer_digests()
}

/// A run without what others have cached.
fn apply<'a>(scenario: &'a Scenario, more: &[&str]) -> Run<'a> {
    let _ = fs::remove_dir_all(scenario.path("image"));
    scenario.run(&[&APPLY[..], &["oci:image", "--no-cache"], more].concat())
}

#[test]
fn zones_and_languages() {
    for (zone, language) in [("Asia/Kathmandu", "tr_TR.UTF-8"), ("America/St_Johns", "C"), ("nonsense", "nonsense")] {
        let (scenario, expected) = scenario();
        let scenario = scenario.env("TZ", zone).env("LC_ALL", language).env("LANG", language);
        apply(&scenario, &[]).succeeds();
        assert_eq!(digests(&scenario, "image"), expected, "{zone}, {language}");
    }
}

#[test]
fn files_that_nobody_else_may_read_by_default() {
    for mask in ["077", "000", "0777"] {
        let (scenario, expected) = scenario();
        let scenario = scenario.under(["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"]);
        let run = apply(&scenario, &[]);
        // Under the last one not even we may read what we have written, unless we are root.
        if mask == "0777" && !rustix::process::geteuid().is_root() {
            continue;
        }
        run.succeeds();
        assert_eq!(digests(&scenario, "image"), expected, "{mask}");
    }
}

#[test]
fn a_user_without_a_home() {
    for home in ["-uHOME", "HOME=/nonexistent", "HOME="] {
        let (scenario, expected) = scenario();
        let scenario = scenario.under(["env", home]);
        let run = apply(&scenario, &[]);
        assert_eq!(run.code, Some(0), "{home}: {}", run.stderr);
        assert_eq!(digests(&scenario, "image"), expected, "{home}");
    }
}

#[test]
fn not_root_and_inputs_that_are_read_only() {
    if !rustix::process::geteuid().is_root() {
        crate::support::engine::skip_even_in_ci("only root can become somebody else");
        return;
    }
    let user = SOMEBODY.to_string();
    let (scenario, expected) = scenario();
    let scenario = scenario.under(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    for entry in WalkDir::new(scenario.path("")).into_iter().filter_map(Result::ok) {
        let is_input = ["packs", "hotfixes"].iter().any(|name| entry.path().starts_with(scenario.path(name)));
        if is_input {
            let mode = if entry.file_type().is_dir() { 0o555 } else { 0o444 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)).expect("root may");
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(SOMEBODY), Some(SOMEBODY)).expect("root may");
        }
    }
    apply(&scenario, &[]).succeeds();
    assert_eq!(digests(&scenario, "image"), expected);
}

#[test]
fn a_workspace_on_another_file_system() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        crate::support::engine::skip("there is no /dev/shm");
        return;
    };
    let (scenario, expected) = scenario();
    let place = other.path().to_str().expect("UTF-8");
    apply(&scenario, &["--workspace", place]).succeeds();
    assert_eq!(digests(&scenario, "image"), expected);
    assert_eq!(fs::read_dir(place).expect("there").count(), 0);
}

#[test]
fn a_folder_full_of_other_things() {
    let (scenario, expected) = scenario();
    for number in 0..10_000 {
        fs::write(scenario.hotfixes().join(format!("{number}.txt")), "").expect("written");
    }
    fs::write(scenario.hotfixes().join("a\nb\x1b[31m.txt"), "").expect("written");
    fs::create_dir(scenario.hotfixes().join("folder")).expect("made");
    let run = apply(&scenario, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = run.says("ignored in hotfixes, being no zip: ").says("and 9997 more");
    assert!(run.stderr.chars().all(|c| !c.is_control() || c == '\n'), "{:?}", run.stderr);
    assert_eq!(digests(&scenario, "image"), expected);
}

#[test]
fn names_with_new_lines() {
    for name in
        ["wso2am-4.1.0.10-\n-hf-4.zip", "wso2am-4.1.0.10\u{1b}[31m-hf-4.zip", "wso2am-4.1.0.10\u{202e}-hf-4.zip"]
    {
        let scenario = Scenario::new().without_engine().with_file(&format!("hotfixes/{name}"), "x");
        let run = apply(&scenario, &[]).fails(5, "validate-sequence");
        let run = run.says("has characters that cannot be shown").says("the name that the vendor gave it");
        assert!(run.stderr.chars().all(|c| (!c.is_control() || c == '\n') && c != '\u{202e}'), "{:?}", run.stderr);
    }
    let (scenario, expected) = scenario();
    fs::rename(scenario.path("hotfixes"), scenario.path("hot\nfixes")).expect("moved");
    fs::rename(scenario.pack(), scenario.path("packs/a\nb-4.1.0.10.zip")).expect("moved");
    let odd = ["apply", "packs/a\nb-4.1.0.10.zip", "hot\nfixes", "--output", "oci:image"];
    let run = scenario.run(&odd).fails(4, "validate-inputs");
    assert!(run.stderr.lines().count() <= 3, "{:?}", run.stderr);
    fs::rename(scenario.path("packs/a\nb-4.1.0.10.zip"), scenario.pack()).expect("moved");
    let words = ["apply", APPLY[1], "hot\nfixes", "--base-image", "scratch", "--output", "oci:image"];
    scenario.run(&words).succeeds();
    assert_eq!(digests(&scenario, "image"), expected);
}

/// What answers in place of the kernel when a program asks for the time.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|library| library.exists())
}

#[test]
fn a_clock_that_jumps() {
    let Some(library) = faketime() else {
        crate::support::engine::skip("no faketime is here (Debian: faketime)");
        return;
    };
    let (scenario, expected) = scenario();
    let clock = scenario.path("clock");
    fs::write(&clock, "+0").expect("written");
    let library = format!("LD_PRELOAD={}", library.display());
    let clock_file = format!("FAKETIME_TIMESTAMP_FILE={}", clock.display());
    let under = ["env", &library, &clock_file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    let scenario = scenario.under(under);
    let is_over = AtomicBool::new(false);
    let jump = || {
        for offset in ["+10y", "-20y", "+3d", "-2h"].into_iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            fs::write(&clock, offset).expect("written");
            std::thread::sleep(Duration::from_millis(7));
        }
    };
    let folders: Vec<String> = (0..5).map(|number| format!("image{number}")).collect();
    let ended: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(jump);
        let run = |folder| scenario.spawn(&[&APPLY[..], &[&format!("oci:{folder}")]].concat()).wait_with_output();
        let ended = folders.iter().map(run).collect();
        is_over.store(true, Ordering::Relaxed);
        ended
    });
    for (folder, output) in folders.iter().zip(ended) {
        let output = output.expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(digests(&scenario, folder), expected);
    }
}

#[test]
fn files_from_the_future_and_from_before_1980() {
    for seconds in [-1_000_000_000_i64, 0, 5_000_000_000] {
        let (scenario, expected) = scenario();
        for entry in WalkDir::new(scenario.path("packs")).into_iter().chain(WalkDir::new(scenario.hotfixes())) {
            let entry = entry.expect("readable");
            let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 0 };
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            let flags = rustix::fs::AtFlags::empty();
            rustix::fs::utimensat(rustix::fs::CWD, entry.path(), &times, flags).expect("ours");
        }
        for _ in 0..2 {
            apply(&scenario, &[]).succeeds();
            assert_eq!(digests(&scenario, "image"), expected, "{seconds}");
        }
    }
}
