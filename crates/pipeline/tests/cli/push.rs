//! Step 8: a real registry, with and without a password.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::registry::Registry;
use crate::support::scenario::Run;

const USER: &str = "ci~bot";
/// Its base64 needs both characters in which the two alphabets differ.
const REGISTRY_PASSWORD: &str = "pa~ssw0rd?>:~~~ÿÿ>>??";

struct Push {
    scenario: Scenario,
    base: Base,
    tag: String,
}

impl Push {
    fn to(registry: &Registry, test: &str, scenario: Scenario) -> Self {
        Self::to_host(&registry.host, test, scenario)
    }

    fn to_host(host: &str, test: &str, scenario: Scenario) -> Self {
        let base = Base::new(&format!("push-{test}"));
        let tag = format!("{host}/team/wso2am:{test}");
        let scenario = scenario.args([
            "--output",
            "docker",
            "--base-image",
            &base.name,
            "-t",
            &tag,
            "--push",
            "--report",
            "report",
        ]);
        Self { scenario, base, tag }
    }

    fn apply(&self) -> Run<'_> {
        self.scenario.apply()
    }

    fn is_not_there(&self) {
        assert!(!try_docker(&["inspect", &self.tag]).status.success(), "{} exists", self.tag);
        assert_eq!(engine::images_with(&format!("org.opencontainers.image.base.name={}", self.base.name)), [""; 0]);
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        try_docker(&["rmi", "--force", &self.tag]);
    }
}

/// An engine and a registry without a password, where both are there.
fn open_registry() -> Option<Registry> {
    if engine::is_there() { Registry::start() } else { None }
}

fn locked_registry() -> Option<Registry> {
    if engine::is_there() { Registry::start_with_password(USER, REGISTRY_PASSWORD) } else { None }
}

#[test]
fn what_was_pushed_can_be_pulled_and_runs() {
    let Some(registry) = open_registry() else { return };
    let push = Push::to(&registry, "t1", Scenario::new());
    push.apply().succeeds().prints(&format!("{}\n", push.tag)).says("pushed ");
    let digest = push.scenario.report()["image"]["digest"].as_str().expect("a digest").to_owned();
    assert!(registry.has("team/wso2am", "t1"));
    assert_eq!(registry.open_uploads("team/wso2am"), 0, "the check of the right to push was called off");
    docker(&["rmi", &push.tag]);
    assert!(docker(&["pull", &push.tag]).contains(&digest));
    let readme = "/home/wso2carbon/wso2am-4.1.0/bin/README.txt";
    assert_eq!(
        docker(&["run", "--rm", "--network", "none", &push.tag, "cat", readme]),
        "How to start the server, corrected."
    );
    docker(&["rmi", &push.tag]);
    let inspect = push.scenario.run(&["inspect", &push.tag]);
    assert!(
        inspect.stdout.contains("(in the registry)") && inspect.stdout.contains(&digest),
        "{}{}",
        inspect.stdout,
        inspect.stderr
    );
}

#[test]
fn every_tag_is_pushed() {
    let Some(registry) = open_registry() else { return };
    let second = format!("{}/other:t2", registry.host);
    let push = Push::to(&registry, "t1", Scenario::new().args(["-t", &second]));
    push.apply().succeeds().prints(&format!("{second}\n{}\n", push.tag));
    assert!(registry.has("team/wso2am", "t1") && registry.has("other", "t2"));
    docker(&["rmi", &second]);
}

#[test]
fn credentials_are_those_of_docker_login() {
    let Some(registry) = locked_registry() else { return };
    let scenario =
        Scenario::new().with_file("home/config.json", registry.docker_config(USER, REGISTRY_PASSWORD)).args(["-vv"]);
    let push = Push::to(&registry, "t1", scenario);
    push.apply().succeeds().does_not_say(REGISTRY_PASSWORD);
    assert!(registry.has("team/wso2am", "t1"));
}

#[test]
fn without_rights_it_says_so_before_anything_is_unpacked() {
    let Some(registry) = locked_registry() else { return };
    for config in ["{}".to_owned(), registry.docker_config(USER, "wrong")] {
        let push = Push::to(&registry, "t1", Scenario::new().with_file("home/config.json", config));
        let run = push
            .apply()
            .fails(9, "push-image")
            .says("cannot be pushed")
            .says("does not allow a push to team/wso2am")
            .says("docker login");
        assert!(!run.stderr.contains("extract-pack"), "{}", run.stderr);
        push.is_not_there();
    }
}

#[test]
fn without_a_registry_it_says_so_before_anything_is_unpacked() {
    if !engine::is_there() {
        return;
    }
    let push = Push::to_host("127.0.0.1:1", "t1", Scenario::new());
    let run =
        push.apply().fails(9, "push-image").says("the registry 127.0.0.1:1 does not answer").says("Connection refused");
    assert!(!run.stderr.contains("extract-pack"), "{}", run.stderr);
    push.is_not_there();
}

#[test]
fn credentials_that_cannot_be_read() {
    let Some(registry) = open_registry() else { return };
    let config = r#"{ "credHelpers": { "HOST": "no-such-helper" } }"#.replace("HOST", &registry.host);
    let push = Push::to(&registry, "t1", Scenario::new().with_file("home/config.json", config));
    push.apply().fails(9, "push-image").says("the credentials for 127.0.0.1:").says("credential helper");
    let push = Push::to(&registry, "t1", Scenario::new().with_file("home/config.json", "{"));
    push.apply().fails(9, "push-image").says("cannot be read").says("docker login");
}

