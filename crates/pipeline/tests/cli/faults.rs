//! Faults by count: the Nth write, fsync, rename, open, mkdir … fails, once or from then on. The run succeeds, or refuses once and
//! clearly and leaves nothing; and the next run ends as if nothing had been.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;

use walkdir::WalkDir;

use crate::support::Scenario;
use crate::support::layout::Layout;
use crate::support::scenario::{Run, Snapshot};
use crate::support::shim::{Error, Fault, Shim};

const HOTFIX: &str = "hotfix";
/// Folders that a run writes to.
const WRITTEN: [&str; 4] = ["image", "cache", "report", "work"];
/// Beginnings of names that nothing has when it is whole.
const HALF: [&str; 5] = [".hotfix-", ".tmp", ".making-", "hotfix-", ".in-use"];

/// Changes, adds and removes something.
const SMALL_TOOL: &str = "[ $1 = apply-hotfix ] || exit 0\necho x >>bin/README.txt\nmkdir -p added\ncp bin/README.txt added\nrm -f LICENSE.txt";

/// What is there before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Start {
    Nothing,
    /// An older image of the same name, and the pack in the cache.
    OldImage,
}

/// Faults of one kind, by count.
#[derive(Debug, Clone, Copy)]
struct Series {
    start: Start,
    fault: Fault,
}

fn all_of(process: &'static str, kind: &'static str, errors: &[Error]) -> Vec<Series> {
    let of = |error: &Error| [false, true].map(|for_good| Fault { process, kind, error: *error, for_good });
    let faults = errors.iter().flat_map(of);
    // What is interrupted is tried again for ever.
    let faults = faults.filter(|fault| !(fault.for_good && fault.error == Error::Interrupted));
    faults.flat_map(|fault| [Start::Nothing, Start::OldImage].map(|start| Series { start, fault })).collect()
}

fn words(through: &str) -> [&str; 19] {
    [
        "apply",
        "packs/wso2am-4.1.0.10.zip",
        "hotfixes",
        "--base-image",
        "scratch",
        "--output",
        "oci:image",
        "--tag",
        "team/am:x",
        "--workspace-mode",
        "copy",
        "--workspace",
        "work",
        "--cache-dir",
        "cache",
        "--report",
        "report",
        "--through",
        through,
    ]
}

/// A scenario, and the digests of its images through 2 and 3.
struct World {
    scenario: Scenario,
    old: Vec<String>,
    new: Vec<String>,
}

impl World {
    /// For faults of this process: the stand-in of the tool is large, and only needed where it is the one.
    fn new(process: &str) -> Self {
        let scenario = Scenario::new().without_engine();
        let scenario = match process {
            HOTFIX => scenario.with_script(SMALL_TOOL),
            _ => scenario.with_tool(|tool| tool.journal = None),
        };
        let mut world = Self { scenario, old: Vec::new(), new: Vec::new() };
        world.scenario.run(&words("3")).succeeds();
        world.new = world.digests();
        fs::remove_dir_all(world.scenario.path("image")).expect("there");
        world.scenario.run(&words("2")).succeeds();
        world.old = world.digests();
        copy(&world.scenario.path("image"), &world.scenario.path("old"));
        world
    }

    fn digests(&self) -> Vec<String> {
        Layout::open(&self.scenario.path("image"), "x").layer_digests()
    }

    fn begin(&self, start: Start) {
        let gone = if start == Start::Nothing { &WRITTEN[..] } else { &["image", "report", "work"] };
        for folder in gone {
            let _ = fs::remove_dir_all(self.scenario.path(folder));
        }
        if start == Start::OldImage {
            if !self.scenario.path("cache").exists() {
                self.scenario.run(&words("2"));
                fs::remove_dir_all(self.scenario.path("image")).expect("there");
            }
            copy(&self.scenario.path("old"), &self.scenario.path("image"));
        }
    }

