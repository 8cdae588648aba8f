//! `hotfix completions` and `hotfix man`: what a shell and a reader of manuals make of them.

use std::fs;
use std::process::Command;

use crate::support::Scenario;

/// What bash offers for the words, the last of which is being typed.
fn offered(script: &str, words: &[&str]) -> Option<Vec<String>> {
    let complete = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; COMP_LINE=; COMP_POINT=0; _hotfix hotfix '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let output = Command::new("bash").args(["--norc", "-c", &complete]).output().ok()?;
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8").split_whitespace().map(str::to_owned).collect())
}

#[test]
fn bash_completes() {
    let script = Scenario::empty().run(&["completions", "bash"]).succeeds().stdout;
    let Some(commands) = offered(&script, &["hotfix", "re"]) else {
        crate::support::engine::skip("no bash is here");
        return;
    };
    assert_eq!(commands, ["restore", "revert"]);
    assert_eq!(offered(&script, &["hotfix", "apply", "--password-s"]).expect("bash"), ["--password-stdin"]);
    let modes = offered(&script, &["hotfix", "apply", "--workspace-mode", "o"]).expect("bash");
    assert_eq!(modes, ["overlay"]);
}

#[test]
fn each_shell_has_its_script() {
    for (shell, said) in
        [("zsh", "#compdef hotfix"), ("fish", "complete -c hotfix"), ("powershell", "Register-ArgumentCompleter")]
    {
        let script = Scenario::empty().run(&["completions", shell]).succeeds().stdout;
        assert!(script.contains(said) && script.contains("workspace-mode"), "{shell}");
    }
    Scenario::empty().run(&["completions", "csh"]).fails_with(2).says("expected bash, elvish, fish, powershell or zsh");
}

#[test]
fn each_command_has_its_page() {
    let scenario = Scenario::empty();
    let child = scenario.spawn(&["man", "new/man"]);
    assert!(child.wait_with_output().expect("it ends").status.success());
    let page = |name: &str| fs::read_to_string(scenario.path("new/man").join(name)).expect(name);
    assert!(page("hotfix.1").contains("apply") && page("hotfix.1").contains("11  a checked condition"));
    assert!(page("hotfix-env-promote.1").contains("allow\\-removal"));
    // The names of the arguments stand in the order in which they are given.
    let apply = page("hotfix-apply.1");
    let synopsis = apply.lines().find(|line| line.contains("PACK")).expect("a synopsis");
    let order = ["PACK", "HOTFIX_DIR", "USERNAME", "PASSWORD"].map(|name| synopsis.find(name).expect(name));
    assert!(order.is_sorted(), "{synopsis}");
    let file = scenario.path("file");
    fs::write(&file, "x").expect("written");
    let run = scenario.run(&["man", "file/man"]).fails_with(4);
    run.says("manual pages cannot be written to file/man").says("give a folder that can be written to");
}
