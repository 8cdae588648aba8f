//! Every command of `hotfix` in README and guide works, with what there is here in place of the names in it. Engines
//! and Dockerfiles have tests of their own pages.

use std::fs;

use crate::docs::{document, pages, words_of};
use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::estate::Estate;
use crate::support::installed::Installed;
use crate::support::registry::Registry;
use crate::support::scenario::{PASSWORD, USERNAME};
use crate::support::vendor::VendorImage;

/// In front of what is not run.
const NOT_RUN: &str = "<!-- not run by the tests: ";

/// The pages of which everything that is indented is run, but for what is marked.
const WHOLE: [&str; 7] = [
    "docs/installing.md",
    "docs/start.md",
    "docs/from-apply-hotfix.md",
    "docs/exit-codes.md",
    "docs/undo.md",
    "docs/own-images.md",
    "docs/schedules.md",
];

/// Somebody's own, of a base that need not have a shell.
const RECIPE: &str = "ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG WSO2_SERVER_NAME
ARG WSO2_SERVER_VERSION
COPY ${WSO2_SERVER_NAME}-${WSO2_SERVER_VERSION}/ /srv/product/
ENV WSO2_SERVER_HOME=/srv/product
";

/// What is marked, page and reason.
fn marked() -> Vec<(String, String)> {
    let of_page = |page: String| {
        let text = document(&page);
        let reasons = text.lines().filter_map(|line| line.strip_prefix(NOT_RUN)?.strip_suffix(" -->"));
        reasons.map(|reason| (page.clone(), reason.to_owned())).collect::<Vec<_>>()
    };
    pages().into_iter().flat_map(of_page).collect()
}

/// The indented lines of a page that are not marked; a line that goes on in the next one is one.
fn indented(page: &str) -> Vec<String> {
    let text = document(page).replace("\\\n", " ");
    let (mut is_marked, mut lines) = (false, Vec::new());
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(line) if !is_marked => lines.push(line.to_owned()),
            Some(_) => {}
            None if line.is_empty() => {}
            None => is_marked = line.starts_with(NOT_RUN),
        }
    }
    lines
}

/// The commands of a page, each a line without its `hotfix`; of those that show a change, what they change to.
fn commands(page: &str) -> Vec<String> {
    let lines = indented(page);
    let lines = lines.iter().map(|line| line.strip_prefix("+ ").unwrap_or(line));
    let commands = lines.filter_map(|line| line.split_once("hotfix ").filter(|(before, _)| is_environment(before)));
    // The placeholders of the README are told apart by their brackets.
    commands.map(|(_, command)| command.to_owned()).filter(|command| !command.contains('<')).collect()
}

/// Nothing, or variables that a command is given.
fn is_environment(text: &str) -> bool {
    text.split_whitespace().all(|word| word.contains('='))
}

/// What stands in the pages, made here.
struct World {
    registry: Registry,
    base: Base,
    _vendor: VendorImage,
    scenario: Scenario,
    repository: String,
}

