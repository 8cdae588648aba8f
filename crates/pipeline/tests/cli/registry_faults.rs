//! A registry that fails, once or always, in every way and at every request of a push: never a success that is none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::Scenario;
use crate::support::faults::Fault;
use crate::support::faulty_registry::{self, each};
use crate::support::http::Request;
use crate::support::layout::Layout;
use crate::support::registry::Registry;

const AT_ONCE: usize = 8;

/// A request of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Greeting,
    Token,
    HeadBlob,
    BeginUpload,
    PutBlob,
    PutManifest,
}

impl Target {
    const ALL: [Self; 6] =
        [Self::Greeting, Self::Token, Self::HeadBlob, Self::BeginUpload, Self::PutBlob, Self::PutManifest];

    fn is(self, request: &Request) -> bool {
        let (method, address) = (request.method.as_str(), request.address.as_str());
        match self {
            Self::Greeting => address == "/v2/",
            Self::Token => address.starts_with("/token"),
            Self::HeadBlob => method == "HEAD" && address.contains("/blobs/sha256:"),
            Self::BeginUpload => method == "POST" && address.contains("/blobs/uploads"),
            Self::PutBlob => method == "PUT" && address.contains("/blobs/uploads"),
            Self::PutManifest => method == "PUT" && address.contains("/manifests/"),
        }
    }
}

/// What passes, and what does not.
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
    Fault::HalfARequest,
    Fault::ShortBody,
    Fault::WrongDigest,
];
const NO: [Fault; 2] = [Fault::Status(401), Fault::Status(403)];

struct World {
    scenario: Scenario,
    registry: Registry,
    count: AtomicUsize,
}

/// How a push through a proxy ended.
struct Pushed {
    code: Option<i32>,
    stderr: String,
    /// How often the fault came.
    faults: usize,
    /// Whether the registry has the image of the layout under its tag; none where there is no such tag.
    is_whole: Option<bool>,
}

impl World {
    fn new() -> Option<Self> {
        let registry = Registry::start()?;
        let scenario = Scenario::new().without_engine();
        Some(Self { scenario, registry, count: AtomicUsize::new(0) })
    }

    /// A push in which the first `times` requests to `target` fail.
    fn push(&self, target: Target, fault: Fault, times: usize, more: &[&str]) -> Pushed {
        self.push_with(&[target], fault, times, more)
    }

    /// A push in which the first `times` requests to each of `targets` fail.
    fn push_with(&self, targets: &[Target], fault: Fault, times: usize, more: &[&str]) -> Pushed {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let faults = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&faults);
        let left = Mutex::new(targets.iter().map(|target| (*target, times)).collect::<Vec<_>>());
        let fails = move |request: &Request| {
            let mut left = left.lock().expect("fine");
            let (_, left) = left.iter_mut().find(|(target, _)| target.is(request))?;
            *left = left.checked_sub(1)?;
            counted.fetch_add(1, Ordering::SeqCst);
            Some(fault)
        };
        let server = faulty_registry::in_front_of(&self.registry.host, fails);
        let (folder, repository) = (format!("image{number}"), format!("team/am{number}"));
        let (output, tag) = (format!("oci:{folder}"), format!("{}/{repository}:x", server.host));
        let words = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--base-image", "scratch", "--through", "0"];
        let child = self.scenario.spawn(&[&words[..], &["--output", &output, "--tag", &tag, "--push"], more].concat());
        let output = child.wait_with_output().expect("it ends");
        let is_there = self.registry.has(&repository, "x");
        let is_whole = is_there.then(|| {
            let manifest = self.registry.manifest(&self.registry.digest_of(&repository, "x"));
            let layers = manifest["layers"].as_array().expect("a list").iter();
            let layers: Vec<&str> = layers.filter_map(|layer| layer["digest"].as_str()).collect();
            // What a run that failed had written is gone again.
            let folder = self.scenario.path(&folder);
            let is_same = !folder.exists() || Layout::open(&folder, "x").layer_digests() == layers;
            is_same && layers.iter().all(|digest| self.registry.has_blob(digest))
        });
        Pushed {
            code: output.status.code(),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
            faults: faults.load(Ordering::SeqCst),
            is_whole,
        }
    }
}

/// Whether the fault makes a difference: most answers to a push have no content, and one alone names the digest.
fn is_felt(target: Target, fault: Fault) -> bool {
    match fault {
        Fault::ShortBody => target == Target::Token,
        Fault::WrongDigest => target == Target::PutManifest,
        // Whoever greets so is asked for a token, as always.
        Fault::Status(401 | 403) => target != Target::Greeting,
        _ => true,
    }
}

fn cases(faults: &[Fault]) -> Vec<(Target, Fault)> {
    let all = Target::ALL.iter().flat_map(|target| faults.iter().map(move |fault| (*target, *fault)));
    all.filter(|(target, fault)| is_felt(*target, *fault)).collect()
}

#[test]
fn what_passes_is_survived() {
    let Some(world) = World::new() else { return };
    each(AT_ONCE, &PASSING, |fault| {
        let targets: Vec<Target> = Target::ALL.into_iter().filter(|target| is_felt(*target, *fault)).collect();
        let pushed = world.push_with(&targets, *fault, 1, &[]);
        assert_eq!(pushed.code, Some(0), "{fault:?}: {}", pushed.stderr);
        assert_eq!((pushed.faults, pushed.is_whole), (targets.len(), Some(true)), "{fault:?}: {}", pushed.stderr);
    });
}

