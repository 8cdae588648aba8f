//! The commands of `docs/environments.md`, one after the other, on registries of the tests in place of those in it.

use hotfix_environments::settings::{Environments, Gate};

use crate::docs::{document, words_of};
use crate::support::Scenario;
use crate::support::estate::{Estate, REGISTRY_PASSWORD, USER};
use crate::support::registry::Registry;

const PAGE: &str = "docs/environments.md";

/// A command without its `hotfix`, and the exit code that the page says in a comment behind it.
fn commands() -> Vec<(Vec<String>, i32)> {
    let page = document(PAGE);
    let lines = page.lines().filter_map(|line| line.strip_prefix("    hotfix "));
    let command = |line: &str| {
        let (words, code) = match line.split_once(" # ") {
            Some((words, comment)) => (words, comment.split(':').next().expect("one").parse().expect("a code")),
            None => (line, 0),
        };
        (words_of(words), code)
    };
    lines.map(command).collect()
}

/// The file of the page.
fn toml() -> String {
    let page = document(PAGE);
    page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a file").to_owned()
}

fn with_registries(text: &str, estate: &Estate) -> String {
    text.replace("team/wso2am", "team/am")
        .replace("registry.example.org", &estate.registry.host)
        .replace("live.example.org", &estate.registry_of("prod").host)
}

#[test]
fn each_of_its_commands_ends_as_it_says() {
    let Some(production) = Registry::start_with_password(USER, REGISTRY_PASSWORD) else { return };
    let Some(estate) = Estate::with(Some(production), "") else { return };
    std::fs::write(estate.scenario.path("environments.toml"), with_registries(&toml(), &estate)).expect("written");
    estate.deploy(0, &["dev", "qa", "preprod", "prod"]);
    let later = Scenario::empty().without_engine().with_pack(|pack| pack.level(20));
    estate.deploy_from(&later, 0, &["4.1.0.20"]);
    let commands = commands();
    assert_eq!(commands.len(), 25, "{commands:?}");
    for (mut words, code) in commands {
        if words[0] == "apply" {
            words.extend(["--base-image", "scratch", "--output", "oci:image"].map(str::to_owned));
        }
        let words: Vec<String> = words.iter().map(|word| with_registries(word, &estate)).collect();
        let run = estate.scenario.run(&words);
        assert_eq!(run.code, Some(code), "{words:?}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn the_file_of_the_example_is_that_of_the_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = |text: &str| {
        let file = folder.path().join("environments.toml");
        std::fs::write(&file, text).expect("written");
        let mut list = Environments::read(&file).expect("it is right").all().to_vec();
        // Nobody wants to wait for the example, and one person plays it.
        list.iter_mut().for_each(|environment| environment.gate = Gate::default());
        list
    };
    assert_eq!(list(&document("examples/environments/environments.toml")), list(&toml()));
}