#[test]
fn a_registry_that_goes_away_leaves_the_tag_where_it_was() {
    let Some(mut registry) = open_registry() else { return };
    let push = Push::to(&registry, "t1", Scenario::new().with_tool(|tool| tool.slow_ms = 1500));
    let before = push.scenario.snapshot();
    let child = push.scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    registry.stop();
    push.scenario.ended(child, &before).fails(9, "push-image").says("cannot be pushed");
    push.is_not_there();
    assert!(!registry.has("team/wso2am", "t1"));
}

#[test]
fn a_failed_push_puts_an_older_tag_back() {
    let Some(mut registry) = open_registry() else { return };
    let push = Push::to(&registry, "t1", Scenario::new().with_tool(|tool| tool.slow_ms = 1500));
    docker(&["tag", &push.base.name, &push.tag]);
    let id = |name: &str| docker(&["inspect", "--format", "{{.Id}}", name]);
    let child = push.scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    registry.stop();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(id(&push.tag), id(&push.base.name));
}

#[test]
fn stopped_at_any_moment_there_is_the_whole_image_or_none() {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(registry) = open_registry() else { return };
    let (mut stopped, mut finished) = (0, 0);
    for moment in 0..14_u64 {
        let scenario = Scenario::new().with_pack(|pack| pack.filler(30_000_000));
        let push = Push::to(&registry, &format!("m{moment}"), scenario);
        let before = push.scenario.snapshot();
        let child = push.scenario.start_apply_until(|_| true);
        std::thread::sleep(std::time::Duration::from_millis(100 + moment * moment * 20));
        let (signal, code) = if moment % 2 == 0 { (Signal::INT, 130) } else { (Signal::TERM, 143) };
        // A run that has ended by itself is still there until it is waited for.
        kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), signal).expect("it is there");
        let run = push.scenario.ended(child, &before);
        if run.code == Some(0) {
            finished += 1;
            run.succeeds();
            assert!(registry.has("team/wso2am", &format!("m{moment}")));
        } else {
            stopped += 1;
            let step = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default().to_owned();
            let step = step.split(": ").nth(1).unwrap_or_default();
            run.fails(code, step);
            push.is_not_there();
            // The engine may have sent the last byte at the very moment in which it was told to stop.
            assert!(step == "push-image" || !registry.has("team/wso2am", &format!("m{moment}")));
        }
    }
    assert!(stopped > 0, "no run was stopped ({finished} finished), so nothing was tested");
}

#[test]
fn a_digest_is_never_that_of_another_run_with_the_same_tag() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let Some(registry) = open_registry() else { return };
    let push = Push::to(&registry, "t1", Scenario::new());
    let other = Base::new("other-run");
    let stop = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        // Somebody else takes the name again and again, as a second run would.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                try_docker(&["tag", &other.name, &push.tag]);
            }
        });
        let output = push.scenario.start_apply_until(|_| true).wait_with_output().expect("it ends");
        stop.store(true, Ordering::Relaxed);
        output
    });
    let stderr = String::from_utf8_lossy(&run.stderr);
    if run.status.code() == Some(0) {
        let image = push.scenario.report()["image"].clone();
        let manifest = registry.manifest(image["digest"].as_str().expect("a digest"));
        assert_eq!(manifest["config"]["digest"], image["id"], "{stderr}");
    } else {
        assert_eq!(run.status.code(), Some(9), "{stderr}");
        assert!(stderr.contains("did another run use the same tag?"), "{stderr}");
    }
}

#[test]
fn when_a_later_tag_cannot_be_pushed_an_earlier_one_is_put_back() {
    let (Some(first), Some(mut second)) = (locked_registry(), open_registry()) else { return };
    let earlier = format!("{}/team/wso2am:prod", first.host);
    let scenario = Scenario::new().with_tool(|tool| tool.slow_ms = 1500).args(["-t", &earlier]);
    let scenario = scenario.with_file("home/config.json", first.docker_config(USER, REGISTRY_PASSWORD));
    let push = Push::to(&second, "t2", scenario);
    let home = push.scenario.path("home");
    docker(&["tag", &push.base.name, &earlier]);
    docker(&["--config", home.to_str().expect("UTF-8"), "push", "--quiet", &earlier]);
    let before = first.digest_of("team/wso2am", "prod");
    let child = push.scenario.start_apply_until(|scenario| !scenario.calls().is_empty());
    second.stop();
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{stderr}");
    assert!(stderr.contains("prod as sha256:"), "the first was pushed: {stderr}");
    assert!(stderr.contains("prod names again what it named before"), "{stderr}");
    assert_eq!(first.digest_of("team/wso2am", "prod"), before);
    docker(&["rmi", &earlier]);
}

/// A way to `registry` on which it knows no manifest by its digest, as if it had lost each.
fn forgetful(registry: &Registry) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (host, target) = (listener.local_addr().expect("bound").to_string(), registry.host.clone());
    std::thread::spawn(move || {
        for mut client in listener.incoming().filter_map(Result::ok) {
            let mut server = TcpStream::connect(&target).expect("the registry answers");
            let (mut answers, mut to_client) =
                (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            std::thread::spawn(move || std::io::copy(&mut answers, &mut to_client));
            std::thread::spawn(move || {
                let mut buffer = [0; 64 * 1024];
                while let Ok(read @ 1..) = client.read(&mut buffer) {
                    let asked = String::from_utf8_lossy(&buffer[..read.min(200)]).into_owned();
                    if asked.starts_with("GET ") && asked.contains("/manifests/sha256:") {
                        let _ = client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
                    } else if server.write_all(&buffer[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    host
}

#[test]
fn a_registry_that_keeps_nothing_is_not_believed() {
    let Some(registry) = open_registry() else { return };
    let push = Push::to_host(&forgetful(&registry), "lost", Scenario::new());
    push.apply().fails(9, "push-image").says("the registry has no sha256:").says("afterwards");
    push.is_not_there();
}
