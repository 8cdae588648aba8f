//! Killed at any moment, an environment runs what it ran or what it was to run; the same command again ends right, and the ledger is
//! whole.

use std::time::Duration;

use crate::support::estate::Estate;

/// Moments at which each command is killed.
const MOMENTS: u32 = 50;

struct Command {
    words: &'static str,
    environment: &'static str,
    act: &'static str,
}

/// Runs `command` over and over, killed at another moment each time, from the state that `prepare` makes.
fn killed_at_any_moment(estate: &Estate, command: &Command, prepare: impl Fn()) {
    prepare();
    let old = estate.digest(command.environment);
    let started = std::time::Instant::now();
    estate.env(command.words).succeeds();
    let whole = started.elapsed();
    let new = estate.digest(command.environment);
    assert_ne!(old, new);
    let mut cut_short = 0;
    for moment in 0..MOMENTS {
        prepare();
        assert_eq!(estate.digest(command.environment), old);
        let words: Vec<&str> = ["env"].into_iter().chain(command.words.split(' ')).collect();
        let mut child = estate.scenario.spawn(&words);
        std::thread::sleep(whole.mul_f64(f64::from(moment) * 1.1 / f64::from(MOMENTS)));
        child.kill().expect("it was started");
        let ended = child.wait().expect("it ends");
        cut_short += u32::from(!ended.success());
        let now = estate.digest(command.environment);
        assert!(now == old || now == new, "{now} is neither the old nor the new image");
        let written_down = || {
            let history = estate.json(&format!("history --env {}", command.environment));
            let history = history.as_array().expect("the ledger is whole");
            history.iter().filter(|record| record["act"] == command.act && record["digest"] == new.as_str()).count()
        };
        let is_done = written_down() == moment as usize + 2;
        let run = estate.env(command.words);
        // Going back to where one is is refused.
        assert_eq!(run.code, Some(if is_done && command.act == "rolled-back" { 11 } else { 0 }), "{}", run.stderr);
        assert_eq!(estate.digest(command.environment), new);
        assert_eq!(written_down(), moment as usize + 2, "each time is written down once");
    }
    // How long a run takes depends on what else the machine does; most should be.
    assert!(cut_short > MOMENTS / 10, "only {cut_short} were cut short: killed too late");
}

#[test]
fn a_promotion() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["preprod"]);
    let command = Command { words: "promote --from preprod --to prod", environment: "prod", act: "promoted" };
    estate.deploy(1, &["old"]);
    killed_at_any_moment(&estate, &command, || back_to_old(&estate, "prod"));
}

/// By the ledger, so that what comes next is something new.
fn back_to_old(estate: &Estate, environment: &str) {
    let image = estate.tag("old");
    estate.env(&format!("promote --image {image} --to {environment} --tag old --allow-removal")).succeeds();
}

#[test]
fn a_propagation() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(2, &["preprod"]);
    let command = Command { words: "propagate --from preprod --to dev", environment: "dev", act: "propagated" };
    estate.deploy_with(&["--label", "team=dev"], 1, &["old"]);
    killed_at_any_moment(&estate, &command, || back_to_old(&estate, "dev"));
}

#[test]
fn a_rollback() {
    let Some(estate) = Estate::new() else { return };
    estate.deploy(1, &["preprod"]);
    estate.env("verify --env preprod --result pass").succeeds();
    estate.env("promote --from preprod --to prod").succeeds();
    let first = estate.digest("prod");
    estate.deploy(2, &["preprod"]);
    estate.env("promote --from preprod --to prod").succeeds();
    let words: &'static str = Box::leak(format!("rollback --env prod --to {first}").into_boxed_str());
    let command = Command { words, environment: "prod", act: "rolled-back" };
    killed_at_any_moment(&estate, &command, || drop(estate.env("promote --from preprod --to prod").succeeds()));
}

#[test]
fn stopped_it_says_so_by_its_exit_code() {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(estate) = Estate::new() else { return };
    let slow = crate::support::http::Server::start(|_| {
        std::thread::sleep(Duration::from_secs(5));
        crate::support::http::Answer::new(200)
    });
    let text = format!("[[environments]]\nname = \"x\"\nimage = \"{}/a:b\"\nproduction = true\n", slow.host);
    std::fs::write(estate.scenario.path("slow.toml"), text).expect("written");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let before = slow.requests().len();
        let mut child = estate.scenario.spawn(&["env", "status", "--environments", "slow.toml"]);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while slow.requests().len() == before {
            assert!(std::time::Instant::now() < deadline, "nothing was asked for");
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), signal).expect("it is there");
        assert_eq!(child.wait().expect("it ends").code(), Some(code));
    }
}

/// A rollback whose end was not written down, by a file.
fn with_an_unfinished_rollback() -> Option<(Estate, [String; 3])> {
    let estate = Estate::new()?;
    let ledger = "--ledger file:l.jsonl";
    for through in 0..=2 {
        estate.deploy(through, &["preprod"]);
        estate.env(&format!("verify --env preprod --result pass {ledger}")).succeeds();
        estate.env(&format!("promote --from preprod --to prod {ledger}")).succeeds();
    }
    let digests = ["4.1.0.10", "4.1.0.10-hf1", "4.1.0.10-hf2"].map(|tag| estate.registry.digest_of("team/am", tag));
    estate.env(&format!("rollback --env prod {ledger}")).succeeds();
    let text = estate.scenario.text("l.jsonl");
    let whole = text.trim_end().rsplit_once('\n').expect("lines").0;
    std::fs::write(estate.scenario.path("l.jsonl"), format!("{whole}\n")).expect("written");
    Some((estate, digests))
}

#[test]
fn what_was_rejected_meanwhile_is_not_finished_but_left() {
    let Some((estate, [clean, first, _])) = with_an_unfinished_rollback() else { return };
    assert_eq!(estate.digest("prod"), first);
    estate.env("reject --env prod --reason bad --actor bob --ledger file:l.jsonl").succeeds();
    let shown = estate.env("rollback --env prod --ledger file:l.jsonl --dry-run").succeeds().stdout;
    assert!(shown.starts_with("prod would run 4.1.0.10 ("), "{shown}");
    estate.env("rollback --env prod --ledger file:l.jsonl").succeeds();
    assert_eq!(estate.digest("prod"), clean);
    let acts = estate.json("history --env prod --ledger file:l.jsonl");
    let acts: Vec<_> = acts.as_array().expect("a list").iter().map(|record| record["act"].clone()).collect();
    assert_eq!(acts[acts.len() - 3..], ["rejected", "rolled-back", "rolled-back"]);
}

#[test]
fn what_is_asked_for_goes_before_what_was_begun() {
    let Some((estate, [clean, first, second])) = with_an_unfinished_rollback() else { return };
    assert_eq!(estate.digest("prod"), first);
    estate.env(&format!("rollback --env prod --to {clean} --ledger file:l.jsonl")).succeeds();
    assert_eq!(estate.digest("prod"), clean);
    // A promotion that was stopped can be taken back as well.
    estate.env("promote --from preprod --to prod --ledger file:l.jsonl").succeeds();
    let text = estate.scenario.text("l.jsonl");
    let whole = text.trim_end().rsplit_once('\n').expect("lines").0;
    std::fs::write(estate.scenario.path("l.jsonl"), format!("{whole}\n")).expect("written");
    assert_eq!(estate.digest("prod"), second);
    estate.env(&format!("rollback --env prod --to {clean} --ledger file:l.jsonl")).succeeds();
    assert_eq!(estate.digest("prod"), clean);
}
