//! A layout pushed with no engine anywhere near: what is sent, what is not, and what a failure leaves.

use crate::support::Scenario;
use crate::support::engine::{self, docker, try_docker};
use crate::support::http::{Answer, Server};
use crate::support::layout::Layout;
use crate::support::registry::Registry;

/// A run that writes `oci:image` and pushes it as `tag`.
pub fn to_registry(tag: &str) -> Scenario {
    Scenario::new().without_engine().args(["--output", "oci:image", "--push", "-t", tag, "--report", "report"])
}

#[test]
fn a_layout_is_pushed_as_it_is() {
    let Some(registry) = Registry::start() else { return };
    let tag = format!("{}/team/wso2am:t1", registry.host);
    let scenario = to_registry(&tag);
    scenario.apply().succeeds().prints(&format!("{tag}\n")).says("pushed ");
    let layout = Layout::open(&scenario.path("image"), "t1");
    assert_eq!(registry.digest_of("team/wso2am", "t1"), layout.manifest_digest);
    assert_eq!(scenario.report()["image"]["digest"], layout.manifest_digest.as_str());
    assert_eq!(registry.manifest(&layout.manifest_digest), layout.manifest);
    assert_eq!(registry.blobs_sent("team/wso2am"), 3, "two layers and the configuration: {:?}", registry.requests());
    assert_eq!(registry.open_uploads("team/wso2am"), 0);
    let inspect = scenario.run(&["inspect", &tag]);
    assert!(inspect.stdout.contains("(in the registry)"), "{}{}", inspect.stdout, inspect.stderr);
    assert!(inspect.stdout.contains(&layout.manifest_digest), "{}", inspect.stdout);
}

#[test]
fn an_engine_takes_what_was_pushed_without_one() {
    if !engine::is_there() {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let tag = format!("{}/hotfix-test/wso2am:t1", registry.host);
    let scenario = to_registry(&tag);
    scenario.apply().succeeds();
    docker(&["pull", "--quiet", &tag]);
    let labels = docker(&["inspect", "--format", "{{index .Config.Labels \"hotfix.update-level\"}}", &tag]);
    try_docker(&["rmi", &tag]);
    assert_eq!(labels, "10");
}

#[test]
fn what_the_registry_has_is_not_sent() {
    let Some(registry) = Registry::start() else { return };
    let first = to_registry(&format!("{}/team/wso2am:t1", registry.host)).args(["--through", "2"]);
    first.apply().succeeds();
    let sent = registry.blobs_sent("team/wso2am");
    let second = to_registry(&format!("{}/team/wso2am:t2", registry.host));
    let second = second.with_pack_path(first.pack());
    second.apply().succeeds();
    assert_eq!(registry.blobs_sent("team/wso2am") - sent, 2, "the hotfixes' layer and the configuration alone");
    second.apply().succeeds();
    assert_eq!(registry.blobs_sent("team/wso2am") - sent, 2, "nothing the second time");
}

#[test]
fn a_second_repository_takes_the_blobs_from_the_first() {
    let Some(registry) = Registry::start() else { return };
    let scenario = to_registry(&format!("{}/team/wso2am:t1", registry.host));
    let scenario = scenario.args(["-t", &format!("{}/prod/wso2am:t1", registry.host)]);
    scenario.apply().succeeds();
    assert_eq!((registry.blobs_sent("team/wso2am"), registry.blobs_mounted("team/wso2am")), (3, 0));
    assert_eq!((registry.blobs_sent("prod/wso2am"), registry.blobs_mounted("prod/wso2am")), (0, 3));
    assert_eq!(registry.digest_of("prod/wso2am", "t1"), registry.digest_of("team/wso2am", "t1"));
}

#[test]
fn a_registry_that_does_not_mount_gets_the_blobs() {
    // It has none, refuses to mount, and takes everything.
    let server = Server::start(|request| match (request.method.as_str(), request.address.as_str()) {
        ("GET", "/v2/") => Answer::new(200),
        ("POST", address) if address.contains("mount=") => Answer::new(405),
        ("POST", address) => Answer::new(202).header("location", format!("{address}1?state=a%2Fb")),
        ("PUT", address) if address.contains("/manifests/") => Answer::new(201).header("docker-content-digest", ""),
        ("PUT", address) if address.contains("?state=a%2Fb&digest=sha256%3A") => Answer::new(201),
        ("DELETE", _) => Answer::new(204),
        _ => Answer::new(404),
    });
    let scenario = to_registry(&format!("{}/a/x:1", server.host)).args(["-t", &format!("{}/b/x:1", server.host)]);
    scenario.apply().fails(9, "push-image").says("and says that it has ''");
    let sent = |repository: &str| {
        let start = format!("PUT /v2/{repository}/x/blobs/uploads/");
        server.requests().iter().filter(|request| request.starts_with(&start)).count()
    };
    assert_eq!((sent("a"), sent("b")), (3, 0));
}

#[test]
fn a_digest_that_is_not_ours_is_a_failure() {
    let other = format!("sha256:{}", "0f".repeat(32));
    let digest = other.clone();
    let server = Server::start(move |request| match (request.method.as_str(), request.address.as_str()) {
        ("POST", address) => Answer::new(202).header("location", format!("{address}1")),
        ("PUT", _) => Answer::new(201).header("docker-content-digest", digest.clone()),
        ("DELETE", _) => Answer::new(204),
        _ => Answer::new(200),
    });
    let scenario = to_registry(&format!("{}/team/wso2am:t1", server.host));
    scenario.apply().fails(9, "push-image").says("could not take").says(&format!("says that it has '{other}'"));
    assert!(!scenario.path("image").exists(), "a failed run leaves no layout");
}

#[test]
fn without_rights_or_a_registry_nothing_is_unpacked() {
    let Some(registry) = Registry::start_with_password("ci", "right") else { return };
    let tag = format!("{}/team/wso2am:t1", registry.host);
    for config in ["{}".to_owned(), registry.docker_config("ci", "wrong")] {
        let run = to_registry(&tag).with_file("home/config.json", config);
        let run = run.apply().fails(9, "push-image").says("does not allow a push to team/wso2am").says("docker login");
        run.does_not_say("extract-pack");
    }
    let run = to_registry("127.0.0.1:1/team/wso2am:t1");
    let run = run.apply().fails(9, "push-image").says("the registry 127.0.0.1:1 does not answer");
    run.says("Connection refused").does_not_say("extract-pack");
}

#[test]
fn a_failed_push_leaves_the_folder_as_it_was() {
    let Some(mut registry) = Registry::start() else { return };
    let tag = format!("{}/team/wso2am:t1", registry.host);
    let scenario = Scenario::new().without_engine().with_tool(|tool| tool.slow_ms = 1500);
    let scenario = scenario.args(["--output", "oci:image", "-t", &tag]);
    scenario.apply().succeeds();
    let scenario = scenario.args(["--push", "--label", "second=1"]);
    let calls = scenario.calls().len();
    let before = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| scenario.calls().len() > calls);
    registry.stop();
    scenario.ended(child, &before).fails(9, "push-image").says("cannot be pushed").says("build-image: done");
    assert!(!registry.has("team/wso2am", "t1"));
}

