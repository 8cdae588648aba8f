//! The commands of `docs/engines.md`, run with engines of the tests in place of those in it.

use tempfile::TempDir;

use crate::docs::document;
use crate::support::Scenario;
use crate::support::engine::{self, docker, try_docker};
use crate::support::podman::Podman;
use crate::support::sshd::Sshd;
use crate::support::tcp_engine::{self, Authority};

/// Engines of every kind, for the commands of the page.
struct Engines {
    /// What stands in the page, and what takes its place.
    places: [(&'static str, String); 6],
    sshd: Sshd,
    /// Certificates, and the configuration of `docker` with a context.
    folder: TempDir,
    _podman: Podman,
}

fn engines() -> Option<Engines> {
    let (podman, sshd) = (Podman::start(None)?, Sshd::start()?);
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    authority.write_to(folder.path(), &authority);
    let tls = format!("tcp://{}", tcp_engine::start(Some(&authority)));
    let files = folder.path().display().to_string();
    let context = format!("host={tls},ca={files}/ca.pem,cert={files}/cert.pem,key={files}/key.pem");
    docker(&["--config", &files, "context", "create", "build", "--docker", &context]);
    let places = [
        ("unix:///run/user/1000/docker.sock", format!("unix://{}", engine::socket().display())),
        ("unix:///run/podman/podman.sock", podman.endpoint()),
        ("tcp://build.example.org:2375", format!("tcp://{}", tcp_engine::start(None))),
        ("tcp://build.example.org:2376", tls),
        ("ssh://jo@build.example.org", format!("ssh://127.0.0.1:{}", sshd.port)),
        ("/home/jo/certs", files),
    ];
    Some(Engines { places, sshd, folder, _podman: podman })
}

#[test]
fn each_of_its_commands_works() {
    if !engine::is_there() {
        return;
    }
    let Some(engines) = engines() else { return };
    let path = format!("{}:{}", engines.sshd.client("user").display(), std::env::var("PATH").expect("a path"));
    let page = document("docs/engines.md");
    let commands: Vec<&str> =
        page.lines().filter(|line| line.starts_with("    ") && line.contains("hotfix apply")).collect();
    assert_eq!(commands.len(), 7, "{commands:?}");
    for command in commands {
        let command = engines.places.iter().fold(command.to_owned(), |line, (name, place)| line.replace(name, place));
        assert!(
            !command.contains("example.org") && !command.contains("/run/podman") && !command.contains("/run/user"),
            "{command}"
        );
        let words: Vec<&str> = command.split_whitespace().collect();
        let program = words.iter().position(|word| *word == "hotfix").expect("looked for before");
        let tag = format!("localhost/hotfix-test/page:{}", std::process::id());
        let scenario =
            Scenario::new().env("PATH", &path).env("DOCKER_CONFIG", &engines.folder.path().display().to_string());
        let scenario = words[..program].iter().fold(scenario, |scenario, variable| {
            let (name, value) = variable.split_once('=').expect("NAME=VALUE");
            scenario.env(name, value)
        });
        // With the context alone, as where DOCKER_HOST is not set.
        let scenario = if command.contains("DOCKER_CONTEXT") { scenario.env("DOCKER_HOST", "") } else { scenario };
        let more = ["--base-image", "scratch", "-t", &tag];
        scenario.run(&[&words[program + 1..], &more].concat()).succeeds();
        try_docker(&["rmi", "--force", &tag]);
    }
}
