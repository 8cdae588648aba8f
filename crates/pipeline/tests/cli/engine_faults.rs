//! An engine that fails, once or always, in every way and at every call of a run: a success only where the image is there, whole, in
//! the engine and in the registry; else everything is as it was.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::faults::Fault;
use crate::support::faulty_registry::each;
use crate::support::http::{Request, Server};
use crate::support::registry::Registry;

const AT_ONCE: usize = 8;

/// A call of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Version,
    Info,
    Base,
    Pull,
    History,
    Create,
    Archive,
    RemoveContainer,
    /// What has the tag before.
    Before,
    List,
    Load,
    /// What was loaded; after a push, what was pushed.
    Loaded,
    Tag,
    Push,
    RemoveImage,
}

use Call::{
    Archive, Before, Create, History, Info, List, Load, Loaded, Pull, Push, RemoveContainer, RemoveImage, Tag, Version,
};

const CALLS: [Call; 14] =
    [Version, Info, Call::Base, Pull, History, Create, Archive, RemoveContainer, Before, List, Load, Loaded, Tag, Push];

impl Call {
    fn is(self, request: &Request) -> bool {
        let (method, path) = (request.method.as_str(), request.address.split('?').next().unwrap_or_default());
        let is = |wanted, start: &str, end: &str| method == wanted && path.starts_with(start) && path.ends_with(end);
        match self {
            Version => path == "/version",
            Info => path == "/info",
            Self::Base => is("GET", "/images/hotfix-test-base/", "/json"),
            Pull => path == "/images/create",
            History => is("GET", "/images/", "/history"),
            Create => path == "/containers/create",
            Archive => is("GET", "/containers/", "/archive"),
            RemoveContainer => is("DELETE", "/containers/", ""),
            Before => is("GET", "/images/127.0.0.1:", "/json"),
            List => path == "/images/json",
            Load => path == "/images/load",
            Loaded => is("GET", "/images/sha256:", "/json"),
            Tag => is("POST", "/images/", "/tag"),
            Push => is("POST", "/images/", "/push"),
            RemoveImage => is("DELETE", "/images/", ""),
        }
    }

    /// Whether it is about a base image.
    fn needs_base(self) -> bool {
        matches!(self, Self::Base | History | Create | Archive | RemoveContainer)
    }

    fn exit_code(self) -> i32 {
        if self == Push { 9 } else { 8 }
    }
}

/// What passes: another try, soon after, may go well.
const PASSING: [Fault; 5] =
    [Fault::Status(503), Fault::LostRequest, Fault::LostAnswer, Fault::HalfAnAnswer, Fault::ShortBody];
/// What an engine says for good.
const NO: [Fault; 2] = [Fault::Status(500), Fault::Status(409)];

/// Whether the fault makes a difference: some answers have no content.
fn is_felt(call: Call, fault: Fault) -> bool {
    !(fault == Fault::ShortBody && matches!(call, Tag | RemoveContainer | Archive))
}

fn cases(faults: &[Fault]) -> Vec<(Call, Fault)> {
    let all = CALLS.iter().flat_map(|call| faults.iter().map(move |fault| (*call, *fault)));
    all.filter(|(call, fault)| is_felt(*call, *fault)).collect()
}

struct World {
    registry: Registry,
    base: Base,
    inputs: Scenario,
    count: AtomicUsize,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        if !engine::is_there() {
            return None;
        }
        let base = Base::new(&format!("faults-{test}"));
        Some(Self { registry: Registry::start()?, base, inputs: Scenario::new(), count: AtomicUsize::new(0) })
    }

    /// A run, push included, in which the first `times` of each of `calls` fail; whatever comes of it is looked at. Returns its exit
    /// code and what it said.
    fn run(&self, calls: &[(Call, Fault)], times: usize, more: &[&str]) -> (i32, String) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let (label, repository) = (format!("case={}-{number}", self.base.name), format!("team/am{number}"));
        let tag = format!("{}/{repository}:x", self.registry.host);
        // In every second case the tag names another image before.
        if number.is_multiple_of(2) {
            docker(&["tag", &self.base.name, &tag]);
        }
        let before = id_of(&tag);
        let (server, faults) = failing(calls, times);
        let on = match calls {
            [(Pull, _), ..] => self.base_to_pull(number),
            _ if calls.iter().any(|(call, _)| call.needs_base()) => self.base.name.clone(),
            _ => "scratch".to_owned(),
        };
        let scenario = Scenario::like(&self.inputs).env("DOCKER_HOST", &format!("tcp://{}", server.host));
        let words = ["--output", "docker", "--through", "0", "--no-cache", "--push", "--report", "report"];
        let scenario =
            scenario.args(words).args(["--base-image", &on, "-t", &tag, "--label", &label]).args(more.to_vec());
        let run = scenario.apply();
        let (code, case) = (run.code.expect("it ends by itself"), format!("{calls:?}: {}", run.stderr));
        assert!(faults.load(Ordering::SeqCst) > 0, "{case}");
        let images = engine::images_with(&label);
        if code == 0 {
            let run = run.succeeds();
            let digest = scenario.report()["image"]["digest"].clone();
            self.is_whole(&tag, &repository, &label, &digest, &run.stderr);
        } else {
            let run = run.leaves_nothing();
            let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
            assert!(errors.len() == 1 && run.stderr.contains("\n  next: "), "{case}");
            // Of an engine that removes nothing.
            let is_left = calls.iter().any(|(call, _)| *call == RemoveImage);
            assert!(id_of(&tag) == before || is_left, "{case}");
            assert!(images.is_empty() || is_left, "{images:?}: {case}");
            images.iter().for_each(|image| drop(try_docker(&["rmi", "--force", image])));
        }
        try_docker(&["rmi", &tag]);
        if on.starts_with(&self.registry.host) {
            try_docker(&["rmi", &on]);
        }
        (code, case)
    }

    /// A base image that only the registry has.
    fn base_to_pull(&self, number: usize) -> String {
        let name = format!("{}/base/java{number}:1", self.registry.host);
        docker(&["tag", &self.base.name, &name]);
        docker(&["push", "--quiet", &name]);
        docker(&["rmi", &name]);
        name
    }

    /// The engine and the registry have the image.
    fn is_whole(&self, tag: &str, repository: &str, label: &str, digest: &Value, said: &str) {
        let image: Value = serde_json::from_str(&docker(&["inspect", tag])).expect("JSON");
        let (_, value) = label.split_once('=').expect("a label");
        assert_eq!(image[0]["Config"]["Labels"]["case"], value, "{said}");
        assert_eq!(*digest, self.registry.digest_of(repository, "x"), "{said}");
        let manifest = self.registry.manifest(digest.as_str().expect("a digest"));
        assert_eq!(manifest["config"]["digest"], image[0]["Id"], "{said}");
        let layers = manifest["layers"].as_array().expect("a list");
        assert_eq!(layers.len(), image[0]["RootFS"]["Layers"].as_array().expect("a list").len(), "{said}");
        let is_there = |layer: &Value| self.registry.has_blob(layer["digest"].as_str().expect("text"));
        assert!(layers.iter().all(is_there), "{said}");
    }

    /// No container of the base image is left.
    fn has_no_containers(&self) {
        let of_base = format!("ancestor={}", self.base.name);
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &of_base]), "");
    }
}