#[test]
fn when_a_later_tag_fails_an_earlier_one_is_put_back() {
    let Some(first) = Registry::start() else { return };
    let Some(mut second) = Registry::start() else { return };
    let earlier = format!("{}/team/wso2am:prod", first.host);
    to_registry(&earlier).args(["--through", "1"]).apply().succeeds();
    let before = first.digest_of("team/wso2am", "prod");
    let scenario = to_registry(&earlier).args(["-t", &format!("{}/team/wso2am:t2", second.host)]);
    let scenario = scenario.with_tool(|tool| tool.slow_ms = 1500);
    let files = scenario.snapshot();
    let child = scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    second.stop();
    let run = scenario.ended(child, &files).fails(9, "push-image");
    run.says("prod as sha256:").says("prod names again what it named before");
    assert_eq!(first.digest_of("team/wso2am", "prod"), before);
}

#[test]
fn stopped_in_the_middle_of_a_push_it_leaves_nothing() {
    use rustix::process::{Pid, Signal, kill_process};
    // It takes what is sent and never says so.
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Answer::new(202).header("location", format!("{}1", request.address)),
        "PUT" => {
            std::thread::sleep(std::time::Duration::from_secs(60));
            Answer::new(500)
        }
        "HEAD" => Answer::new(404),
        _ => Answer::new(200),
    });
    let scenario = to_registry(&format!("{}/team/wso2am:t1", server.host));
    let before = scenario.snapshot();
    let is_sending = |_: &Scenario| server.requests().iter().any(|request| request.starts_with("PUT "));
    let child = scenario.start_apply_until(is_sending);
    kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::INT).expect("it is there");
    scenario.ended(child, &before).fails(130, "push-image");
}
