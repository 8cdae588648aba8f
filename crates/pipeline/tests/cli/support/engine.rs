//! The real Docker engine, seen through the real `docker`: an independent witness.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use hotfix_docker::base::BaseImage;
use hotfix_docker::engine::Engine;
use hotfix_docker::image::{Image, Settings};
use hotfix_docker::layer::{Entry, FileContent, Layer, Metadata, Node};
use hotfix_docker::load;
use tokio_util::sync::CancellationToken;

/// In CI a test that cannot run is a failure.
pub fn skip(what: &str) -> bool {
    let required = std::env::var("HOTFIX_TESTS_REQUIRE_ENGINE").is_ok_and(|value| value == "1");
    assert!(!required, "{what}, and HOTFIX_TESTS_REQUIRE_ENGINE=1 says that there must be");
    skip_even_in_ci(what)
}

/// For what few machines let a test do.
pub fn skip_even_in_ci(what: &str) -> bool {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Around libtest's capture: a skipped test must be seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {what}");
    true
}

/// Whether an engine and the `docker` command are there; if not, the test is skipped.
pub fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    let there = *THERE
        .get_or_init(|| Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success()));
    if !there {
        return !skip("no Docker engine (or no docker command) is here");
    }
    busybox_file().is_some() || !skip("no busybox is here to make a base image of (Debian: busybox-static)")
}

pub fn busybox_file() -> Option<&'static str> {
    ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists())
}

/// Where the engine is: its socket on this machine.
pub fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    host.strip_prefix("unix://").expect("the engine of the tests is on this machine").into()
}

#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

pub fn try_docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("docker starts")
}

/// A base image of busybox, in the engine under a name of its own; removed on drop with what was built on it.
pub struct Base {
    pub name: String,
}

impl Base {
    pub fn new(test: &str) -> Self {
        Self::with(test, |_| {}, |_| {})
    }

    /// With more entries and settings.
    pub fn with(test: &str, entries: impl FnOnce(&mut Layer), settings: impl FnOnce(&mut Settings)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hotfix-test-base/{test}:{}-{number}", std::process::id());
        let mut layer = busybox();
        entries(&mut layer);
        let mut image_settings = Settings { created: "2026-01-01T00:00:00Z".to_owned(), ..Settings::default() };
        image_settings.env.push(("PATH".to_owned(), "/bin".to_owned()));
        image_settings.entrypoint = Some(vec!["/bin/busybox".to_owned()]);
        // Or images of other tests would be the same image, and vanish with those.
        image_settings.labels.insert("test".to_owned(), name.clone());
        settings(&mut image_settings);
        let image = Image { base: BaseImage::scratch(), layers: vec![layer], settings: image_settings };
        block_on(async {
            let engine = Engine::connect().await.expect("the engine answers");
            let built = load::load(&engine, &image, &CancellationToken::new()).await.expect("it loads");
            engine.tag(&built.id, &name.parse().expect("a name")).await.expect("it tags");
        });
        Self { name }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let of_base = format!("label=org.opencontainers.image.base.name={}", self.name);
        let built = try_docker(&["images", "--all", "--quiet", "--filter", &of_base]);
        let built = String::from_utf8_lossy(&built.stdout).into_owned();
        for image in built.split_whitespace().chain([self.name.as_str()]) {
            try_docker(&["rmi", "--force", image]);
        }
    }
}

fn busybox() -> Layer {
    let path = busybox_file().expect("looked for before");
    let metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: 1 };
    let mut layer = Layer::new("busybox");
    layer.insert("bin", Entry { node: Node::Directory, metadata });
    let content = FileContent::new(path.into()).expect("readable");
    layer.insert("bin/busybox", Entry { node: Node::File(Arc::new(content)), metadata });
    layer
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    hotfix_pipeline::cli::runtime().expect("a runtime").block_on(work)
}

/// Images in the engine with this label, named or not.
pub fn images_with(label: &str) -> Vec<String> {
    let images = docker(&["images", "--all", "--quiet", "--no-trunc", "--filter", &format!("label={label}")]);
    images.split_whitespace().map(str::to_owned).collect()
}
