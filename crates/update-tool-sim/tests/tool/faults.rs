//! What goes wrong on demand.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use update_tool_sim::{Behave, Fault, HotfixBuilder, ToolBehaviour};

use crate::product::{Product, code, spawn, with};

fn with_fault(fault: Fault) -> Product {
    with(ToolBehaviour { on_current_state: fault, ..ToolBehaviour::default() })
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().expect("it can be asked").is_none()
}

fn signal(name: &str, pid: u32) -> bool {
    let status = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
    status.expect("kill runs").success()
}

/// The pids of the children that the tool left behind.
fn left_behind(product: &Product) -> Vec<u32> {
    let path = product.user_home.join(".wso2-updates/left-behind.pids");
    let text = fs::read_to_string(path).expect("pids");
    text.lines().map(|line| line.parse().expect("a pid")).collect()
}

#[test]
fn exit_codes_after_logging_in() {
    for (fault, expected) in [
        (Fault::Error, 1),
        (Fault::SelfUpdateClaimed, 2),
        (Fault::Conflict, 3),
        (Fault::Reverted, 4),
        (Fault::ExitCode(77), 77),
    ] {
        let product = with_fault(fault);
        assert_eq!(product.run(&["current-state"]), expected, "{fault:?}");
        assert!(product.home.join("updates/config.json").exists());
        assert_eq!(product.run(&["check"]), 0, "no other command is affected");
    }
}

#[test]
fn each_command_has_its_own() {
    let product = with(ToolBehaviour {
        on_apply_hotfix: Fault::Conflict,
        on_revert_hotfix: Fault::Reverted,
        on_create_docker: Fault::ExitCode(9),
        ..ToolBehaviour::default()
    });
    let zip = HotfixBuilder::new("wso2am", "4.1.0", 10, 1).add("new.txt", "new").write_to(product.hotfixes());
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(product.apply(&zip), 3);
    assert!(!product.home.join("new.txt").exists(), "it goes wrong before the first file");
    assert_eq!(product.run(&["revert-hotfix"]), 4);
    assert_eq!(product.run(&["create-docker"]), 9);
}

#[test]
fn ended_by_a_signal() {
    let output = with_fault(Fault::Abort).output(&["current-state"]);
    assert_eq!(output.status.code(), None);
}

#[test]
fn another_prompt() {
    let output = with_fault(Fault::Prompt).output(&["current-state"]);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Continue?"));
}

#[test]
fn hanging_until_terminated() {
    let product = with_fault(Fault::Hang);
    let mut child = spawn(product.logged_in(&["current-state"]));
    wait_until("logged in", || product.home.join("updates/config.json").exists());
    std::thread::sleep(Duration::from_millis(100));
    assert!(is_running(&mut child));
    assert!(signal("-TERM", child.id()));
    assert_eq!(child.wait().expect("it ends").code(), None);
}

#[test]
fn hanging_until_killed() {
    let product = with(ToolBehaviour::default());
    let zip = HotfixBuilder::new("wso2am", "4.1.0", 10, 1)
        .add("new.txt", "new")
        .behave(Behave::HangIgnoringTerm)
        .write_to(product.hotfixes());
    let mut child = spawn(product.logged_in(&["apply-hotfix", zip.to_str().expect("UTF-8")]));
    let pid = child.id().to_string();
    wait_until("asleep", || {
        let ps = Command::new("ps").args(["-o", "comm=", "-p", &pid]).output();
        String::from_utf8_lossy(&ps.expect("ps runs").stdout).contains("sleep")
    });
    assert!(product.home.join("new.txt").exists(), "it hangs in the middle");
    assert!(signal("-TERM", child.id()) && signal("-INT", child.id()));
    std::thread::sleep(Duration::from_millis(200));
    assert!(is_running(&mut child));
    child.kill().expect("it is there");
    assert_eq!(child.wait().expect("it ends").code(), None);
}

#[test]
fn a_child_left_behind_holds_stdout_open() {
    let product = with(ToolBehaviour { spawn_grandchild: true, ..ToolBehaviour::default() });
    let mut child = spawn(product.logged_in(&["current-state"]));
    assert!(child.wait().expect("it ends").success());
    let mut stdout = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    std::thread::sleep(Duration::from_millis(200));
    assert!(!reader.is_finished());
    for pid in left_behind(&product) {
        assert!(signal("-KILL", pid));
    }
    let _ = reader.join();
}

#[test]
fn a_hotfix_can_leave_one_in_either_process_group() {
    let product = with(ToolBehaviour::default());
    for (number, behave) in [(1, Behave::Fork), (2, Behave::ForkOwnGroup)] {
        let zip = HotfixBuilder::new("wso2am", "4.1.0", 10, number)
            .add("new.txt", "new")
            .behave(behave)
            .write_to(product.hotfixes());
        let mut command = product.logged_in(&["apply-hotfix", zip.to_str().expect("UTF-8")]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(spawn(command).wait().expect("it ends").success());
    }
    let pids = left_behind(&product);
    let group = |pid: u32| {
        let ps = Command::new("ps").args(["-o", "pgid=", "-p", &pid.to_string()]).output();
        let text = String::from_utf8(ps.expect("ps runs").stdout).expect("text");
        text.trim().parse::<u32>().expect("a process group")
    };
    assert_ne!(group(pids[0]), pids[0]);
    assert_eq!(group(pids[1]), pids[1]);
    for pid in pids {
        assert!(signal("-KILL", pid));
    }
}

#[test]
fn slow() {
    let product = with(ToolBehaviour { slow_ms: 300, ..ToolBehaviour::default() });
    let start = Instant::now();
    assert_eq!(product.run(&["version"]), 0);
    assert!(start.elapsed() >= Duration::from_millis(300));
}
