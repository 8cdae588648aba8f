//! An `apply` that is killed with all that it has started, and what must be so then, and after the next run.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::engine::{Base, docker, images_with, try_docker};
use super::layout::Layout;
use super::registry::Registry;
use super::scenario::Scenario;

const CACHE: &str = "home/.cache/hotfix";
const REPOSITORY: &str = "team/am";

/// Where the image goes.
enum Output {
    Layout,
    /// By way of a layout.
    Registry(Registry),
    Engine(Base),
}

pub struct Victim {
    pub scenario: Scenario,
    output: Output,
    tag: String,
    /// Layers of the image with two hotfixes, and of the one with three.
    old: Vec<String>,
    new: Vec<String>,
    cached: BTreeSet<String>,
    /// How long a run takes that nobody kills.
    pub time: Duration,
}

impl Victim {
    /// With its image in a layout.
    pub fn of_layout() -> Self {
        Self::with(Output::Layout, "team/am:x".to_owned())
    }

    /// With its image in a registry; none where there is no such program.
    pub fn of_registry() -> Option<Self> {
        let registry = Registry::start()?;
        let tag = format!("{}/{REPOSITORY}:x", registry.host);
        Some(Self::with(Output::Registry(registry), tag))
    }

    /// With its image in the engine, which must be there.
    pub fn of_engine() -> Self {
        let base = Base::new("victim");
        // As unique as its base.
        let tag = base.name.replacen("base", "image", 1);
        Self::with(Output::Engine(base), tag)
    }

    fn with(output: Output, tag: String) -> Self {
        let scenario = Scenario::new().with_tool(|tool| tool.backup = false);
        let mut victim = Self {
            scenario: scenario.under(["setsid"]),
            output,
            tag,
            old: Vec::new(),
            new: Vec::new(),
            cached: BTreeSet::new(),
            time: Duration::ZERO,
        };
        victim.prepare();
        victim.old = victim.layers();
        let began = Instant::now();
        victim.scenario.run(&victim.words("3")).succeeds();
        victim.time = began.elapsed();
        victim.new = victim.layers();
        assert_ne!(victim.old, victim.new);
        victim.cached = victim.cached();
        victim
    }

