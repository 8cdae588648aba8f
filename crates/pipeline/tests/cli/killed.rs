//! `apply` killed with all that it has started, at any moment and while it recovers: the name has the old image or the new one, whole,
//! and the next run ends as if nothing had been.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::Scenario;
use crate::support::layout::Layout;

/// Moments in CI; `HOTFIX_TORTURE=300` says otherwise.
const MOMENTS: u32 = 40;
const CACHE: &str = "home/.cache/hotfix";

fn words(through: &str) -> [&str; 11] {
    [
        "apply",
        "packs/wso2am-4.1.0.10.zip",
        "hotfixes",
        "--base-image",
        "scratch",
        "--output",
        "oci:image",
        "--tag",
        "team/am:x",
        "--through",
        through,
    ]
}

fn digests(scenario: &Scenario) -> Vec<String> {
    Layout::open(&scenario.path("image"), "x").layer_digests()
}

/// Starts the run in a process group of its own, and kills that after `moment`; whether it was cut short.
fn killed_after(scenario: &Scenario, moment: Duration) -> bool {
    let child = scenario.spawn(&words("3"));
    std::thread::sleep(moment);
    let group = Pid::from_raw(child.id().cast_signed()).expect("not 0");
    // Whoever has ended has no group any more.
    let _ = kill_process_group(group, Signal::KILL);
    !child.wait_with_output().expect("it ends").status.success()
}

#[test]
fn before_there_is_a_layout() {
    let scenario = Scenario::new().without_engine();
    for files in [&["blobs/sha256/.hotfix-x"][..], &["blobs/sha256/.hotfix-x", "oci-layout"], &[".hotfix-x"]] {
        let _ = fs::remove_dir_all(scenario.path("image"));
        fs::create_dir_all(scenario.path("image/blobs/sha256")).expect("made");
        for file in files {
            fs::write(scenario.path("image").join(file), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
        }
        scenario.run(&words("1")).succeeds();
        assert!(!scenario.path("image/blobs/sha256/.hotfix-x").exists() && !scenario.path("image/.hotfix-x").exists());
        assert!(!digests(&scenario).is_empty());
    }
}

/// Waits until what the update tool was doing is done: it is in a group of its own, and ends by itself.
fn wait_for_the_tool(scenario: &Scenario) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let place = scenario.path("");
    let is_of_scenario =
        |process: &fs::DirEntry| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&place));
    while fs::read_dir("/proc").expect("Linux").filter_map(Result::ok).any(|process| is_of_scenario(&process)) {
        assert!(Instant::now() < deadline, "something goes on for ever");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn at_any_moment_and_again_while_it_recovers() {
    if !cfg!(target_os = "linux") {
        crate::support::engine::skip_even_in_ci("there is no /proc");
        return;
    }
    let moments = std::env::var("HOTFIX_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(MOMENTS);
    let scenario = Scenario::new().without_engine().with_tool(|tool| tool.backup = false);
    scenario.run(&words("2")).succeeds();
    let old = digests(&scenario);
    let began = Instant::now();
    scenario.run(&words("3")).succeeds();
    let time = began.elapsed();
    let new = digests(&scenario);
    assert_ne!(old, new);
    let scenario = scenario.under(["setsid"]);
    let mut cut_short = 0;
    for number in 0..moments {
        let random = RandomState::new().hash_one(number);
        let part = (f64::from(number) + (random % 1000) as f64 / 1000.0) / f64::from(moments);
        let moment = time.mul_f64(part * 1.1);
        let what = format!("{number}, {moment:?} of {time:?}");
        scenario.run(&words("2")).succeeds();
        if number % 3 == 0 {
            fs::remove_dir_all(scenario.path(CACHE)).expect("there");
        }
        cut_short += u32::from(killed_after(&scenario, moment));
        let there = digests(&scenario);
        assert!(there == old || there == new, "{what}: {there:?}");
        if number % 5 == 0 {
            killed_after(&scenario, time.mul_f64((random / 1000 % 1000) as f64 / 1000.0));
            let there = digests(&scenario);
            assert!(there == old || there == new, "{what}: {there:?}");
        }
        wait_for_the_tool(&scenario);
        let calls = scenario.calls().len();
        let run = scenario.run(&words("3"));
        assert_eq!(run.code, Some(0), "{what}: {}", run.stderr);
        assert_eq!(digests(&scenario), new, "{what}");
        let applied: Vec<String> = scenario.calls()[calls..]
            .iter()
            .filter(|call| call.arguments.first().is_some_and(|first| first == "apply-hotfix"))
            .map(|call| call.arguments.concat().chars().rfind(char::is_ascii_digit).expect("a number").to_string())
            .collect();
        assert_eq!(applied, ["1", "2", "3"], "{what}");
        let left: Vec<_> = fs::read_dir(scenario.path("tmp")).expect("there").filter_map(Result::ok).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux");
        assert!(!mounts.contains(scenario.path("").to_str().expect("UTF-8")), "{what}: {mounts}");
        let layout = fs::read_dir(scenario.path("image/blobs/sha256")).expect("there").filter_map(Result::ok);
        let half: Vec<_> = layout.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).collect();
        assert!(half.is_empty(), "{what}: {half:?}");
    }
    assert!(cut_short > moments / 4, "only {cut_short} of {moments} were cut short: killed too late");
}
