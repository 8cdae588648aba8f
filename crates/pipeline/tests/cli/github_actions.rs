//! In GitHub Actions: what its runner makes of our output, of outputs and of the summary.

use std::fs;

use update_tool_sim::Behave;

use crate::support::Scenario;
use crate::support::installed::Installed;
use crate::support::scenario::PASSWORD;

/// As the runner reads lines: commands, and whether it listens to them.
#[derive(Debug, Default)]
struct Runner {
    /// Name, properties, text.
    commands: Vec<(String, String, String)>,
    stopped_by: Option<String>,
    /// Lines that it shows.
    shown: Vec<String>,
}

impl Runner {
    fn read(output: &str) -> Self {
        let mut runner = Self::default();
        output.lines().for_each(|line| runner.line(line));
        runner
    }

    fn line(&mut self, line: &str) {
        let command = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::"));
        match (command, self.stopped_by.clone()) {
            (Some((token, "")), Some(stopped_by)) if token == stopped_by => self.stopped_by = None,
            (Some(("stop-commands", token)), None) => self.stopped_by = Some(token.to_owned()),
            (Some((head, text)), None) => {
                let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
                let plain = |text: &str| text.replace("%0A", "\n").replace("%3A", ":").replace("%25", "%");
                self.commands.push((name.to_owned(), plain(properties), plain(text)));
            }
            // An older form, which it finds anywhere in a line.
            _ if line.contains("##[") && self.stopped_by.is_none() => {
                self.commands.push(("old".to_owned(), String::new(), line.to_owned()));
            }
            _ => self.shown.push(line.to_owned()),
        }
    }

    fn of(&self, wanted: &str) -> Vec<&(String, String, String)> {
        self.commands.iter().filter(|(name, ..)| name == wanted).collect()
    }
}

fn action(scenario: Scenario) -> Scenario {
    let scenario = scenario.args(["--output", "oci:image", "--base-image", "scratch", "--tag", "team/am:x"]);
    let file = |name: &str| scenario.path(name).to_str().expect("UTF-8").to_owned();
    let (output, summary) = (file("output"), file("summary"));
    scenario.env("GITHUB_ACTIONS", "true").env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary)
}

/// Values of `GITHUB_OUTPUT`, as the runner reads them.
fn outputs(scenario: &Scenario) -> Vec<(String, String)> {
    let text = scenario.text("output");
    let (mut lines, mut found) = (text.lines(), Vec::new());
    while let Some(line) = lines.next() {
        let (name, end) = line.split_once("<<").unwrap_or_else(|| panic!("{line}"));
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        found.push((name.to_owned(), value.join("\n")));
    }
    found
}

#[test]
fn a_run_that_goes_well() {
    let scenario = action(Scenario::new().without_engine().with_file("hotfixes/notes.txt", "x"));
    let run = scenario.apply();
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "team/am:x\n"), "{}", run.stderr);
    let runner = Runner::read(&run.stderr);
    let groups: Vec<&str> = runner.of("group").iter().map(|(.., text)| text.as_str()).collect();
    assert_eq!(groups, ["extract-pack", "initialize-update-tool", "apply-hotfixes", "build-image"]);
    assert_eq!(runner.of("endgroup").len(), 4);
    let (name, _, hidden) = &runner.commands[0];
    assert_eq!((name.as_str(), hidden.as_str()), ("add-mask", PASSWORD));
    assert!(runner.shown.iter().all(|line| !line.contains(PASSWORD)));
    assert_eq!(runner.of("warning").len(), 1);
    assert_eq!(runner.stopped_by, None, "commands of those who come after us are taken again");
    let outputs = outputs(&scenario);
    let value = |name: &str| &outputs.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name}")).1;
    assert_eq!((value("image").as_str(), value("images").as_str()), ("team/am:x", "team/am:x"));
    assert_eq!((value("version").as_str(), value("outcome").as_str()), ("4.1.0.10-hf3", "success"));
    assert!(value("digest").starts_with("sha256:"));
    assert!(scenario.text("summary").starts_with("# wso2am 4.1.0.10: image built\n"));
}

#[test]
fn of_servers_the_password_is_masked_too() {
    let installed = Installed::new().with_hotfixes(1);
    let Installed { scenario, home } = installed;
    let scenario = scenario.env("GITHUB_ACTIONS", "true").with_file("password", "an-other-one\n");
    let installed = Installed { scenario, home };
    let masked = |words: &str, code: i32, password: &str| {
        let run = installed.run(words);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        let runner = Runner::read(&run.stderr);
        let masks: Vec<&str> = runner.of("add-mask").iter().map(|(.., text)| text.as_str()).collect();
        assert_eq!(masks, [password], "{words}: {}", run.stderr);
        assert_eq!(runner.commands[0].0, "add-mask", "before anything else is begun");
        assert!(runner.shown.iter().all(|line| !line.contains(password)) && runner.stopped_by.is_none());
    };
    masked("revert HOME", 0, PASSWORD);
    masked("migrate HOME --to-level 15", 0, PASSWORD);
    masked("migrate HOME --to-level 16 --password-file password", 6, "an-other-one");
    let run = installed.run("migrate HOME --to-level 20 --dry-run").succeeds();
    assert!(Runner::read(&run.stderr).of("add-mask").is_empty(), "it needs none: {}", run.stderr);
}