    fn words(&self, through: &'static str) -> Vec<&str> {
        let (base, output) = match &self.output {
            Output::Layout | Output::Registry(_) => ("scratch", "oci:image"),
            Output::Engine(base) => (base.name.as_str(), "docker"),
        };
        let inputs = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "-v", "--report", "report"];
        let image = ["--base-image", base, "--output", output, "--tag", &self.tag, "--through", through];
        let push: &[&str] = if matches!(self.output, Output::Registry(_)) { &["--push"] } else { &[] };
        [&inputs[..], &image, push].concat()
    }

    /// So that there is an old image under the name, with two hotfixes.
    pub fn prepare(&self) {
        self.scenario.run(&self.words("2")).succeeds();
    }

    /// So that the pack has to be unpacked again.
    pub fn forget_cached(&self) {
        fs::remove_dir_all(self.scenario.path(CACHE)).expect("there");
    }

    fn layers(&self) -> Vec<String> {
        match &self.output {
            Output::Layout => Layout::open(&self.scenario.path("image"), "x").layer_digests(),
            Output::Registry(registry) => {
                // This registry writes a name's file in two steps, and goes on with what a killed client had asked for.
                let deadline = Instant::now() + Duration::from_secs(5);
                while !registry.digest_of(REPOSITORY, "x").starts_with("sha256:") {
                    assert!(Instant::now() < deadline, "there is no such name");
                    std::thread::sleep(Duration::from_millis(20));
                }
                let manifest = registry.manifest(&registry.digest_of(REPOSITORY, "x"));
                let layers = manifest["layers"].as_array().expect("a list").iter();
                let layers: Vec<String> =
                    layers.map(|layer| layer["digest"].as_str().expect("text").to_owned()).collect();
                assert!(layers.iter().all(|digest| registry.has_blob(digest)), "{layers:?}");
                layers
            }
            Output::Engine(_) => {
                let layers = docker(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", &self.tag]);
                serde_json::from_str(&layers).expect("a list")
            }
        }
    }

    /// A run with three hotfixes, in a process group of its own.
    fn start(&self) -> Child {
        self.scenario.spawn(&self.words("3"))
    }

    /// Killed after `moment`; whether it was cut short.
    pub fn kill_after(&self, moment: Duration) -> bool {
        let child = self.start();
        std::thread::sleep(moment);
        kill(child)
    }

    /// Killed as soon as it has said so many of the lines that are `wanted`; the last of them, or none where it had no more to say.
    pub fn kill_at_line(&self, wanted: impl Fn(&str) -> bool, number: usize) -> Option<String> {
        let mut child = self.start();
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let line = lines.filter(|line| wanted(line)).nth(number);
        kill(child);
        line
    }

    /// The name has the old image or the new one, and nothing else.
    pub fn has_old_or_new(&self, what: &str) {
        let there = self.layers();
        assert!(there == self.old || there == self.new, "{what}: {there:?}");
    }

    /// The next run ends as if nothing had been, each hotfix applied once and in order, with nothing left of the killed one.
    pub fn recovers(&self, what: &str) {
        self.wait_for_the_tool();
        let calls = self.scenario.calls().len();
        let run = self.scenario.run(&self.words("3"));
        assert_eq!(run.code, Some(0), "{what}: {}", run.stderr);
        assert_eq!(self.layers(), self.new, "{what}");
        let applied: Vec<String> = self.scenario.calls()[calls..]
            .iter()
            .filter(|call| call.arguments.first().is_some_and(|first| first == "apply-hotfix"))
            .map(|call| call.arguments.concat().chars().rfind(char::is_ascii_digit).expect("a number").to_string())
            .collect();
        assert_eq!(applied, ["1", "2", "3"], "{what}");
        self.has_no_leftovers(what);
    }

    fn has_no_leftovers(&self, what: &str) {
        assert_eq!(names(&self.scenario.path("tmp"), 1), BTreeSet::new(), "{what}");
        assert_eq!(self.cached(), self.cached, "{what}");
        let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux");
        assert!(!mounts.contains(self.scenario.path("").to_str().expect("UTF-8")), "{what}: {mounts}");
        match &self.output {
            Output::Layout | Output::Registry(_) => {
                let blobs = names(&self.scenario.path("image/blobs/sha256"), 1);
                assert!(!blobs.iter().any(|name| name.starts_with('.')), "{what}: {blobs:?}");
            }
            Output::Engine(base) => {
                let of_base = format!("org.opencontainers.image.base.name={}", base.name);
                let images: BTreeSet<String> = images_with(&of_base).into_iter().collect();
                // The old one has lost its name to the new one, as always in an engine.
                let shown = || images.iter().map(|id| docker(&["image", "inspect", id])).collect::<Vec<_>>().join("\n");
                assert!(images.len() <= 2, "{what}: {}", shown());
                // Those in which the base was looked into.
                let containers = docker(&["ps", "--all", "--quiet", "--filter", &format!("ancestor={}", base.name)]);
                assert_eq!(containers, "", "{what}");
            }
        }
    }

    /// What is in the cache; of what is known of files only what is not whole, since that depends on how old they are.
    fn cached(&self) -> BTreeSet<String> {
        let is_known = |name: &String| {
            let known = ["checksums/", "looks/"].iter().find_map(|folder| name.strip_prefix(folder));
            known.is_some_and(|name| name.chars().all(|digit| digit.is_ascii_hexdigit()))
        };
        names(&self.scenario.path(CACHE), 2).into_iter().filter(|name| !is_known(name)).collect()
    }

    /// Waits until what the update tool was doing is done: it is in a group of its own, and ends by itself.
    fn wait_for_the_tool(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let place = self.scenario.path("");
        let is_of_scenario =
            |process: &fs::DirEntry| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&place));
        while fs::read_dir("/proc").expect("Linux").filter_map(Result::ok).any(|process| is_of_scenario(&process)) {
            assert!(Instant::now() < deadline, "something goes on for ever");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Output::Engine(_) = self.output {
            try_docker(&["rmi", "--force", &self.tag]);
        }
    }
}

/// Kills the process group; whether that cut it short.
fn kill(child: Child) -> bool {
    let group = Pid::from_raw(child.id().cast_signed()).expect("not 0");
    // Whoever has ended has no group any more.
    let _ = kill_process_group(group, Signal::KILL);
    !child.wait_with_output().expect("it ends").status.success()
}

/// Paths of what is in `folder`, so many levels deep.
fn names(folder: &Path, depth: usize) -> BTreeSet<String> {
    let entries = walkdir::WalkDir::new(folder).min_depth(1).max_depth(depth).into_iter().filter_map(Result::ok);
    let inner =
        |entry: walkdir::DirEntry| entry.path().strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
    entries.map(inner).collect()
}
