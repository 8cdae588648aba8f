//! `apply` killed with all that it has started, at any moment, at each line that it says, and while it recovers: the name has the
//! old image or the new one, whole, and the next run ends as if nothing had been.

use std::fs;
use std::hash::{BuildHasher, RandomState};

use crate::support::layout::Layout;
use crate::support::victim::Victim;
use crate::support::{Scenario, engine};

/// Moments in CI; `HOTFIX_TORTURE=300` says otherwise.
const MOMENTS: u32 = 40;

fn moments() -> Option<u32> {
    std::env::var("HOTFIX_TORTURE").ok().and_then(|text| text.parse().ok())
}

fn is_possible() -> bool {
    cfg!(target_os = "linux") || !engine::skip_even_in_ci("there is no /proc")
}

#[test]
fn before_there_is_a_layout() {
    let scenario = Scenario::new().without_engine();
    let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--output", "oci:image", "--tag", "team/am:x"];
    for files in [&["blobs/sha256/.hotfix-x"][..], &["blobs/sha256/.hotfix-x", "oci-layout"], &[".hotfix-x"]] {
        let _ = fs::remove_dir_all(scenario.path("image"));
        fs::create_dir_all(scenario.path("image/blobs/sha256")).expect("made");
        for file in files {
            fs::write(scenario.path("image").join(file), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
        }
        scenario.run(&[&words[..], &["--base-image", "scratch", "--through", "1"]].concat()).succeeds();
        assert!(!scenario.path("image/blobs/sha256/.hotfix-x").exists() && !scenario.path("image/.hotfix-x").exists());
        assert!(!Layout::open(&scenario.path("image"), "x").layer_digests().is_empty());
    }
}

/// At random, somewhere in each of `moments` equal parts of a bit more than a whole run; one in five again while it recovers.
fn at_any_moment(victim: &Victim, moments: u32) {
    let mut cut_short = 0;
    for number in 0..moments {
        let random = RandomState::new().hash_one(number);
        let part = (f64::from(number) + (random % 1000) as f64 / 1000.0) / f64::from(moments);
        let moment = victim.time.mul_f64(part * 1.1);
        let what = format!("{number}, {moment:?} of {:?}", victim.time);
        victim.prepare();
        if number % 3 == 0 {
            victim.forget_cached();
        }
        cut_short += u32::from(victim.kill_after(moment));
        victim.has_old_or_new(&what);
        if number % 5 == 0 {
            victim.kill_after(victim.time.mul_f64((random / 1000 % 1000) as f64 / 1000.0));
            victim.has_old_or_new(&what);
        }
        victim.recovers(&what);
    }
    assert!(cut_short > moments / 4, "only {cut_short} of {moments} were cut short: killed too late");
}

/// At what is said between two steps, or at everything that is said.
fn at_each_line(victim: &Victim) {
    let is_wanted = |line: &str| moments().is_some() || line.contains(": started") || line.contains(": done in");
    for number in 0.. {
        victim.prepare();
        if number % 2 == 0 {
            victim.forget_cached();
        }
        let Some(line) = victim.kill_at_line(is_wanted, number) else {
            assert!(number >= 8, "only {number} lines are between steps");
            break;
        };
        victim.has_old_or_new(&line);
        victim.recovers(&line);
    }
}

#[test]
fn at_any_moment_and_again_while_it_recovers() {
    if is_possible() {
        at_any_moment(&Victim::of_layout(), moments().unwrap_or(MOMENTS));
    }
}

#[test]
fn at_any_moment_with_an_engine() {
    if is_possible() && engine::is_there() {
        at_any_moment(&Victim::of_engine(), moments().unwrap_or(MOMENTS / 2));
    }
}

#[test]
fn at_any_moment_with_a_registry() {
    if is_possible()
        && let Some(victim) = Victim::of_registry()
    {
        at_any_moment(&victim, moments().unwrap_or(MOMENTS / 2));
    }
}

#[test]
fn between_steps() {
    if is_possible() {
        at_each_line(&Victim::of_layout());
    }
}

#[test]
fn between_steps_with_a_registry() {
    if is_possible()
        && let Some(victim) = Victim::of_registry()
    {
        at_each_line(&victim);
    }
}

#[test]
fn between_steps_with_an_engine() {
    if is_possible() && engine::is_there() {
        at_each_line(&Victim::of_engine());
    }
}
