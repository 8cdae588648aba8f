//! A registry that fails, once or always, in every way and at every request by which an image is read: never half an image.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::registries::to_registry;
use crate::support::Scenario;
use crate::support::faults::Fault;
use crate::support::faulty_registry::{self, each};
use crate::support::http::{Request, Server};
use crate::support::layout::Layout;
use crate::support::registry::Registry;

const AT_ONCE: usize = 8;

/// A request by which an image is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Greeting,
    Token,
    Index,
    Manifest,
    Configuration,
    Layer,
}

const ALL: [Target; 6] =
    [Target::Greeting, Target::Token, Target::Index, Target::Manifest, Target::Configuration, Target::Layer];
/// What an image's labels are read with.
const FOR_LABELS: [Target; 5] = [ALL[0], ALL[1], ALL[2], ALL[3], ALL[4]];

const PASSING: [Fault; 12] = [
    Fault::Status(408),
    Fault::RetryAfter(429, 1),
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(504),
    Fault::LostRequest,
    Fault::LostAnswer,
    Fault::HalfAnAnswer,
    Fault::ShortBody,
    Fault::WrongByte,
    Fault::WrongDigest,
];
const NO: [Fault; 3] = [Fault::Status(401), Fault::Status(403), Fault::Status(404)];

/// Whether the fault makes a difference: the first answer has no content, and a digest that we know is not asked for.
fn is_felt(target: Target, fault: Fault) -> bool {
    match fault {
        Fault::WrongDigest => target == Target::Index,
        Fault::ShortBody | Fault::WrongByte => target != Target::Greeting,
        // Whoever greets so is asked further.
        Fault::Status(401 | 403 | 404) => target != Target::Greeting,
        _ => true,
    }
}

fn cases(targets: &[Target], faults: &[Fault]) -> Vec<(Target, Fault)> {
    let all = targets.iter().flat_map(|target| faults.iter().map(move |fault| (*target, *fault)));
    all.filter(|(target, fault)| is_felt(*target, *fault)).collect()
}

/// A registry with an index that names an image with two layers.
struct World {
    registry: Registry,
    base: Layout,
    scenario: Scenario,
    count: AtomicUsize,
}

impl World {
    fn new() -> Option<Self> {
        let registry = Registry::start()?;
        let first = to_registry(&format!("{}/base/java:1", registry.host)).args(["--product-home", "/opt/other"]);
        first.apply().succeeds();
        let base = Layout::open(&first.path("image"), "1");
        registry.put_manifest("base/java", "multi", "application/vnd.oci.image.index.v1+json", &index_of(&base));
        let scenario = Scenario::new().without_engine();
        Some(Self { registry, base, scenario, count: AtomicUsize::new(0) })
    }

    fn is(&self, target: Target, request: &Request) -> bool {
        let address = request.address.as_str();
        match target {
            Target::Greeting => address == "/v2/",
            Target::Token => address.starts_with("/token"),
            Target::Index => address.ends_with("/manifests/multi"),
            Target::Manifest => address.contains("/manifests/sha256:"),
            Target::Configuration => address.ends_with(self.base.manifest["config"]["digest"].as_str().expect("text")),
            Target::Layer => address.ends_with(&self.base.layer_digests()[0]),
        }
    }

    /// A way to the registry on which the first `times` requests to each of `targets` fail; how often they did is counted.
    fn failing(self: &Arc<Self>, targets: &[Target], fault: Fault, times: usize) -> (Server, Arc<AtomicUsize>) {
        let counted = Arc::new(AtomicUsize::new(0));
        let (world, count) = (Arc::clone(self), Arc::clone(&counted));
        let left = Mutex::new(targets.iter().map(|target| (*target, times)).collect::<Vec<_>>());
        let fails = move |request: &Request| {
            let mut left = left.lock().expect("fine");
            let (_, left) = left.iter_mut().find(|(target, _)| world.is(*target, request))?;
            *left = left.checked_sub(1)?;
            count.fetch_add(1, Ordering::SeqCst);
            Some(fault)
        };
        (faulty_registry::in_front_of(&self.registry.host, fails), counted)
    }

    /// An image on the base that is fetched by way of `host`, without hotfixes.
    fn build_on(&self, host: &str, more: &[&str]) -> Built {
        let folder = format!("image{}", self.count.fetch_add(1, Ordering::Relaxed));
        let (base, output) = (format!("{host}/base/java:multi"), format!("oci:{folder}"));
        let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--through", "0", "--base-image", &base];
        let child = self.scenario.spawn(&[&words[..], &["--output", &output, "-t", "x:x"], more].concat());
        let output = child.wait_with_output().expect("it ends");
        let folder = self.scenario.path(&folder);
        let is_whole = folder.exists().then(|| {
            let image = Layout::open(&folder, "x");
            image.layer_digests()[..2] == self.base.layer_digests()[..] && blobs_are_what_they_say(&folder)
        });
        Built { code: output.status.code(), stderr: String::from_utf8(output.stderr).expect("UTF-8"), is_whole }
    }

    fn inspect(&self, host: &str, more: &[&str]) -> (Option<i32>, Value, String) {
        let image = format!("{host}/base/java:multi");
        let child = self.scenario.spawn(&[&["inspect", "--format", "json", &image], more].concat());
        let output = child.wait_with_output().expect("it ends");
        let mut told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if let Some(told) = told.as_object_mut() {
            told.remove("image");
        }
        (output.status.code(), told, String::from_utf8(output.stderr).expect("UTF-8"))
    }
}

struct Built {
    code: Option<i32>,
    stderr: String,
    /// None where there is no layout.
    is_whole: Option<bool>,
}

