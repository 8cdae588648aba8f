//! Files of the product that are written and read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hotfix_bench::engine::Engine;
use serde_json::Value;
use update_tool_sim::samples::sample_hotfixes;
use update_tool_sim::{HotfixBuilder, PackBuilder, ToolBehaviour};

use crate::support::{World, engine, skip};
use crate::trace::{self, Opened, Trace};

const PRODUCT: &str = "wso2am";
const VERSION: &str = "4.1.0";
/// Beside the filler, so that there are a few hundred.
const SMALL_FILES: usize = 300;

/// A pack and hotfixes, and a base image to put them on.
struct Job {
    world: World,
    engine: Engine,
    base: String,
    pack: PathBuf,
    hotfixes: PathBuf,
    earlier: PathBuf,
}

impl Job {
    /// `None`, and the test is skipped, where something is missing.
    fn new() -> Option<Self> {
        let engine = engine()?;
        if !trace::is_there() {
            skip("no strace is here, or it may not be used (Debian: strace)");
            return None;
        }
        let world = World::new(Some(engine.host.clone()));
        let tool = ToolBehaviour { backup: false, ..ToolBehaviour::default() };
        let mut pack = PackBuilder::new(PRODUCT, VERSION).level(10).tool(tool).filler(8_000_000);
        for number in 0..SMALL_FILES {
            let path = format!("repository/deployment/server/webapps/publisher/site/part-{number}.js");
            pack = pack.file(&path, format!("export const part = {number};\n"));
        }
        let pack = pack.write_to(world.path("packs"));
        let (hotfixes, earlier) = (world.path("hotfixes"), world.path("earlier"));
        sample_hotfixes(&hotfixes, PRODUCT, VERSION, 10);
        HotfixBuilder::new(PRODUCT, VERSION, 10, 1).replace("bin/README.txt", "earlier\n").write_to(&earlier);
        let base = engine.base(world.folder()).expect("a base image");
        Some(Self { world, engine, base, pack, hotfixes, earlier })
    }

    /// Runs `hotfix apply`, traced, and returns the report too.
    fn apply(&self, hotfixes: &Path, name: &str) -> (Trace, Value) {
        let report = self.world.path(&format!("report-{name}"));
        let tag = self.engine.name(&format!("ours:{name}"));
        let mut command = self.world.hotfix.command(["apply".as_ref(), self.pack.as_os_str(), hotfixes.as_os_str()]);
        command.args(["--base-image", &self.base, "--tag", &tag, "--report"]).arg(&report);
        let trace = Trace::of(&command, &self.world.path("trace"));
        let report = fs::read(report.join("report.json")).expect("a report");
        (trace, serde_json::from_slice(&report).expect("JSON"))
    }

    /// Paths of all files in the pack, from the product's folder.
    fn files(&self) -> BTreeSet<String> {
        let pack = hotfix_pipeline::pack::ProductPack::open(&self.pack, u64::MAX).expect("a pack");
        let is_file =
            |node: &hotfix_pipeline::pack::Node| matches!(node.kind, hotfix_pipeline::pack::NodeKind::File { .. });
        pack.nodes.iter().filter(|(_, node)| is_file(node)).map(|(path, _)| path.clone()).collect()
    }
}

/// Paths that the hotfixes changed, added or removed.
fn changed(report: &Value) -> BTreeSet<String> {
    let hotfixes = report["hotfixes"].as_array().into_iter().flatten();
    let kinds = hotfixes.flat_map(|hotfix| ["changed", "added", "removed"].map(|kind| &hotfix["files"][kind]));
    let paths = kinds.flat_map(|paths| paths.as_array().into_iter().flatten());
    paths.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the update tool is told by, and itself.
fn tells_the_tool(path: &str) -> bool {
    path.starts_with("updates/") || path.starts_with("bin/wso2update_")
}

fn ours_to(write: bool) -> impl Fn(&Opened) -> bool {
    move |opened| !opened.by_tool && opened.to_write == write
}

#[test]
fn a_cold_run_writes_each_file_once_and_reads_none_twice() {
    let Some(job) = Job::new() else { return };
    let (trace, report) = job.apply(&job.hotfixes, "cold");
    let files = job.files();
    assert!(files.len() > SMALL_FILES, "{} files", files.len());
    let written = trace.product_files(&files, ours_to(true));
    let not_once: Vec<_> = files.iter().filter(|path| written.get(*path) != Some(&1)).collect();
    assert!(
        not_once.is_empty(),
        "{} of {} files were not written once: {:?} …",
        not_once.len(),
        files.len(),
        not_once[0]
    );

    let changed = changed(&report);
    let read = trace.product_files(&files, ours_to(false));
    let twice: Vec<_> =
        read.iter().filter(|(path, times)| **times > 1 && !changed.contains(*path) && !tells_the_tool(path)).collect();
    assert!(twice.is_empty(), "{} files were read more than once: {:?} …", twice.len(), twice[0]);
}

#[test]
fn a_warm_run_writes_and_reads_only_what_the_hotfixes_changed() {
    let Some(job) = Job::new() else { return };
    // The checksum of a pack that has just been written is not kept: it could change within the same tick of the clock.
    std::thread::sleep(std::time::Duration::from_secs(3));
    job.apply(&job.earlier, "earlier");
    let (trace, report) = job.apply(&job.hotfixes, "warm");
    let (files, changed) = (job.files(), changed(&report));
    assert!(changed.contains("bin/README.txt"), "{changed:?}");
    for (to_write, done) in [(true, "written"), (false, "read")] {
        // By the tool too, where it writes: it must find nothing that makes it.
        let wanted = |opened: &Opened| opened.to_write == to_write && (to_write || !opened.by_tool);
        let touched = trace.product_files(&files, wanted);
        let others: Vec<_> = touched.keys().filter(|path| !changed.contains(*path) && !tells_the_tool(path)).collect();
        assert!(others.is_empty(), "{} files were {done} that no hotfix changed: {:?} …", others.len(), others[0]);
    }
    let pack_bytes = fs::metadata(&job.pack).expect("there").len();
    let read = trace.bytes_read(&job.pack);
    assert!(read < pack_bytes / 10, "{read} of the {pack_bytes} bytes of the pack were read");
}
