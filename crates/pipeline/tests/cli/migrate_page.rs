//! The commands of `docs/update-level.md`, with a product of the tests in place of HOME.

use std::fs;

use crate::docs::{document, words_of};
use crate::support::estate::Estate;
use crate::support::installed::{Installed, OWN};

fn commands() -> Vec<Vec<String>> {
    let page = document("docs/update-level.md");
    page.lines().filter_map(|line| line.strip_prefix("    hotfix ")).map(words_of).collect()
}

#[test]
fn each_command_for_servers_works() {
    let installed = Installed::new().with_hotfixes(2).with_own_data();
    fs::copy(installed.scenario.pack(), installed.scenario.path("wso2am-4.1.0.10.zip")).expect("copied");
    let commands: Vec<Vec<String>> =
        commands().into_iter().filter(|words| words.contains(&"HOME".to_owned())).collect();
    assert_eq!(commands.len(), 8, "{commands:?}");
    // The page tells of backups last, and a product that has moved needs another pack.
    let is_of_backups = |words: &&Vec<String>| ["backup", "restore"].contains(&words[0].as_str());
    let (backups, others): (Vec<_>, Vec<_>) = commands.iter().partition(is_of_backups);
    let (reverts, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|words| words[0] == "revert");
    for words in backups.into_iter().chain(reverts).chain(others) {
        let words: Vec<&str> =
            words.iter().map(|word| if word == "HOME" { installed.home.as_str() } else { word }).collect();
        let run = installed.scenario.run(&words);
        assert_eq!(run.code, Some(0), "{words:?}\n{}{}", run.stdout, run.stderr);
    }
    assert_eq!(installed.standing(), ("20".to_owned(), 0));
    assert_eq!(installed.text(OWN[1].0), OWN[1].1);
}

#[test]
fn each_command_for_containers_works() {
    let Some(estate) = Estate::new() else { return };
    let installed = Installed::new();
    let commands: Vec<Vec<String>> =
        commands().into_iter().filter(|words| !words.contains(&"HOME".to_owned())).collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    estate.deploy(1, &["preprod"]);
    estate.put_image_with(&["WSO2_SERVER_HOME=/home/wso2carbon/wso2am-4.1.0"], "4.1.0.20");
    for words in commands {
        let words: Vec<String> = words
            .iter()
            .map(|word| match word.as_str() {
                "wso2/wso2am:4.1.0.20" => estate.tag("4.1.0.20"),
                "wso2am-4.1.0" => installed.home.clone(),
                word => word.replace("registry.example.org", &estate.registry.host),
            })
            .collect();
        let (scenario, more) = match words[0].as_str() {
            "migrate" => (&installed.scenario, vec!["--base-image", "scratch", "--output", "oci:image"]),
            _ => (&estate.scenario, Vec::new()),
        };
        let run = scenario.run(&[words.iter().map(String::as_str).collect(), more].concat());
        assert_eq!(run.code, Some(0), "{words:?}\n{}{}", run.stdout, run.stderr);
    }
    assert!(estate.registry.has("team/wso2am", "4.1.0.20"));
    assert_eq!(estate.digest("preprod"), estate.digest("4.1.0.20"));
}
