//! Podman as the engine: the same job, looked at with `podman` itself.

use std::os::unix::fs::MetadataExt;

use crate::support::Scenario;
use crate::support::engine;
use crate::support::layout::{Layout, strings};
use crate::support::podman::Podman;
use crate::support::registry::Registry;

const HOME: &str = "home/wso2carbon/wso2am-4.1.0";
const TAG: &str = "localhost/team/wso2am:t1";

fn on_podman(podman: &Podman, scenario: Scenario) -> Scenario {
    let base = podman.base();
    let arguments = ["--output", "docker", "--base-image", &base, "--report", "report"];
    scenario.args(arguments).env("DOCKER_HOST", &podman.endpoint())
}

fn podman() -> Option<Podman> {
    if engine::is_there() { Podman::start(None) } else { None }
}

/// With a registry that it may talk to without TLS.
fn podman_and(registry: Option<Registry>) -> Option<(Podman, Registry)> {
    let registry = registry.filter(|_| engine::is_there())?;
    Some((Podman::start(Some(&registry))?, registry))
}

#[test]
fn the_image_has_the_hotfixes() {
    let Some(podman) = podman() else { return };
    let scenario = on_podman(&podman, Scenario::new().args(["-t", TAG, "--label", "x=y"]));
    scenario.apply().succeeds().prints(&format!("{TAG}\n"));
    let image = podman.inspect(TAG);
    assert_eq!(scenario.report()["image"]["id"], format!("sha256:{}", image["Id"].as_str().expect("an id")));
    assert_eq!(strings(&image["Config"]["Entrypoint"]), ["/bin/busybox"]);
    assert!(strings(&image["Config"]["Env"]).contains(&"LANG=C".to_owned()));
    let labels = &image["Labels"];
    assert_eq!((labels["hotfix.product"].as_str(), labels["x"].as_str()), (Some("wso2am"), Some("y")));
    assert!(
        labels["org.opencontainers.image.base.digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:"))
    );
    let mounted = podman.mount(TAG);
    let read = |path: &str| std::fs::read_to_string(mounted.root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(read("etc/release"), "base\n");
    let readme = format!("{HOME}/bin/README.txt");
    assert_eq!(read(&readme).trim(), "How to start the server, corrected.");
    let metadata = mounted.root.join(&readme).metadata().expect("there");
    assert_eq!((metadata.uid(), metadata.gid()), (10001, 10001));
    let legacy = mounted.root.join(HOME).join("repository/deployment/server/jaggeryapps/legacy");
    assert_eq!(legacy.read_dir().map(Iterator::count).unwrap_or_default(), 0, "what a hotfix deleted is deleted");
    assert_eq!(podman.run(&["ps", "--all", "--quiet"]), "", "no container is left");
}

/// What is read of an image of ours there, history and all, can be built on.
#[test]
fn hotfixes_go_on_an_image_of_ours() {
    let Some(podman) = podman() else { return };
    let holding = on_podman(&podman, Scenario::new().args(["-t", "localhost/holding:1", "--through", "0"]));
    holding.apply().succeeds();
    let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--from-image", "localhost/holding:1", "-t", TAG];
    holding.run(&words).succeeds();
    holding.run(&[&words[..], &["--if-changed"]].concat()).succeeds().says("unchanged: ");
    let mounted = podman.mount(TAG);
    let readme = std::fs::read_to_string(mounted.root.join(format!("{HOME}/bin/README.txt"))).expect("there");
    assert_eq!(readme.trim(), "How to start the server, corrected.");
}

#[test]
fn the_layers_are_those_of_a_layout() {
    let Some(podman) = podman() else { return };
    let scenario = on_podman(&podman, Scenario::new().args(["-t", TAG]));
    scenario.apply().succeeds();
    let first = podman.inspect(TAG);
    scenario.apply().succeeds();
    assert_eq!(first["Id"], podman.inspect(TAG)["Id"], "the same inputs give the same image");
    let layout = Scenario::like(&scenario);
    layout.apply().succeeds();
    let diff_ids = Layout::open(&layout.path("image"), "4.1.0.10-hf3").diff_ids();
    assert_eq!(strings(&first["RootFS"]["Layers"])[1..], diff_ids[..]);
    let inspect = scenario.run(&["inspect", TAG]);
    assert!(inspect.stdout.contains("(in the engine)"), "{}{}", inspect.stdout, inspect.stderr);
}

#[test]
fn a_short_name_is_found_again() {
    let Some(podman) = podman() else { return };
    let scenario = on_podman(&podman, Scenario::new());
    scenario.apply().succeeds();
    assert!(podman.try_run(&["image", "exists", "docker.io/library/wso2am:4.1.0.10-hf3"]).status.success());
    let inspect = scenario.run(&["inspect", "wso2am:4.1.0.10-hf3"]);
    assert!(inspect.stdout.contains("(in the engine)"), "{}{}", inspect.stdout, inspect.stderr);
}

#[test]
fn without_a_base_it_works_too() {
    let Some(podman) = podman() else { return };
    let scenario = Scenario::new().args(["--output", "docker", "--base-image", "scratch", "-t", TAG]);
    let scenario = scenario.args(["--platform", "linux/arm64"]).env("DOCKER_HOST", &podman.endpoint());
    scenario.apply().succeeds();
    let image = podman.inspect(TAG);
    assert_eq!((image["Os"].as_str(), image["Architecture"].as_str()), (Some("linux"), Some("arm64")));
}

