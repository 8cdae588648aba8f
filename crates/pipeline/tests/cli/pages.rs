//! Every command of `hotfix` in README and guide works, with what there is here in place of the names in it. Engines
//! and Dockerfiles have tests of their own pages.

use std::fs;

use crate::docs::document;
use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::registry::Registry;
use crate::support::vendor::VendorImage;

/// The commands of a page, each a line without its `hotfix`.
fn commands(page: &str) -> Vec<String> {
    let text = document(page).replace("\\\n", " ");
    let indented = text.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = indented.filter_map(|line| line.split_once("hotfix ").filter(|(before, _)| is_environment(before)));
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
        let repository =
            format!("hotfix-test/page-{}-{}", page.replace(['/', '.'], "-").to_lowercase(), std::process::id());
        Some(Self { registry, base, _vendor: vendor, scenario, repository })
    }

    /// The words of a command, with names of here; what would be a default that is not to be had here is given.
    fn words(&self, command: &str) -> Vec<String> {
        let command = command.replace("registry.example.org", &self.registry.host);
        let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let has = |options: &[&str]| words.iter().any(|word| options.contains(&word.as_str()));
        let mut more = Vec::new();
        if words[0] == "apply" {
            let has_base = has(&["--base-image", "--from-image", "--vendor-image"]) || command.contains("image:");
            if !has_base {
                more.extend(["--base-image".to_owned(), self.base.name.clone()]);
            }
            if !has(&["-t", "--tag"]) {
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
    if !engine::is_there() {
        return;
    }
    let commands = commands(page);
    assert_eq!(commands.len(), expected, "{commands:?}");
    let Some(world) = World::new(page) else { return };
    for command in commands {
        let run = world.scenario.run(&world.words(&command));
        assert_eq!(run.code, Some(0), "{command}:\n{}", run.stderr);
    }
}

#[test]
fn of_the_readme() {
    works("README.md", 1);
}

#[test]
fn of_the_guide() {
    // The image that is inspected was pushed before, by the command of another page.
    let page = "docs/guide.md";
    if !engine::is_there() {
        return;
    }
    let Some(world) = World::new(page) else { return };
    let commands = commands(page);
    assert_eq!(commands.len(), 5, "{commands:?}");
    let earlier = "apply packs/wso2am-4.1.0.10.zip hotfixes --push -t registry.example.org/team/wso2am:4.1.0.10-hf3";
    for command in [&[earlier.to_owned()], &commands[..]].concat() {
        let run = world.scenario.run(&world.words(&command));
        assert_eq!(run.code, Some(0), "{command}:\n{}", run.stderr);
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
