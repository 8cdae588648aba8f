//! `hotfix images`: what there is in the engine, and what goes: never what somebody needs.

use std::fs;

use serde_json::Value;

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::podman::Podman;

/// Images of three runs in a repository of the test's own, which go with it.
struct World {
    scenario: Scenario,
    repository: String,
    other: String,
    _base: Base,
}

impl World {
    fn new(test: &str) -> Self {
        let base = Base::new("images");
        let repository = format!("hotfix-test-images/{test}-{}", std::process::id());
        let options = ["--output", "docker", "--base-image", &base.name, "--repository", &repository];
        let scenario = Scenario::new().args(options);
        [1, 2, 3].iter().for_each(|through| apply(&scenario, *through, &[]));
        Self { scenario, other: format!("{repository}-other:1"), repository, _base: base }
    }

    fn name(&self, hotfixes: u32) -> String {
        format!("{}:4.1.0.10-hf{hotfixes}", self.repository)
    }

    fn prune(&self, more: &str) -> String {
        let words = format!("images prune --in {} {more}", self.repository);
        self.scenario.run(&words.split_whitespace().collect::<Vec<_>>()).succeeds().stdout.clone()
    }

    fn has(&self, name: &str) -> bool {
        try_docker(&["image", "inspect", name]).status.success()
    }
}

impl World {
    /// The container of the test.
    fn container(&self) -> String {
        self.repository.replace('/', "-")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        try_docker(&["rm", "--force", &self.container()]);
        let derived = format!("{}:derived", self.repository);
        [&self.other, &derived].iter().for_each(|name| drop(try_docker(&["rmi", "--force", name])));
    }
}

/// An image with the first `through` hotfixes.
fn apply(scenario: &Scenario, through: u32, more: &[&str]) {
    let through = ["--through".to_owned(), through.to_string()];
    let more = through.into_iter().chain(more.iter().map(|word| (*word).to_owned()));
    scenario.run(&[scenario.apply_arguments(), more.collect()].concat()).succeeds();
}

#[test]
fn old_ones_go_and_what_is_needed_stays() {
    if !engine::is_there() && engine::skip("old_ones_go_and_what_is_needed_stays") {
        return;
    }
    let world = World::new("am");
    let list = ["images", "list", "--in", &world.repository];
    let shown = world.scenario.run(&list).succeeds().stdout.clone();
    let named: Vec<&str> = shown.lines().skip(1).map(|line| line.split(' ').next().expect("a name")).collect();
    assert_eq!(named, [3, 2, 1].map(|hotfixes| world.name(hotfixes)), "the last one first: {shown}");
    let json = world.scenario.run(&[&list[..], &["--format", "json"]].concat()).succeeds().stdout.clone();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json[0]["product"], &json[0]["version"]), (&"wso2am".into(), &"4.1.0.10-hf3".into()));
    assert_eq!(json[0]["needed"], Value::Null);

    let other_spelling = ["images", "list", "--in", &format!("docker.io/{}", world.repository)];
    assert_eq!(world.scenario.run(&other_spelling).succeeds().stdout, shown);
    let would = world.prune("--keep 2 --dry-run");
    assert_eq!(would, format!("would remove {}\n1 in all; 2 kept as the newest\n", world.name(1)));
    docker(&["create", "--name", &world.container(), &world.name(1)]);
    docker(&["commit", &world.container(), &format!("{}:derived", world.repository)]);
    docker(&["tag", &world.name(2), &world.other]);
    // Those of other repositories are not among the newest of this one, whichever of its names comes first.
    let more = format!("--keep 1 --dry-run --in {}", world.repository);
    assert!(world.prune(&more).ends_with("; 1 kept as the newest\n"), "{}", world.prune(&more));
    let pruned = world.prune("--keep 0");
    assert!(pruned.contains(&format!("removed {}\n", world.name(3))), "{pruned}");
    assert!(pruned.contains(&format!("kept {}: used by {}\n", world.name(1), world.container())), "{pruned}");
    let called = format!("kept {0}, {1}: it is called {0} and {1}\n", world.other, world.name(2));
    assert!(pruned.contains(&called), "{pruned}");
    assert!(pruned.contains(":derived: somebody has built it on an image of hotfix's\n"), "{pruned}");
    assert!(pruned.ends_with("1 in all; 0 kept as the newest\n"), "{pruned}");
    assert_eq!([1, 2, 3].map(|hotfixes| world.has(&world.name(hotfixes))), [true, true, false]);

    docker(&["rm", &world.container()]);
    assert!(world.prune("--keep 0").contains(&format!("kept {}: ", world.name(1))), "something is built on it");
    docker(&["rmi", &format!("{}:derived", world.repository), &world.other]);
    let pruned = world.prune("--keep 0");
    assert!(pruned.ends_with("2 in all; 0 kept as the newest\n"), "{pruned}");
    assert_eq!([1, 2].map(|hotfixes| world.has(&world.name(hotfixes))), [false, false]);
    let none = format!("the engine has no image that hotfix has made in {}\n", world.repository);
    assert_eq!(world.prune("--keep 0"), none);
    assert_eq!(world.scenario.run(&list).succeeds().stdout, none);
}