impl World {
    fn new(page: &str) -> Option<Self> {
        let registry = Registry::start()?;
        let base = Base::new("pages");
        let scenario = Scenario::new().env("SIM_BASE_IMAGE", &base.name);
        let vendor = VendorImage::of(&scenario);
        for (image, name) in [(&base.name, "base/java:11"), (&vendor.name, "vendor/wso2am:4.1.0.10")] {
            let name = format!("{}/{name}", registry.host);
            docker(&["tag", image, &name]);
            docker(&["push", "--quiet", &name]);
        }
        let layouts = Scenario::like(&scenario);
        layouts
            .run(&[
                "apply",
                "packs/wso2am-4.1.0.10.zip",
                "hotfixes",
                "--through",
                "0",
                "--output",
                "oci:vendor",
                "-t",
                "v:1",
            ])
            .succeeds();
        let java = layouts.run(&[
            "apply",
            "packs/wso2am-4.1.0.10.zip",
            "hotfixes",
            "--through",
            "0",
            "--output",
            "oci:java",
            "-t",
            "j:1",
            "--product-home",
            "/srv/x",
        ]);
        java.succeeds();
        for name in ["vendor", "java"] {
            let copied =
                std::process::Command::new("cp").arg("-r").arg(layouts.path(name)).arg(scenario.path(name)).status();
            assert!(copied.expect("cp starts").success());
        }
        let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        fs::create_dir(scenario.path("examples")).expect("a folder");
        fs::copy(examples.join("hotfix.toml"), scenario.path("examples/hotfix.toml")).expect("copied");
        fs::create_dir(scenario.path("recipe")).expect("a folder");
        fs::write(scenario.path("recipe/Dockerfile"), RECIPE).expect("written");
        fs::write(scenario.path("password"), format!("{PASSWORD}\n")).expect("written");
        let repository =
            format!("hotfix-test/page-{}-{}", page.replace(['/', '.'], "-").to_lowercase(), std::process::id());
        Some(Self { registry, base, _vendor: vendor, scenario, repository })
    }

    /// The words of a command, with names of here; what would be a default that is not to be had here is given.
    fn words(&self, command: &str) -> Vec<String> {
        let command = command.split(" >").next().expect("one").replace("registry.example.org", &self.registry.host);
        // As a shell does with a home of here.
        let mut words: Vec<String> = words_of(&command).iter().map(|word| word.replacen("~/", "home/", 1)).collect();
        for (name, value) in [("$WSO2_USER", USERNAME), ("$WSO2_PASSWORD", PASSWORD)] {
            words.iter_mut().filter(|word| *word == name).for_each(|word| value.clone_into(word));
        }
        let has = |options: &[&str]| words.iter().any(|word| options.contains(&word.as_str()));
        let mut more = Vec::new();
        if words[0] == "apply" {
            let has_base = has(&["--base-image", "--from-image", "--vendor-image", "--dockerfile"])
                || command.contains(" image:")
                || command.contains(" oci:");
            if !has_base {
                let pushed = format!("{}/base/java:11", self.registry.host);
                let base = if has(&["--pull"]) { pushed } else { self.base.name.clone() };
                more.extend(["--base-image".to_owned(), base]);
            }
            if !has(&["-t", "--tag", "--repository"]) {
                more.extend(["--repository".to_owned(), self.repository.clone()]);
            }
        }
        words.extend(more);
        words
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for of in [format!("{}/*/*", self.registry.host), format!("{}/*", self.registry.host), self.repository.clone()]
        {
            let images = try_docker(&["images", "--quiet", "--filter", &format!("reference={of}")]);
            for image in String::from_utf8_lossy(&images.stdout).split_whitespace() {
                try_docker(&["rmi", "--force", image]);
            }
        }
    }
}

/// Runs the commands of a page, one after the other, in one world; there are as many as expected.
#[track_caller]
fn works(page: &str, expected: usize) {
    works_after(&[], page, expected, |_| true);
}

/// Those that are wanted, after some of other pages.
#[track_caller]
fn works_after(earlier: &[&str], page: &str, expected: usize, is_wanted: impl Fn(&str) -> bool) {
    if !engine::is_there() {
        return;
    }
    let commands: Vec<String> = commands(page).into_iter().filter(|command| is_wanted(command)).collect();
    assert_eq!(commands.len(), expected, "{commands:?}");
    let Some(world) = World::new(page) else { return };
    for command in earlier.iter().copied().chain(commands.iter().map(String::as_str)) {
        let run = world.scenario.run(&world.words(command));
        assert_eq!(run.code, Some(0), "{command}:\n{}", run.stderr);
    }
}

#[test]
fn of_the_readme() {
    works("README.md", 2);
}

#[test]
fn of_the_first_page() {
    works("docs/start.md", 7);
}

#[test]
fn of_installing() {
    works("docs/installing.md", 2);
}

#[test]
fn of_those_who_come_from_the_script() {
    works("docs/from-apply-hotfix.md", 4);
}

