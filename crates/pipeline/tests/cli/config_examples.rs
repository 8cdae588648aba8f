//! The example file and the page on configuration have every option, and what they show works.

use std::collections::BTreeSet;

use crate::docs::{document, help_of_settings, options};
use crate::support::Scenario;

const EXAMPLE: &str = "examples/hotfix.toml";

/// Options that are settings, as help shows them.
fn all_keys() -> BTreeSet<String> {
    let keys = options(&help_of_settings()).into_iter().map(|option| option.trim_start_matches('-').to_owned());
    keys.filter(|key| !["help", "version", "config"].contains(&key.as_str())).collect()
}

/// Key of a line of the example; `# ` before it or not.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start_matches("# ").split_once(" = ")?;
    key.chars().all(|c| c.is_ascii_lowercase() || c == '-').then_some(key)
}

#[test]
fn the_example_has_every_key_once() {
    let example = document(EXAMPLE);
    let keys: Vec<String> = example.lines().filter_map(key_of).map(str::to_owned).collect();
    assert_eq!(keys.iter().cloned().collect::<BTreeSet<_>>(), all_keys());
    assert_eq!(keys.len(), all_keys().len(), "a key is there twice");
}

#[test]
fn the_example_is_a_good_file() {
    let scenario = Scenario::new().with_file("hotfix.toml", document(EXAMPLE)).without_credentials();
    let run = scenario.plan();
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for line in ["image     on eclipse-temurin:11-jdk", "tag       registry.example.org/team/wso2am:4.1.0.10-hf3"] {
        assert!(run.stdout.contains(line), "{line:?} is not in:\n{}", run.stdout);
    }
    let scenario = scenario.env("HOTFIX_PUSH", "true").args(["-v"]);
    let run = scenario.plan().says("--push is set by HOTFIX_PUSH");
    assert!(run.stdout.contains("tag, push registry.example.org/team/wso2am:4.1.0.10-hf3"), "{}", run.stdout);
    let run = scenario.run(&["inspect", "oci:missing"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
}

#[test]
fn what_is_commented_out_in_the_example_is_good_as_well() {
    let example = document(EXAMPLE);
    let rivals: Vec<&str> = example.lines().filter(|line| line.starts_with("# ") && key_of(line).is_some()).collect();
    assert!(rivals.len() >= 7, "{rivals:?}");
    let dockerfile = rivals.iter().find(|line| key_of(line) == Some("dockerfile")).expect("it is a rival");
    for line in &rivals {
        let needed = if key_of(line) == Some("build-arg") { dockerfile.trim_start_matches("# ") } else { "" };
        let text = format!("{}\n{needed}\n", line.trim_start_matches("# "));
        let scenario = Scenario::new().with_file("hotfix.toml", &text);
        let run = scenario.plan();
        // What it names need not be there; but it is understood.
        assert_ne!(run.code, Some(2), "{text}: {}", run.stderr);
    }
}

#[test]
fn the_page_has_every_key() {
    let page = document("docs/configuration.md");
    let (_, table) = page.split_once("## All keys").expect("there");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let keys: BTreeSet<String> = rows.map(|(key, _)| key.to_owned()).collect();
    assert_eq!(keys, all_keys());
}

#[test]
fn the_errors_on_the_page_are_those_that_are_seen() {
    let page = document("docs/configuration.md").replace("\n    ", "\n");
    let file = Scenario::new().with_file("hotfix.toml", "\n\nbase-imge = 'x'").plan().stderr.clone();
    let variable = Scenario::new().env("HOTFIX_STEP_TIMEOUT", "soon").apply().stderr.clone();
    for stderr in [file, variable] {
        assert!(page.contains(stderr.trim_end()), "{stderr}");
    }
}