#[test]
fn what_something_is_built_on_stays() {
    if !engine::is_there() {
        return;
    }
    let world = World::new("lower");
    apply(&world.scenario, 0, &[]);
    let clean = format!("{}:4.1.0.10", world.repository);
    let on_clean = |scenario: Scenario| {
        apply(&scenario.args(["--output", "docker", "-t", &world.other]), 2, &[]);
        let pruned = world.prune("--keep 0 --dry-run");
        assert!(pruned.contains(&format!("kept {clean}: {} is built on it\n", world.other)), "{pruned}");
        docker(&["rmi", &world.other]);
    };
    on_clean(Scenario::like(&world.scenario).args(["--from-image", &clean]));
    on_clean(Scenario::like(&world.scenario).with_image(&clean));

    let folder = world.scenario.path("derived");
    fs::create_dir(&folder).expect("a folder");
    let recipe = format!("FROM {}\nLABEL hotfix.fingerprint=ours\nENV COMPANY=x\n", world.name(3));
    fs::write(folder.join("Dockerfile"), recipe).expect("writable");
    docker(&["build", "--quiet", "--tag", &world.other, folder.to_str().expect("UTF-8")]);
    let pruned = world.prune("--keep 0");
    let stays = format!("kept {}: {} is built on it\n", world.name(3), world.other);
    assert!(pruned.contains(&stays), "{pruned}");
    assert!(pruned.ends_with("3 in all; 0 kept as the newest\n"), "the layer of the product is no reason: {pruned}");
    assert!(world.has(&world.name(3)) && !world.has(&clean));
}

/// It does not tell the history of images on a base that it has.
#[test]
fn what_something_is_built_on_stays_in_podman() {
    let Some(podman) = Podman::start(None) else { return };
    let scenario = Scenario::new().env("DOCKER_HOST", &podman.endpoint());
    let scenario = scenario.args(["--output", "docker", "--base-image", &podman.base()]);
    for (through, tag) in [(0, "clean"), (1, "1"), (2, "2")] {
        apply(&scenario, through, &["-t", &format!("localhost/am:{tag}")]);
    }
    let folder = scenario.path("derived");
    fs::create_dir(&folder).expect("a folder");
    let recipe = "FROM localhost/am:2\nLABEL hotfix.fingerprint=ours\nCOPY Dockerfile /etc/\n";
    fs::write(folder.join("Dockerfile"), recipe).expect("writable");
    podman.run(&["build", "--quiet", "--tag", "localhost/company:1", folder.to_str().expect("UTF-8")]);
    let pruned = scenario.run(&["images", "prune", "--keep", "0", "--in", "localhost/am"]).succeeds().stdout.clone();
    let gone = ["1", "clean"].map(|tag| format!("removed localhost/am:{tag}\n")).concat();
    let stays = "kept localhost/am:2: localhost/company:1 is built on it\n";
    assert_eq!(pruned, format!("{gone}{stays}2 in all; 0 kept as the newest\n"));
}