    /// What must not be after a run with a fault.
    fn wrong_after(&self, run: &Run<'_>, series: Series, before: &Snapshot) -> Vec<String> {
        let mut wrong = Vec::new();
        // What cannot be removed stays until the next run.
        let must_be_clean = series.fault.kind != "unlink";
        if run.code == Some(0) {
            wrong.extend((self.digests() != self.new).then(|| "another image".to_owned()));
        } else {
            wrong.extend((!refuses_clearly(run, series.fault)).then(|| "no clear refusal".to_owned()));
            let now = Scenario::snapshot_of(&self.scenario.path("image"));
            wrong.extend((must_be_clean && now != *before).then(|| format!("the layout has {:?}", now.keys())));
            if series.start == Start::OldImage {
                wrong.extend((self.digests() != self.old).then(|| "not the old image".to_owned()));
            }
        }
        wrong.extend(self.half_made().into_iter().filter(|_| must_be_clean));
        wrong
    }

    /// What must not be after the run that follows.
    fn wrong_after_next(&self, run: &Run<'_>) -> Vec<String> {
        let mut wrong = self.half_made();
        if run.code != Some(0) {
            wrong.push(format!("the next run fails: {:?}", run.code));
            return wrong;
        }
        wrong.extend(run.stderr.contains("WARN").then(|| "the next run warns".to_owned()));
        wrong.extend((self.digests() != self.new).then(|| "the next image is another".to_owned()));
        let is_told = self.scenario.report()["outcome"] == "success";
        wrong.extend((!is_told).then(|| "the next report is another".to_owned()));
        wrong
    }

    /// What is not whole, or not to be there when nobody works.
    fn half_made(&self) -> Vec<String> {
        let entries = WRITTEN.iter().flat_map(|folder| WalkDir::new(self.scenario.path(folder)));
        let is_half = |name: &str| HALF.iter().any(|start| name.starts_with(start));
        let half = entries.filter_map(Result::ok).filter(|entry| is_half(&entry.file_name().to_string_lossy()));
        half.map(|entry| format!("left: {}", entry.path().display())).collect()
    }
}