#[test]
fn what_does_not_pass_is_no_success() {
    let Some(world) = World::new() else { return };
    each(AT_ONCE, &cases(&PASSING), |(target, fault)| {
        let pushed = world.push(*target, *fault, usize::MAX, &["--retries", "2"]);
        let is_done = matches!(fault, Fault::LostAnswer | Fault::HalfAnAnswer | Fault::WrongDigest);
        let expected = match target {
            // It is found there when it is looked for again.
            Target::PutBlob if is_done => (Some(0), Some(true)),
            // What was done without an answer to us stays done: its tag is whole, and we say that we do not know.
            Target::PutManifest if is_done => (Some(9), Some(true)),
            _ => (Some(9), None),
        };
        assert_eq!((pushed.code, pushed.is_whole), expected, "{target:?} {fault:?}: {}", pushed.stderr);
        if pushed.code == Some(0) {
            return;
        }
        assert!(pushed.stderr.contains("error: push-image: ") && pushed.stderr.contains("next: "), "{}", pushed.stderr);
        assert!(pushed.stderr.contains("once more in "), "{target:?} {fault:?}: {}", pushed.stderr);
    });
}

#[test]
fn no_is_no() {
    let Some(world) = World::new() else { return };
    let asked: Mutex<BTreeMap<String, usize>> = Mutex::default();
    each(AT_ONCE, &cases(&NO), |(target, fault)| {
        let pushed = world.push(*target, *fault, usize::MAX, &[]);
        assert_eq!((pushed.code, pushed.is_whole), (Some(9), None), "{target:?} {fault:?}: {}", pushed.stderr);
        assert!(!pushed.stderr.contains("once more"), "{target:?} {fault:?}: {}", pushed.stderr);
        asked.lock().expect("fine").insert(format!("{target:?} {fault:?}"), pushed.faults);
    });
    // Blobs go side by side, so that several can be refused at once; none is tried again.
    let asked = asked.into_inner().expect("fine");
    assert!(asked.values().all(|count| (1..=4).contains(count)), "{asked:?}");
}

#[test]
fn a_pause_that_is_asked_for_is_made_and_no_longer_one() {
    let Some(world) = World::new() else { return };
    let began = std::time::Instant::now();
    let pushed = world.push(Target::BeginUpload, Fault::RetryAfter(429, 2), 1, &[]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    assert!(began.elapsed().as_secs() >= 2 && pushed.stderr.contains("once more in 2.0 s"), "{}", pushed.stderr);
    let pushed = world.push(Target::BeginUpload, Fault::RetryAfter(503, 3600), 1, &[]);
    assert_eq!((pushed.code, pushed.is_whole), (Some(9), None), "{}", pushed.stderr);
}

#[test]
fn slow_is_no_fault_and_silence_has_an_end() {
    let Some(world) = World::new() else { return };
    let slow = [Target::Token, Target::PutBlob];
    let slow = slow.map(|target| (target, Fault::Slow(35)));
    // Whoever takes a blob may think about it for long; see `silence` for that.
    let is_waited_for = |(target, _): &(Target, Fault)| *target == Target::PutBlob;
    let silent = cases(&[Fault::Stall(60), Fault::StallAmid(60)]).into_iter().filter(|case| !is_waited_for(case));
    let cases: Vec<_> = silent.chain(slow).collect();
    // All side by side, for longer than silence is borne.
    each(cases.len(), &cases, |(target, fault)| {
        let pushed = world.push(*target, *fault, 1, &[]);
        assert_eq!((pushed.code, pushed.is_whole), (Some(0), Some(true)), "{target:?} {fault:?}: {}", pushed.stderr);
        let is_again = pushed.stderr.contains("once more in ");
        assert_eq!(is_again, !matches!(fault, Fault::Slow(_)), "{target:?} {fault:?}: {}", pushed.stderr);
    });
}

#[test]
fn who_is_silent_while_a_blob_is_sent_is_left_when_the_step_has_no_more_time() {
    let Some(world) = World::new() else { return };
    each(AT_ONCE, &[Fault::Stall(600), Fault::StallAmid(600)], |fault| {
        let pushed = world.push(Target::PutBlob, *fault, usize::MAX, &["--step-timeout", "5s"]);
        assert_eq!((pushed.code, pushed.is_whole), (Some(10), None), "{fault:?}: {}", pushed.stderr);
        assert!(pushed.stderr.contains("error: push-image: ") && pushed.stderr.contains("next: "), "{}", pushed.stderr);
    });
}

#[test]
fn once_is_once() {
    let Some(world) = World::new() else { return };
    let pushed = world.push(Target::BeginUpload, Fault::Status(503), usize::MAX, &["--retries", "1"]);
    assert_eq!((pushed.code, pushed.faults), (Some(9), 1), "{}", pushed.stderr);
    for wrong in ["0", "101", "x", "-1"] {
        world.scenario.run(&["inspect", "x", &format!("--retries={wrong}")]).fails_with(2).says("--retries");
    }
}
