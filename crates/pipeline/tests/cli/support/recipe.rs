//! Runs with a Dockerfile of the user's own, in the folder `recipe` of a scenario.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Scenario;
use super::engine::{self, Base, docker, try_docker};
use super::scenario::Run;
use hotfix_docker::layer::{Entry, Layer, Metadata, Node};

/// A scenario whose image is built by `recipe/Dockerfile`, under a name of its own.
pub struct Recipe {
    _images: Images,
    pub scenario: Scenario,
    pub base: Base,
    pub tag: String,
}

impl Recipe {
    /// `BASE` in `dockerfile` stands for an image of busybox with a shell and a few commands.
    pub fn new(test: &str, dockerfile: &str) -> Self {
        Self::with(test, dockerfile, Scenario::new())
    }

    pub fn with(test: &str, dockerfile: &str, scenario: Scenario) -> Self {
        let base = Base::with(test, commands, |settings| settings.entrypoint = None);
        let tag = format!("hotfix-test/{test}:{}", std::process::id());
        fs::create_dir_all(scenario.path("recipe")).expect("a folder");
        let scenario = scenario.with_file("recipe/Dockerfile", dockerfile.replace("BASE", &base.name)).args([
            "--output",
            "docker",
            "--dockerfile",
            "recipe/Dockerfile",
            "--report",
            "report",
            "-t",
            &tag,
        ]);
        let images = Images { tag: tag.clone(), base: base.name.clone() };
        Self { _images: images, scenario, base, tag }
    }

    pub fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.scenario = self.scenario.args(arguments);
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.scenario = self.scenario.env(key, value);
        self
    }

    pub fn file(mut self, path: &str, text: &str) -> Self {
        let path = format!("recipe/{path}");
        fs::create_dir_all(self.scenario.path(&path).parent().expect("below")).expect("a folder");
        self.scenario = self.scenario.with_file(&path, text);
        self
    }

    pub fn apply(&self) -> Run<'_> {
        self.scenario.apply()
    }

    pub fn inspect(&self) -> Value {
        serde_json::from_str::<Value>(&docker(&["inspect", &self.tag])).expect("JSON")[0].clone()
    }

    /// What a command says in a container of the image.
    pub fn run(&self, command: &[&str]) -> String {
        docker(&[&["run", "--rm", "--network", "none", "--entrypoint", "", &self.tag], command].concat())
    }

    /// Neither a tag nor an image nor a container of the failed run is there.
    pub fn is_not_there(&self) {
        assert!(!try_docker(&["inspect", &self.tag]).status.success(), "{} exists", self.tag);
        let labels =
            [format!("org.opencontainers.image.base.name={}", self.base.name), format!("test={}", self.base.name)];
        assert_eq!(engine::images_with(&labels[0]), [""; 0]);
        assert_eq!(engine::images_with(&labels[1]).len(), 1, "only the base itself");
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", self.base.name)]), "");
    }
}

/// What is built on a base, removed on drop.
struct Images {
    tag: String,
    base: String,
}

impl Drop for Images {
    fn drop(&mut self) {
        try_docker(&["rmi", "--force", &self.tag]);
        // What the classic builder keeps for the next time.
        let of_base = format!("label=test={}", self.base);
        let left = try_docker(&["images", "--all", "--quiet", "--filter", &of_base, "--filter", "dangling=true"]);
        for image in String::from_utf8_lossy(&left.stdout).split_whitespace() {
            try_docker(&["rmi", "--force", image]);
        }
    }
}

/// The commands that the tests' Dockerfiles use, and a `java` that says how it was called.
fn commands(layer: &mut Layer) {
    let metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
    for command in ["sh", "cat", "ls", "stat", "cp", "dirname", "sleep", "find", "test", "id", "sha256sum"] {
        layer.insert(format!("bin/{command}"), Entry { node: Node::Symlink("busybox".to_owned()), metadata });
    }
    let java = std::sync::Arc::new(b"#!/bin/sh\necho \"java $*\"\n".to_vec());
    layer.insert("bin/java", Entry { node: Node::File(java), metadata });
    layer.insert("etc", Entry { node: Node::Directory, metadata });
    layer.insert("tmp", Entry { node: Node::Directory, metadata: Metadata { mode: 0o1777, ..metadata } });
}

/// The folder of examples that users copy.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/docker")
}

/// The builders that an engine can have, as `DOCKER_BUILDKIT` names them.
pub const BUILDERS: [&str; 2] = ["1", "0"];
