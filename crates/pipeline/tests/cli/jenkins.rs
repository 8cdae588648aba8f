//! In Jenkins: the step of the shared library, with a stand-in for Jenkins around it, and aborts as Jenkins does them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use update_tool_sim::{Behave, Fault};

use crate::support::scenario::PASSWORD;
use crate::support::{Scenario, engine};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/jenkins").join(name)
}

/// What the step prints, with these options; none where there is no Groovy, which is told.
fn step(scenario: &Scenario, options: &str) -> Option<(bool, String, String)> {
    let binary = env!("CARGO_BIN_EXE_hotfix");
    let options = format!("[command: '{binary}', baseImage: 'scratch', output: 'oci:image', noCache: true, {options}]");
    let mut groovy = Command::new("groovy");
    groovy.arg(file("test/Stub.groovy")).arg(file("vars/hotfix.groovy")).arg(options);
    let output = groovy.current_dir(scenario.path("")).env("TMPDIR", scenario.path("tmp")).output();
    let Ok(output) = output else {
        engine::skip("no groovy is here (Debian: groovy)");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((output.status.success(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn the_step_builds_and_publishes() {
    let scenario = Scenario::new().without_engine();
    let options = "pack: 'packs/wso2am-4.1.0.10.zip', hotfixes: 'hotfixes', credentialsId: 'wso2', tag: ['team/am:x', 'team/am:y'], label: ['a=it\\'s 1'], through: 2";
    let Some((is_done, said, log)) = step(&scenario, options) else { return };
    assert!(is_done, "{said}{log}");
    for line in ["credentials wso2", "junit hotfix-report/junit.xml", "archive hotfix-report/**"] {
        assert!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    assert!(said.ends_with("image team/am:x\nimage team/am:y\n"), "{said}");
    let image = crate::support::layout::Layout::open(&scenario.path("image"), "y");
    assert_eq!(image.labels()["a"], "it's 1");
    assert_eq!(image.labels()["org.opencontainers.image.version"], "4.1.0.10-hf2");
    assert!(scenario.path("hotfix-report/report.html").exists());
}

#[test]
fn what_is_null_or_empty_is_not_given() {
    let inputs = "pack: 'packs/wso2am-4.1.0.10.zip', hotfixes: 'hotfixes', credentialsId: 'wso2'";
    let cases = [
        ("repository: null, tag: [null, ''], dockerfile: null", "wso2am:4.1.0.10-hf3"),
        ("tag: [null, \"${''}\", 'team/am:x', ''], label: [null, 'a=1'], buildArg: []", "team/am:x"),
        ("tag: 'team/am:x', report: '', through: null, config: ''", "team/am:x"),
        ("tag: 'team/am:x,'.split(',')", "team/am:x"),
        ("tag: 'team/am:x', report: null, workspace: ['']", "team/am:x"),
    ];
    for (options, name) in cases {
        let scenario = Scenario::new().without_engine();
        let Some((is_done, said, log)) = step(&scenario, &format!("{inputs}, {options}")) else { return };
        assert!(is_done, "{options}: {said}{log}");
        assert!(said.ends_with(&format!("archive hotfix-report/**\nimage {name}\n")), "{options}: {said}");
        assert!(scenario.path("hotfix-report/images.txt").exists() && !scenario.path("null").exists(), "{options}");
    }
    let scenario = Scenario::new().without_engine();
    let (is_done, said, _) = step(&scenario, "pack: null, hotfixes: 'hotfixes'").expect("groovy is here");
    assert!(!is_done && said.contains("error hotfix: give pack"), "{said}");
}

#[test]
fn what_differs_is_no_name_of_an_image() {
    let scenario = Scenario::new().without_engine();
    let options = "pack: 'packs/wso2am-4.1.0.10.zip', hotfixes: 'hotfixes', tag: 'team/am:x'";
    let Some((is_done, said, log)) = step(&scenario, &format!("{options}, credentialsId: 'wso2'")) else { return };
    assert!(is_done && said.ends_with("image team/am:x\n"), "{said}{log}");
    let told = |more: &str| {
        let (is_done, said, log) = step(&scenario, &format!("{options}, {more}")).expect("groovy is here");
        assert!(is_done && !said.contains("\nimage "), "{said}{log}");
        assert!(!scenario.path("hotfix-report/images.txt").exists(), "it was of the build before");
        scenario.text("hotfix-report/changes.txt")
    };
    assert_eq!(told("reportOnlyChanges: true, label: ['a=1']"), "team/am:x: --label is new\n");
    assert_eq!(told("reportOnlyChanges: 'Yes'"), "");
    let more = "credentialsId: 'wso2', reportOnlyChanges: false";
    let (_, said, _) = step(&scenario, &format!("{options}, {more}")).expect("groovy is here");
    assert!(said.ends_with("image team/am:x\n") && !scenario.path("hotfix-report/changes.txt").exists(), "{said}");
}

#[test]
fn a_step_that_fails_publishes_too() {
    let scenario = Scenario::new().with_hotfix(2, |hotfix| hotfix.add("x", "y").behave(Behave::Error));
    let options = "pack: 'packs/wso2am-4.1.0.10.zip', hotfixes: 'hotfixes', credentialsId: 'wso2'";
    let Some((is_done, said, log)) = step(&scenario, options) else { return };
    assert!(!is_done && said.contains("error script returned exit code 6"), "{said}{log}");
    assert!(said.contains("junit ") && said.contains("archive "), "{said}");
    assert!(fs::read_to_string(scenario.path("hotfix-report/junit.xml")).expect("written").contains("<failure"));
    let (is_done, said, _) = step(&scenario, "pack: 'x'").expect("groovy is here");
    assert!(!is_done && said.contains("error hotfix: give hotfixes"), "{said}");
}

#[test]
fn groovy_compiles_it() {
    let classes = tempfile::tempdir().expect("a folder");
    let compile = |name: &str| Command::new("groovyc").arg("-d").arg(classes.path()).arg(file(name)).output();
    let Ok(step) = compile("vars/hotfix.groovy") else {
        engine::skip("no groovy is here (Debian: groovy)");
        return;
    };
    assert!(step.status.success(), "{}", String::from_utf8_lossy(&step.stderr));
    // An annotation of Jenkins is unknown elsewhere.
    let example = fs::read_to_string(file("Jenkinsfile")).expect("readable").replace("@Library('hotfix') _", "");
    let plain = classes.path().join("Example.groovy");
    fs::write(&plain, example).expect("written");
    let compiled = Command::new("groovyc").arg("-d").arg(classes.path()).arg(&plain).output().expect("it starts");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

/// The update tool of a run, by where it works.
fn tool_of(scenario: &Scenario) -> Pid {
    let place = scenario.path("tmp");
    for _ in 0..500 {
        let processes = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
        let works_there =
            |process: &fs::DirEntry| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&place));
        let found = processes.filter(works_there).filter_map(|process| process.file_name().to_str()?.parse().ok());
        if let Some(pid) = found.filter_map(Pid::from_raw).next() {
            return pid;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the update tool does not run");
}

#[test]
fn a_tool_that_an_abort_has_ended_has_not_failed() {
    if !cfg!(target_os = "linux") {
        engine::skip_even_in_ci("there is no /proc");
        return;
    }
    let hanging = || {
        let scenario = Scenario::new().with_tool(|tool| tool.on_current_state = Fault::Hang);
        scenario.args(["--output", "oci:image", "--report", "report", "--workspace-mode", "copy"])
    };
    // Children first, as Jenkins does.
    let scenario = hanging();
    let before = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    kill_process(tool_of(&scenario), Signal::TERM).expect("it is there");
    std::thread::sleep(Duration::from_millis(200));
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::TERM).expect("it is there");
    scenario.ended(child, &before).fails(143, "initialize-update-tool").says("stopped by").does_not_say(PASSWORD);
    // Alone, it has.
    let scenario = hanging();
    let before = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    kill_process(tool_of(&scenario), Signal::TERM).expect("it is there");
    scenario.ended(child, &before).fails(6, "initialize-update-tool").says("it was ended by signal 15");
}