/// In an engine of its own, since images without a name are nobody's.
#[test]
fn one_whose_name_another_has_goes() {
    let Some(podman) = Podman::start(None) else { return };
    let base = podman.base();
    let scenario = Scenario::new().env("DOCKER_HOST", &podman.endpoint());
    let tag = "localhost/a-team/with-a-name-of-some-length/wso2am:latest";
    let scenario = scenario.args(["--output", "docker", "--base-image", &base, "-t", tag]);
    [1, 2].iter().for_each(|through| apply(&scenario, *through, &[]));
    let shown = scenario.run(&["images", "list"]).succeeds().stdout.clone();
    assert_eq!(shown.matches("(no name)").count(), 1, "{shown}");
    let cells = |line: &str| line.split("  ").filter(|cell| !cell.is_empty()).count();
    assert!(shown.lines().all(|line| cells(line) == 5), "the columns are apart, however long a name is: {shown}");
    let pruned = scenario.run(&["images", "prune", "--keep", "5"]).succeeds().stdout.clone();
    assert!(pruned.starts_with("removed wso2am 4.1.0.10-hf1 without a name ("), "{pruned}");
    assert!(pruned.ends_with("1 in all; 1 kept as the newest\n"), "{pruned}");
    let shown = scenario.run(&["images", "list"]).succeeds().stdout.clone();
    assert!(shown.contains(tag) && !shown.contains("(no name)"), "{shown}");
}

/// Podman keeps no times of names, and all images were made at the same time.
#[test]
fn the_latest_stays_whatever_it_is_called_where_no_time_is_known() {
    let Some(podman) = Podman::start(None) else { return };
    let base = podman.base();
    let scenario = Scenario::new().env("DOCKER_HOST", &podman.endpoint());
    let scenario = scenario.args(["--output", "docker", "--base-image", &base]);
    for (through, tag) in [(3, "zz-newest"), (1, "4.1.0.10-hf1"), (2, "4.1.0.10-hf2"), (0, "clean")] {
        apply(&scenario, through, &["-t", &format!("localhost/am:{tag}")]);
    }
    let shown = scenario.run(&["images", "list"]).succeeds().stdout.clone();
    assert_eq!(shown.matches("  unknown  ").count(), 4, "{shown}");
    let json = scenario.run(&["images", "list", "--format", "json"]).succeeds().stdout.clone();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let is_null = |image: &Value| image.get("tagged") == Some(&Value::Null);
    assert!(json.as_array().expect("a list").iter().all(is_null), "{json}");
    let gone = ["4.1.0.10-hf2", "4.1.0.10-hf1", "clean"].map(|tag| format!("removed localhost/am:{tag}\n")).concat();
    let pruned = scenario.run(&["images", "prune", "--keep", "1"]).succeeds().stdout.clone();
    assert_eq!(pruned, format!("{gone}3 in all; 1 kept as the newest\n"));

    apply(&scenario, 3, &["-t", "localhost/am:aa-other", "--label", "x=y"]);
    let pruned = scenario.run(&["images", "prune", "--keep", "1"]).succeeds().stdout.clone();
    let unsure =
        "kept localhost/am:zz-newest: the engine does not know whether it is older than localhost/am:aa-other\n";
    assert_eq!(pruned, format!("{unsure}nothing to remove; 1 kept as the newest\n"));
}

/// Docker does not say when an image that it loaded got its name.
#[test]
fn one_that_was_loaded_is_as_new_as_what_it_holds() {
    if !engine::is_there() {
        return;
    }
    let world = World::new("loaded");
    let archive = world.scenario.path("image.tar");
    let archive = archive.to_str().expect("UTF-8");
    docker(&["save", "--output", archive, &world.name(3)]);
    docker(&["rmi", &world.name(3)]);
    docker(&["load", "--input", archive]);
    let pruned = world.prune("--keep 1");
    let gone = [2, 1].map(|hotfixes| format!("removed {}\n", world.name(hotfixes))).concat();
    assert_eq!(pruned, format!("{gone}2 in all; 1 kept as the newest\n"));
    assert!(world.has(&world.name(3)));
}

#[test]
fn without_an_engine_or_a_number() {
    let scenario = Scenario::new().without_engine();
    for command in [&["images", "list"][..], &["images", "prune", "--keep", "1"]] {
        let run = scenario.run(command).fails_with(8).says("the Docker engine cannot be reached");
        // What makes no image cannot do without.
        run.says("start it, or set DOCKER_HOST").does_not_say("--output");
    }
    scenario.run(&["images", "prune"]).fails_with(2).says("--keep");
    for no_repository in ["team/am:4.1.0", "", "a b", "Team/Am/X", &format!("am@sha256:{}", "0".repeat(64))] {
        scenario.run(&["images", "list", "--in", no_repository]).fails_with(2).says("--in");
        scenario.run(&["images", "prune", "--keep", "1", "--in", no_repository]).fails_with(2).says("--in");
    }
    scenario.run(&["images", "list", "--in", "team/am:1"]).fails_with(2).says("its repository is team/am");
}