/// A folder of plain files and folders, into a new one.
fn copy(from: &Path, to: &Path) {
    for entry in WalkDir::new(from) {
        let entry = entry.expect("readable");
        let copy = to.join(entry.path().strip_prefix(from).expect("inside"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(copy).expect("made");
        } else {
            fs::copy(entry.path(), copy).expect("copied");
        }
    }
}

/// One error with a place in it and something to do next, and the code of a step.
fn refuses_clearly(run: &Run<'_>, fault: Fault) -> bool {
    let lines: Vec<&str> = run.stderr.lines().collect();
    let Some(error) = lines.iter().position(|line| line.starts_with("error: ")) else { return false };
    let (told, next): (Vec<&str>, Vec<&str>) = lines[error..].iter().partition(|line| !line.starts_with("  next: "));
    let is_one = next.len() == 1 && !told[1..].iter().any(|line| line.starts_with("error: "));
    let is_place = |word: &str| word.contains('/') || word.contains(".zip") || WRITTEN.contains(&word);
    // Of another's error we know what it said.
    let has_place = fault.process != HOTFIX || told.iter().any(|line| line.split(' ').skip(2).any(is_place));
    let is_enough = fault.error != Error::DiskFull || next[0].contains("room");
    let is_of_step = [3, 4, 5, 6, 8].map(Some).contains(&run.code);
    let is_fault = match fault.error {
        Error::Short => false,
        // Others are not made again: no file system that is known interrupts them.
        Error::Interrupted => ["fsync", "rename", "mkdir"].contains(&fault.kind),
        _ => true,
    };
    is_one && has_place && is_enough && is_of_step && is_fault && !run.stderr.contains("panicked")
}

/// Each of `errors` at calls of this kind: at every one until a run has none any more, or at one where that takes too long.
fn go_through(process: &'static str, kind: &'static str, errors: &[Error]) {
    let Some(shim) = Shim::build() else { return };
    let is_full = std::env::var("HOTFIX_TORTURE").is_ok();
    let mut tried = Tried::new(process, shim);
    for series in all_of(process, kind, errors) {
        if is_full {
            (1..).find(|number| !tried.call(series, *number));
        } else {
            let count = tried.count(series);
            tried.call(series, 1 + RandomState::new().hash_one(count) % count);
        }
    }
    let Tried { runs, refused, wrong, .. } = &tried;
    tell(&format!("{process}, {kind}: {runs} runs, {refused} refused, {} wrong", wrong.len()));
    tried.is_all_right();
}

/// Around libtest's capture: these are figures.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// What was tried so far.
struct Tried {
    world: World,
    shim: Shim,
    /// Calls of a good run.
    counts: BTreeMap<Start, u64>,
    runs: u32,
    refused: u32,
    wrong: Vec<String>,
}

impl Tried {
    fn new(process: &str, shim: Shim) -> Self {
        Self { world: World::new(process), shim, counts: BTreeMap::new(), runs: 0, refused: 0, wrong: Vec::new() }
    }

    /// How many calls of the kind a good run makes.
    fn count(&mut self, series: Series) -> u64 {
        if let Some(count) = self.counts.get(&series.start) {
            return *count;
        }
        self.world.begin(series.start);
        self.shim.put_on(&mut self.world.scenario, series.fault, u64::MAX);
        assert_eq!(self.world.scenario.run_without_reading_files(&words("3")).code, Some(0));
        let (count, _) = self.shim.seen();
        assert!(count > 0, "no call is counted: {series:?}");
        self.counts.insert(series.start, count);
        count
    }

    /// Lets one call fail, and then nothing any more; whether there was such a call.
    fn call(&mut self, series: Series, number: u64) -> bool {
        let world = &mut self.world;
        world.begin(series.start);
        let before = Scenario::snapshot_of(&world.scenario.path("image"));
        self.shim.put_on(&mut world.scenario, series.fault, number);
        let run = world.scenario.run_without_reading_files(&words("3"));
        let (count, path) = self.shim.seen();
        let mut wrong = world.wrong_after(&run, series, &before);
        let said = format!("{:?} {:?}\n{}", run.code, run.signal, run.stderr);
        self.refused += u32::from(run.code != Some(0));
        Shim::take_off(&mut world.scenario);
        let next = world.scenario.run_without_reading_files(&words("3"));
        wrong.extend(world.wrong_after_next(&next));
        if !wrong.is_empty() {
            let wrong = wrong.join("\n");
            self.wrong
                .push(format!("{series:?}, call {number} of {count}, {path}\n{wrong}\n{said}then {}", next.stderr));
            // Or the next one would be as wrong.
            world.begin(Start::Nothing);
        }
        self.runs += 1;
        count >= number
    }

    fn is_all_right(&self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }
}

/// The workspace's name, and the copy of a hotfix.
#[test]
fn once_found() {
    let Some(shim) = Shim::build() else { return };
    let mut tried = Tried::new(HOTFIX, shim);
    for (start, kind, error) in [(Start::Nothing, "rename", Error::Io), (Start::OldImage, "write", Error::Interrupted)]
    {
        let fault = Fault { process: HOTFIX, kind, error, for_good: false };
        assert!(tried.call(Series { start, fault }, 1));
    }
    tried.is_all_right();
}

#[test]
fn of_the_update_tool() {
    let tool = update_tool_sim::tool_file_name();
    for kind in ["write", "rename", "open", "mkdir"] {
        go_through(tool, kind, &[Error::DiskFull, Error::Io]);
    }
}

#[test]
fn writes() {
    go_through(HOTFIX, "write", &[Error::DiskFull, Error::Io, Error::Interrupted, Error::Short]);
}

#[test]
fn fsyncs() {
    go_through(HOTFIX, "fsync", &[Error::DiskFull, Error::Io]);
}

#[test]
fn renames() {
    go_through(HOTFIX, "rename", &[Error::DiskFull, Error::Io, Error::Access, Error::Interrupted]);
}

#[test]
fn opens_for_writing() {
    go_through(HOTFIX, "open", &[Error::DiskFull, Error::Io, Error::Access, Error::Interrupted]);
}

#[test]
fn opens_for_reading() {
    go_through(HOTFIX, "read", &[Error::Io, Error::Access, Error::Interrupted]);
}

#[test]
fn folders_made() {
    go_through(HOTFIX, "mkdir", &[Error::DiskFull, Error::Io, Error::Access, Error::Interrupted]);
}

#[test]
fn files_removed() {
    go_through(HOTFIX, "unlink", &[Error::Io, Error::Access]);
}
