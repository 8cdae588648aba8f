//! INT and TERM at any moment: we and all that we started are gone, and nothing is left.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use update_tool_sim::{Behave, Fault};

use crate::support::Scenario;
use crate::support::http::{Answer, Server};

/// Within which we and all that we have started are gone, on a machine that does nothing else.
const BOUND: Duration = Duration::from_secs(10);

fn stop(child: &std::process::Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("not 0");
    kill_process(pid, signal).expect("it is there");
}

fn step_of(stderr: &str) -> &str {
    let line = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    line.split(": ").nth(1).unwrap_or_default()
}

#[test]
fn while_the_tool_hangs() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for fault in [Fault::Hang, Fault::HangIgnoringTerm] {
            let scenario = Scenario::new().with_tool(|tool| tool.on_current_state = fault).args([
                "--output",
                "oci:image",
                "--report",
                "report",
            ]);
            let before = scenario.snapshot();
            let child = scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
            stop(&child, signal);
            scenario.ended(child, &before).fails(code, "initialize-update-tool").says("stopped by");
            assert_eq!(scenario.report()["exit_code"], code);
        }
    }
}

#[test]
fn while_a_hotfix_hangs_that_has_changed_files() {
    for behave in [Behave::Hang, Behave::HangIgnoringTerm] {
        let scenario = Scenario::new()
            .with_hotfix(3, |hotfix| hotfix.add("x", "y").behave(behave))
            .args(["--output", "oci:image"]);
        let before = scenario.snapshot();
        let child = scenario.start_apply_until(|scenario| scenario.calls().len() == 4);
        std::thread::sleep(Duration::from_millis(100));
        stop(&child, Signal::TERM);
        scenario.ended(child, &before).fails(143, "apply-hotfixes").says("hotfix 2 of 3 applied");
    }
}

/// What later steps need is looked at beforehand; whoever stops that has not stopped them.
#[test]
fn while_a_registry_is_asked_whether_it_takes_the_image() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_secs(20));
        Answer::new(500)
    });
    for more in [vec!["--push"], vec!["--push", "--if-changed"]] {
        let scenario = Scenario::new().without_engine().args(["--output", "oci:image", "--report", "report"]);
        let tag = format!("{}/team/am:x", server.host);
        let scenario = more.into_iter().fold(scenario.args(["-t", &tag]), |scenario, word| scenario.args([word]));
        let before = scenario.snapshot();
        let asked = server.requests().len();
        let child = scenario.start_apply_until(|_| server.requests().len() > asked);
        stop(&child, Signal::INT);
        scenario.ended(child, &before).fails(130, "validate-inputs").says("stopped by");
        assert_eq!(scenario.report()["error"]["step"], "validate-inputs");
    }
}

/// INT and TERM in turn, at moments of a run of `scenario`.
fn at_any_moment(scenario: impl Fn() -> Scenario) {
    let (mut stopped, mut steps) = (0, BTreeSet::new());
    for moment in 0..17_u64 {
        let scenario = scenario().with_pack(|pack| pack.filler(20_000_000)).args(["--output", "oci:image"]);
        let before = scenario.snapshot();
        let child = scenario.start_apply_until(|_| true);
        std::thread::sleep(Duration::from_millis(20 + moment * 60));
        let signal = if moment % 2 == 0 { Signal::INT } else { Signal::TERM };
        let asked = Instant::now();
        stop(&child, signal);
        let run = scenario.ended(child, &before);
        match run.code {
            // Before it could listen the signal itself ended it: nothing was begun.
            None => {
                assert_eq!(run.signal, Some(signal.as_raw()), "{}", run.stderr);
                drop(run.leaves_nothing());
            }
            // Too late: it was done, and stays so.
            Some(0) => drop(run.succeeds()),
            Some(_) => {
                let step = step_of(&run.stderr).to_owned();
                run.fails(if moment % 2 == 0 { 130 } else { 143 }, &step);
                assert!(asked.elapsed() < BOUND, "{moment}, {step}: {:?}", asked.elapsed());
                stopped += 1;
                steps.insert(step);
            }
        }
    }
    assert!(stopped > 3, "only {stopped} runs were stopped, so little was tested");
    assert!(steps.len() > 1, "all runs were stopped in {steps:?}");
}

#[test]
fn at_any_moment_of_a_quick_tool() {
    at_any_moment(Scenario::new);
}

#[test]
fn at_any_moment_of_a_tool_with_children() {
    at_any_moment(|| Scenario::new().with_tool(|tool| tool.spawn_grandchild = true));
}

#[test]
fn at_any_moment_of_a_tool_that_ignores_it() {
    let hang = Behave::HangIgnoringTerm;
    at_any_moment(|| Scenario::new().without_hotfixes().with_hotfix(1, |hotfix| hotfix.add("x", "y").behave(hang)));
}

#[test]
fn while_the_tool_has_children_in_sessions_of_their_own() {
    let script = "setsid -f sleep 1000; setsid sleep 1000 & touch $home/../../../started; sleep 1000";
    let scenario = Scenario::new().with_script(script).args(["--output", "oci:image"]);
    let before = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| scenario.path("started").exists());
    std::fs::remove_file(scenario.path("started")).expect("there");
    stop(&child, Signal::TERM);
    scenario.ended(child, &before).fails(143, "initialize-update-tool");
}