#[test]
fn a_run_that_fails() {
    let scenario = action(Scenario::new().with_hotfix(2, |hotfix| hotfix.add("x", "y").behave(Behave::Error)));
    let run = scenario.apply();
    assert_eq!(run.code, Some(6));
    let runner = Runner::read(&run.stderr);
    let [(_, properties, text)] = runner.of("error")[..] else { panic!("{runner:?}") };
    assert_eq!(properties, "title=hotfix: apply-hotfixes");
    assert!(text.contains("could not apply hotfix 2") && text.contains("\nnext: "), "{text}");
    assert_eq!(runner.of("group").len(), runner.of("endgroup").len());
    assert!(outputs(&scenario).contains(&("outcome".to_owned(), "failure".to_owned())));
    assert!(scenario.text("summary").contains("failed with exit code 6"));
    // Also where nothing could begin.
    let scenario = action(Scenario::new()).args(["--no-such-option"]);
    let run = scenario.apply();
    assert_eq!(run.code, Some(2));
    assert_eq!(Runner::read(&run.stderr).of("error").len(), 1);
    let expected = [("image", ""), ("images", ""), ("digest", ""), ("version", ""), ("outcome", "failure")];
    assert_eq!(outputs(&scenario), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(scenario.text("summary").contains("failed with exit code 2"));
}

/// What comes after it in the same step, and makes no image, says nothing of one.
#[test]
fn outputs_are_those_of_the_run() {
    let scenario = action(Scenario::new().without_engine());
    scenario.apply();
    let before = outputs(&scenario);
    for words in
        [&["inspect", "oci:nowhere"][..], &["plan", "nothing.zip", "hotfixes"], &["inspect"], &["images", "list"]]
    {
        assert_ne!(scenario.run(words).code, Some(0), "{words:?}");
        assert_eq!(outputs(&scenario), before, "{words:?}");
    }
}

#[test]
fn what_differs_is_no_image() {
    let scenario = action(Scenario::new().without_engine());
    scenario.apply();
    let scenario = scenario.args(["--report-only-changes", "--label", "a=1"]);
    fs::remove_file(scenario.path("output")).expect("written");
    let run = scenario.apply();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let expected = [("image", ""), ("images", ""), ("digest", ""), ("version", ""), ("outcome", "success")];
    assert_eq!(outputs(&scenario), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn what_others_say_is_no_command() {
    let script = r#"mkdir -p $home/updates; echo "{ \"n\": \"$2\" }" > $home/updates/config.json
printf '::set-env name=PATH::/evil\n  ::error::evil\n##[add-path]/evil\n::group::evil\n::add-mask::a\n'
printf '::stop-commands::evil\n::evil::\n'; [ $1 = current-state ] || { echo x > $home/x.txt; exit 1; }"#;
    let scenario = action(Scenario::new().with_script(script)).args(["-vv"]);
    let run = scenario.apply();
    assert_eq!(run.code, Some(6), "{}", run.stderr);
    let runner = Runner::read(&run.stderr);
    assert!(runner.shown.iter().any(|line| line.contains("set-env")), "it is shown: {:?}", runner.shown);
    let known = ["add-mask", "group", "endgroup", "error", "warning"];
    assert!(runner.commands.iter().all(|(name, ..)| known.contains(&name.as_str())), "{:?}", runner.commands);
    assert!(runner.commands.iter().all(|(name, _, text)| name == "error" || !text.contains("evil")));
    assert_eq!((runner.of("add-mask").len(), runner.of("error").len()), (1, 1));
}

#[test]
fn more_is_said_where_it_was_asked_for() {
    let scenario = action(Scenario::new());
    let quiet = scenario.apply().stderr;
    let scenario = scenario.env("RUNNER_DEBUG", "1").args(["--no-cache"]);
    let loud = scenario.apply().stderr;
    assert!(!quiet.contains("DEBUG") && loud.contains("DEBUG"), "{loud}");
}

#[test]
fn a_file_that_cannot_be_written_is_no_failure() {
    let scenario = action(Scenario::new());
    let below_a_file = scenario.pack().join("output").to_str().expect("UTF-8").to_owned();
    let scenario = scenario.env("GITHUB_OUTPUT", &below_a_file);
    scenario.apply().says(&format!("GITHUB_OUTPUT ({below_a_file}) cannot be written"));
    assert!(scenario.path("image/index.json").exists());
}

#[test]
fn elsewhere_nothing_of_it_is_said() {
    let scenario = action(Scenario::new()).env("GITHUB_ACTIONS", "");
    let run = scenario.apply();
    assert!(!run.stderr.contains("::"), "{}", run.stderr);
    assert!(fs::read(scenario.path("output")).is_err());
}