#[test]
fn what_is_pushed_is_what_podman_has() {
    let Some((podman, registry)) = podman_and(Registry::start_with_password("ci", "pa~ss w0rd?")) else { return };
    let tag = format!("{}/team/wso2am:t1", registry.host);
    let scenario = Scenario::new().with_file("home/config.json", registry.docker_config("ci", "pa~ss w0rd?"));
    let scenario = on_podman(&podman, scenario.args(["-t", &tag, "--push"]));
    scenario.apply().succeeds().does_not_say("pa~ss w0rd?");
    let digest = scenario.report()["image"]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(registry.digest_of("team/wso2am", "t1"), digest);
    let id = podman.inspect(&tag)["Id"].as_str().expect("an id").to_owned();
    assert_eq!(registry.manifest(&digest)["config"]["digest"], format!("sha256:{id}"));
}

#[test]
fn a_base_that_podman_lacks_is_pulled() {
    let Some((podman, registry)) = podman_and(Registry::start()) else { return };
    let (local, remote) = (podman.base(), format!("{}/java:11", registry.host));
    podman.run(&["push", "--quiet", &local, &remote]);
    podman.run(&["rmi", "--force", &local]);
    let on = |base: &str| {
        let arguments = ["--output", "docker", "--base-image", base, "-t", TAG];
        Scenario::new().args(arguments).env("DOCKER_HOST", &podman.endpoint())
    };
    on(&remote).apply().succeeds().says("pulling");
    let digest = podman.inspect(TAG)["Labels"]["org.opencontainers.image.base.digest"].clone();
    assert_eq!(digest, registry.digest_of("java", "11"));
    let nowhere = format!("{}/no/such:base", registry.host);
    on(&nowhere).apply().fails(8, "build-image").says(&format!("the base image {nowhere} is not to be had"));
}

#[test]
fn after_a_failure_the_tag_names_what_it_named() {
    let Some((podman, mut registry)) = podman_and(Registry::start()) else { return };
    let tag = format!("{}/team/wso2am:t1", registry.host);
    let new = format!("{}/team/wso2am:t2", registry.host);
    let scenario = Scenario::new().with_tool(|tool| tool.slow_ms = 1000).args(["-t", &tag, "-t", &new, "--push"]);
    let scenario = on_podman(&podman, scenario);
    podman.run(&["tag", "localhost/hotfix-test-base/podman:1", &tag]);
    let before = podman.inspect(&tag)["Id"].clone();
    let images = podman.run(&["images", "--all", "--quiet"]);
    let child = scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    registry.stop();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(podman.inspect(&tag)["Id"], before);
    assert!(!podman.try_run(&["image", "exists", &new]).status.success(), "a tag that was not there is there");
    assert_eq!(podman.run(&["images", "--all", "--quiet"]), images, "an image is left");
}

#[test]
fn a_dockerfile_and_what_is_built_by_it() {
    let Some(podman) = podman() else { return };
    let scenario = Scenario::new().env("DOCKER_HOST", &podman.endpoint());
    std::fs::create_dir(scenario.path("recipe")).expect("a folder");
    let name = "${WSO2_SERVER_NAME}-${WSO2_SERVER_VERSION}";
    let text = format!(
        "FROM {}\nARG WSO2_SERVER_NAME\nARG WSO2_SERVER_VERSION\nCOPY --chown=10001:10001 {name} /home/wso2carbon/{name}\n",
        podman.base()
    );
    let scenario = scenario.with_file("recipe/Dockerfile", text);
    let by = ["--output", "docker", "--dockerfile", "recipe/Dockerfile", "--through", "0", "-t", TAG];
    scenario.run(&[&["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"][..], &by].concat()).succeeds();
    let before = podman.inspect(TAG);
    assert_eq!(before["Labels"]["hotfix.applied"], "[]");
    let old = std::fs::read_to_string(podman.mount(TAG).root.join(HOME).join("bin/README.txt")).expect("there");

    let second = "localhost/team/wso2am:t2";
    let on = ["--output", "docker", "--from-image", TAG, "-t", second];
    scenario.run(&[&["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes"][..], &on].concat()).succeeds();
    let image = format!("image:{TAG}");
    let third = "localhost/team/wso2am:t3";
    let out_of = ["apply", &image, "hotfixes", "--output", "docker", "-t", third];
    scenario.run(&out_of).succeeds();
    let layers = |tag: &str| strings(&podman.inspect(tag)["RootFS"]["Layers"]);
    assert_eq!(layers(second), layers(third));
    assert_eq!(layers(second).len(), layers(TAG).len() + 1);
    let file = podman.mount(second).root.join(HOME).join("bin/README.txt");
    let new = std::fs::read_to_string(&file).expect("there");
    assert_ne!(old, new);
    assert_eq!(new.trim(), "How to start the server, corrected.");
    let metadata = file.metadata().expect("there");
    assert_eq!((metadata.uid(), metadata.gid()), (10001, 10001));
    assert_eq!(podman.run(&["ps", "--all", "--quiet"]), "", "no container is left");
}
