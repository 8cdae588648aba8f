//! Flags, environment, prompt.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use update_tool_sim::{ToolBehaviour, calls};

use crate::product::{PASSWORD, Product, USER, code, spawn, with};

fn run(command: Command) -> Output {
    spawn(command).wait_with_output().expect("it ends")
}

fn only_accepting_the_right_ones() -> ToolBehaviour {
    ToolBehaviour { accepts: Some((USER.to_owned(), PASSWORD.to_owned())), ..ToolBehaviour::default() }
}

#[test]
fn by_flags_before_the_environment() {
    let product = with(only_accepting_the_right_ones());
    for flags in [["-u", USER, "-p", PASSWORD].as_slice(), &["--username=jo@example.com", "--password=s3cret-pass"]] {
        let mut command = product.command(&["current-state"]);
        command.args(flags).env("UPDATE_TOOL_PASSWORD", "wrong");
        assert_eq!(code(&run(command)), 0);
    }
    let mut wrong_flag = product.logged_in(&["current-state"]);
    wrong_flag.args(["-p", "wrong"]);
    assert_eq!(code(&run(wrong_flag)), 1);
}

#[test]
fn by_the_environment() {
    let product = with(only_accepting_the_right_ones());
    assert_eq!(product.run(&["current-state"]), 0);
    assert_eq!(product.config()["username"], USER);
}

#[test]
fn wrong_ones_change_nothing() {
    let product = with(ToolBehaviour { self_updates: 1, ..only_accepting_the_right_ones() });
    let mut command = product.command(&["current-state"]);
    command.args(["-u", USER, "-p", "wrong"]);
    let output = run(command);
    assert_eq!(code(&output), 1);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("wrong-pass"));
    assert!(!product.home.join("updates/config.json").exists());
}

#[test]
fn an_old_tool_ignores_the_environment() {
    let product = with(ToolBehaviour { reads_environment: false, ..ToolBehaviour::default() });
    assert_eq!(product.run(&["current-state"]), 1, "it prompts, and stdin is closed");
    assert_eq!(product.run(&["current-state", "-u", USER, "-p", PASSWORD]), 0);
}

#[test]
fn by_a_prompt() {
    let product = with(only_accepting_the_right_ones());
    let mut command = product.command(&["current-state"]);
    command.stdin(Stdio::piped());
    let mut child = spawn(command);
    std::thread::sleep(Duration::from_millis(300));
    let status = child.try_wait().expect("it can be asked");
    assert_eq!(status, None, "it waits as long as stdin is open and silent");
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "{USER}\n{PASSWORD}").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), 0);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Username: "));
}

#[test]
fn none_and_a_closed_stdin() {
    let product = with(ToolBehaviour::default());
    assert_eq!(code(&run(product.command(&["current-state"]))), 1);
    assert_eq!(code(&run(product.command(&["version"]))), 0);
    assert_eq!(code(&run(product.command(&["help"]))), 0);
}

#[test]
fn a_loud_tool_prints_them() {
    let product = with(ToolBehaviour { loud: true, ..ToolBehaviour::default() });
    let output = product.output(&["current-state"]);
    let token = product.config()["service"]["access-token"].clone();
    for stream in [output.stdout, output.stderr] {
        let text = String::from_utf8(stream).expect("text");
        assert!(text.contains(PASSWORD));
        assert!(text.contains(token.as_str().expect("a token")));
    }
}

#[test]
fn a_quiet_tool_does_not() {
    let product = with(ToolBehaviour::default());
    let output = product.output(&["current-state"]);
    let text = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&text).contains(PASSWORD));
}

#[test]
fn a_journal_tells_how_the_tool_was_called() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let journal = folder.path().join("calls.jsonl");
    assert!(calls(&journal).is_empty());
    let product: Product = with(ToolBehaviour { journal: Some(journal.clone()), ..ToolBehaviour::default() });
    product.run(&["current-state"]);
    product.run(&["check"]);
    let calls = calls(&journal);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].arguments, ["current-state"]);
    assert_eq!(calls[0].environment["UPDATE_TOOL_USERNAME"], USER);
    assert!(calls[0].current_dir.ends_with("wso2am-4.1.0/bin"));
    assert!(!calls[0].has_terminal);
}