#[test]
fn of_the_guide() {
    // The image that is inspected was pushed before, by the command of another page.
    let earlier = "apply packs/wso2am-4.1.0.10.zip hotfixes --push -t registry.example.org/team/wso2am:4.1.0.10-hf3";
    works_after(&[earlier], "docs/guide.md", 7, |_| true);
}

#[test]
fn of_schedules() {
    works("docs/schedules.md", 2);
}

#[test]
fn of_own_images() {
    works("docs/own-images.md", 5);
}

#[test]
fn of_undoing_images() {
    works_after(&[], "docs/undo.md", 9, |command| !command.starts_with("env ") && !command.contains("HOME"));
}

#[test]
fn of_undoing_in_environments() {
    let Some(estate) = Estate::new() else { return };
    for through in [1, 2] {
        estate.deploy(through, &["dev"]);
        estate.env("verify --env dev --result pass").succeeds();
        estate.env("promote --from dev --to preprod").succeeds();
    }
    let commands = commands("docs/undo.md");
    let commands: Vec<_> = commands.iter().filter_map(|command| command.strip_prefix("env ")).collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    commands.iter().for_each(|command| drop(estate.env(command).succeeds()));
}

#[test]
fn of_undoing_on_servers() {
    let installed = Installed::new().with_hotfixes(2).with_own_data();
    let commands = commands("docs/undo.md");
    let commands = commands.iter().filter(|command| command.contains("HOME"));
    // What was put back has the time of then; a revert gives some of it a later one.
    let (reverts, others): (Vec<&String>, Vec<_>) = commands.partition(|command| command.starts_with("revert"));
    assert_eq!((reverts.len(), others.len()), (2, 2), "{reverts:?} {others:?}");
    let backup = "backup HOME --to backup.tar.zst".to_owned();
    for command in [&backup].into_iter().chain(others).chain(reverts) {
        let words = words_of(&command.replace("HOME", &installed.home));
        let run = installed.scenario.run(&words);
        assert_eq!(run.code, Some(0), "{command}\n{}{}", run.stdout, run.stderr);
    }
    assert_eq!(installed.standing(), ("10".to_owned(), 1));
}

#[test]
fn what_is_not_run_is_little_and_said() {
    let mut marked = marked();
    marked.sort();
    let expected = [
        ("docs/exit-codes.md", "it is part of a script"),
        ("docs/exit-codes.md", "it needs a CI system"),
        ("docs/exit-codes.md", "it needs a CI system"),
        ("docs/installing.md", "it installs on this machine"),
        ("docs/installing.md", "it makes a folder on this machine"),
        ("docs/installing.md", "it needs a release"),
        ("docs/installing.md", "it needs a release"),
        ("docs/installing.md", "it needs a release"),
        ("docs/installing.md", "it needs root"),
        ("docs/schedules.md", "it is a line for cron"),
        ("docs/schedules.md", "it needs root"),
        ("docs/start.md", "it asks for a password"),
        ("docs/start.md", "it installs on this machine"),
    ];
    assert_eq!(marked, expected.map(|(page, reason)| (page.to_owned(), reason.to_owned())));
}

#[test]
fn everything_else_is_run() {
    for page in WHOLE {
        // What shows a change has the old line as well.
        let lines = indented(page).into_iter().filter(|line| !line.starts_with("- ./apply-hotfix.sh "));
        assert_eq!(lines.collect::<Vec<_>>().len(), commands(page).len(), "{page}: {:?}", indented(page));
    }
}

#[test]
fn of_images_that_hold_the_product() {
    works("docs/from-image.md", 3);
}

#[test]
fn of_registries() {
    works("docs/registries.md", 1);
}

#[test]
fn of_the_cache() {
    works("docs/cache.md", 4);
}

#[test]
fn of_the_configuration() {
    works("docs/configuration.md", 1);
}

#[test]
fn of_the_update_tools_own_image() {
    works("docs/vendor-image.md", 1);
}