/// An index that names `image` for this machine.
fn index_of(image: &Layout) -> String {
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let size = image.manifest_bytes().len();
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.manifest_digest, "size": size,
            "platform": { "os": "linux", "architecture": architecture },
        }],
    })
    .to_string()
}

fn blobs_are_what_they_say(layout: &std::path::Path) -> bool {
    let blobs = std::fs::read_dir(layout.join("blobs/sha256")).expect("there").filter_map(Result::ok);
    blobs.map(|blob| blob.path()).all(|blob| {
        let digest = hex::encode(Sha256::digest(std::fs::read(&blob).expect("readable")));
        blob.file_name().is_some_and(|name| name == digest.as_str())
    })
}

/// One error with the registry in it and something to do; nothing in the folder for temporary files.
#[track_caller]
fn is_a_refusal(stderr: &str, host: &str, case: &str) {
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{case}: {stderr}");
    let says_where = stderr.contains(&format!("the registry {host}"));
    assert!(says_where && stderr.contains("\n  next: "), "{case}: {stderr}");
}

#[test]
fn what_passes_is_survived() {
    let Some(world) = World::new().map(Arc::new) else { return };
    let told = world.inspect(&world.registry.host, &[]);
    assert_eq!((told.0, told.1["product"].as_str()), (Some(0), Some("wso2am")), "{}", told.2);
    each(AT_ONCE, &PASSING, |fault| {
        let targets: Vec<Target> = ALL.into_iter().filter(|target| is_felt(*target, *fault)).collect();
        let (server, faults) = world.failing(&targets, *fault, 1);
        let built = world.build_on(&server.host, &[]);
        assert_eq!((built.code, built.is_whole), (Some(0), Some(true)), "{fault:?}: {}", built.stderr);
        assert_eq!(faults.load(Ordering::SeqCst), targets.len(), "{fault:?}: {}", built.stderr);
        let (server, _) = world.failing(&targets, *fault, 1);
        let (code, told_now, stderr) = world.inspect(&server.host, &[]);
        assert_eq!((code, &told_now), (Some(0), &told.1), "{fault:?}: {stderr}");
    });
}

#[test]
fn what_does_not_pass_is_one_refusal() {
    let Some(world) = World::new().map(Arc::new) else { return };
    each(AT_ONCE, &cases(&ALL, &PASSING), |(target, fault)| {
        let case = format!("{target:?} {fault:?}");
        let (server, faults) = world.failing(&[*target], *fault, usize::MAX);
        let built = world.build_on(&server.host, &["--retries", "2"]);
        assert_eq!((built.code, built.is_whole), (Some(8), None), "{case}: {}", built.stderr);
        assert!(built.stderr.contains("error: build-image: "), "{case}: {}", built.stderr);
        assert!(built.stderr.contains("once more in "), "{case}: {}", built.stderr);
        assert_eq!(faults.load(Ordering::SeqCst), 2, "{case}: {}", built.stderr);
        is_a_refusal(&built.stderr, &server.host, &case);
    });
    each(AT_ONCE, &cases(&FOR_LABELS, &PASSING), |(target, fault)| {
        let case = format!("{target:?} {fault:?}");
        let (server, _) = world.failing(&[*target], *fault, usize::MAX);
        let (code, told, stderr) = world.inspect(&server.host, &["--retries", "2"]);
        assert_eq!((code, told), (Some(9), Value::Null), "{case}: {stderr}");
        is_a_refusal(&stderr, &server.host, &case);
    });
    leaves_nothing(&world);
}

#[test]
fn no_is_no() {
    let Some(world) = World::new().map(Arc::new) else { return };
    each(AT_ONCE, &cases(&ALL, &NO), |(target, fault)| {
        let case = format!("{target:?} {fault:?}");
        let (server, faults) = world.failing(&[*target], *fault, usize::MAX);
        let built = world.build_on(&server.host, &[]);
        assert_eq!((built.code, built.is_whole), (Some(8), None), "{case}: {}", built.stderr);
        assert!(!built.stderr.contains("once more"), "{case}: {}", built.stderr);
        assert_eq!(faults.load(Ordering::SeqCst), 1, "{case}: {}", built.stderr);
        is_a_refusal(&built.stderr, &server.host, &case);
    });
    leaves_nothing(&world);
}

/// Nothing is left of runs that failed, also in the cache: the next one goes well.
fn leaves_nothing(world: &World) {
    let left: Vec<String> = world.scenario.snapshot().into_keys().filter(|path| path.starts_with("tmp/")).collect();
    assert_eq!(left, [""; 0]);
    let built = world.build_on(&world.registry.host, &[]);
    assert_eq!((built.code, built.is_whole), (Some(0), Some(true)), "{}", built.stderr);
}

#[test]
fn slow_is_no_fault_and_silence_has_an_end() {
    let Some(world) = World::new().map(Arc::new) else { return };
    // All side by side, for longer than silence is borne.
    let once = cases(&[Target::Token, Target::Index, Target::Layer], &[Fault::Stall(60), Fault::StallAmid(60)]);
    let cases = [once, cases(&[Target::Index, Target::Layer], &[Fault::Slow(35)])].concat();
    each(cases.len(), &cases, |(target, fault)| {
        let (server, _) = world.failing(&[*target], *fault, 1);
        let built = world.build_on(&server.host, &[]);
        assert_eq!((built.code, built.is_whole), (Some(0), Some(true)), "{target:?} {fault:?}: {}", built.stderr);
        let is_again = built.stderr.contains("once more in ");
        assert_eq!(is_again, !matches!(fault, Fault::Slow(_)), "{target:?} {fault:?}: {}", built.stderr);
    });
}