fn id_of(image: &str) -> String {
    String::from_utf8(try_docker(&["inspect", "--format", "{{.Id}}", image]).stdout).expect("UTF-8")
}

/// A way to the engine on which the first `times` of each of `calls` fail; how often they did is counted.
fn failing(calls: &[(Call, Fault)], times: usize) -> (Server, Arc<AtomicUsize>) {
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let left = Mutex::new(calls.iter().map(|(call, fault)| (*call, *fault, times)).collect::<Vec<_>>());
    let fails = move |request: &Request| {
        let mut left = left.lock().expect("fine");
        let (_, fault, left) = left.iter_mut().find(|(call, ..)| call.is(request))?;
        *left = left.checked_sub(1)?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(*fault)
    };
    (Server::with_faults(engine::socket().to_str().expect("UTF-8"), |_| None, fails), counted)
}

#[test]
fn what_passes_is_survived() {
    let Some(world) = World::new("once") else { return };
    each(AT_ONCE, &cases(&PASSING), |(call, fault)| {
        let (code, case) = world.run(&[(*call, *fault)], 1, &[]);
        assert_eq!(code, 0, "{call:?} {fault:?} {case}");
    });
    let in_stream = [
        (Load, Fault::HalfARequest),
        (Pull, Fault::ErrorInStream),
        (Push, Fault::ErrorInStream),
        (Archive, Fault::NoContent),
    ];
    each(AT_ONCE, &in_stream, |case| assert_eq!(world.run(&[*case], 1, &[]).0, 0, "{case:?}"));
    world.has_no_containers();
}

#[test]
fn what_does_not_pass_is_one_refusal() {
    let Some(world) = World::new("always") else { return };
    let in_stream = [Load, Pull, Push].map(|call| (call, Fault::ErrorInStream));
    let more = [(Load, Fault::HalfARequest), (Archive, Fault::NoContent)];
    let cases = [&cases(&PASSING)[..], &cases(&NO), &in_stream, &more].concat();
    each(AT_ONCE, &cases, |(call, fault)| {
        let (code, case) = world.run(&[(*call, *fault)], usize::MAX, &["--retries", "2"]);
        // The image does not depend on whether a container goes away again; that it did not is said.
        let expected = if *call == RemoveContainer { 0 } else { call.exit_code() };
        assert_eq!(code, expected, "{fault:?} {case}");
        let names_it = case.split_once("\nerror: ").is_some_and(|(_, refusal)| refusal.contains("engine"));
        assert!(names_it || *call == RemoveContainer, "{case}");
        assert!(*call != RemoveContainer || case.contains("could not be removed"), "{case}");
    });
}

#[test]
fn slow_is_no_fault() {
    let Some(world) = World::new("slow") else { return };
    let calls = CALLS.into_iter().filter(|call| *call != Pull).map(|call| (call, Fault::Slow(1)));
    let calls: Vec<(Call, Fault)> = calls.collect();
    let (code, case) = world.run(&calls, usize::MAX, &[]);
    assert_eq!(code, 0, "{case}");
    world.has_no_containers();
}

#[test]
fn silence_has_an_end() {
    let Some(world) = World::new("silent") else { return };
    let mut cases: Vec<Vec<_>> = CALLS.iter().map(|call| vec![(*call, Fault::Stall(600))]).collect();
    cases.extend([Load, Push, Archive].map(|call| vec![(call, Fault::StallAmid(600))]));
    // What a failed run undoes is bounded as well.
    cases.push(vec![(Push, Fault::Status(500)), (RemoveImage, Fault::Stall(600))]);
    each(cases.len(), &cases, |calls| {
        let (code, case) = world.run(calls, usize::MAX, &["--step-timeout", "4s"]);
        let is_undone = calls.len() == 1;
        assert_eq!(code, if is_undone { 10 } else { 9 }, "{case}");
        assert_eq!(is_undone, !case.contains("the image of the failed run and its tags may still be there"), "{case}");
    });
}
