//! A migration that is killed at any moment: the same command again ends right, and nothing of the user's is lost.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::installed::{Installed, OWN, README, SETTINGS};

/// Moments at which it is killed.
const MOMENTS: u32 = 50;
const BACKUP: &str = "before.tar.zst";

fn server() -> Installed {
    let installed = Installed::with_tool(|tool| tool.backup = false).with_hotfixes(3).with_own_data();
    installed.put(SETTINGS, &installed.text(SETTINGS).replace("127.0.0.1", "10.0.0.7"));
    installed
}

fn words(installed: &Installed) -> [String; 6] {
    ["migrate", &installed.home, "--to-level", "20", "--backup", BACKUP].map(str::to_owned)
}

/// As one that nobody stopped: level, files, the user's data, and the settings in a backup.
fn is_migrated(installed: &Installed, moment: u32) {
    assert_eq!(installed.standing(), ("20".to_owned(), 0), "{moment}");
    for (path, text) in OWN {
        assert_eq!(installed.text(path), text, "{moment}: {path}");
    }
    assert_eq!(installed.text(README), "How to start the server of level 20.\n", "{moment}");
    assert!(!installed.path(".hotfix-migration").exists(), "{moment}");
    installed.run(&format!("restore {BACKUP} HOME --force")).succeeds();
    assert!(installed.text(SETTINGS).contains("10.0.0.7"), "{moment}");
}

/// At random, somewhere in each of as many equal parts of a bit more than a whole run.
fn moment(number: u32, whole: Duration) -> Duration {
    let random = RandomState::new().hash_one(number) % 1000;
    whole.mul_f64((f64::from(number) + random as f64 / 1000.0) * 1.1 / f64::from(MOMENTS))
}

#[test]
fn killed_at_any_moment() {
    let whole = server();
    let started = Instant::now();
    whole.scenario.run(&words(&whole)).succeeds();
    let time = started.elapsed();
    let expected = whole.files();
    is_migrated(&whole, 0);
    let mut cut_short = 0;
    for number in 0..MOMENTS {
        let installed = server();
        let mut child = installed.scenario.spawn(&words(&installed));
        let moment = moment(number, time);
        std::thread::sleep(moment);
        child.kill().expect("it was started");
        let ended = child.wait_with_output().expect("it ends").status;
        cut_short += u32::from(!ended.success());
        let again = installed.scenario.run(&words(&installed));
        assert_eq!(again.code, Some(0), "{number}, {moment:?} of {time:?}: {}", again.stderr);
        let mut files = installed.files();
        // The update tool's own half-written file, where it was killed as well.
        files.retain(|path, _| !path.ends_with(".update-tool.new"));
        assert_eq!(files, expected, "{number}, {moment:?} of {time:?}");
        let beside = std::fs::read_dir(installed.scenario.path("")).expect("there").filter_map(Result::ok);
        let left: Vec<_> =
            beside.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with(".h")).collect();
        assert!(left.is_empty(), "{number}: {left:?}");
        if !ended.success() {
            is_migrated(&installed, number);
        }
    }
    // How long a run takes depends on what else the machine does; most should be.
    assert!(cut_short > MOMENTS / 4, "only {cut_short} were cut short: killed too late");
}

#[test]
fn asked_to_stop_it_says_where_it_stands() {
    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let installed = Installed::with_tool(|tool| tool.slow_ms = 300).with_hotfixes(2);
        let before = installed.scenario.calls().len();
        let child = installed.scenario.spawn(&words(&installed));
        installed.wait_for_calls(before + 3);
        kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), signal).expect("it is there");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("error: revert-hotfixes: stopped by "), "{said}");
        assert!(said.contains("/before.tar.zst, level 10, 1 of 2 hotfixes; the same command goes on"), "{said}");
        installed.scenario.run(&words(&installed)).succeeds();
        assert_eq!(installed.standing(), ("20".to_owned(), 0));
    }
}

#[test]
fn under_nohup_it_goes_on() {
    let installed = Installed::with_tool(|tool| tool.slow_ms = 100).with_hotfixes(1);
    let scenario = installed.scenario.under(["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);
    let installed = Installed { scenario, home: installed.home };
    let before = installed.scenario.calls().len();
    let child = installed.scenario.spawn(&words(&installed));
    installed.wait_for_calls(before + 1);
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::HUP).expect("it is there");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(installed.standing(), ("20".to_owned(), 0));
}
