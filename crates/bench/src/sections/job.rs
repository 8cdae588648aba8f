//! The whole job, from pack and hotfixes to an image in the engine: cold and warm, against the script's way.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::profile;
use crate::bench::{Bench, progress, settle};
use crate::chapter::Chapter;
use crate::child;
use crate::engine::Engine;
use crate::figures::{Figures, Ratio, UNKNOWN, seconds, short};
use crate::hotfix::Applied;
use crate::inputs::Backup;
use crate::script::{ByHand, Script, remove_image};
use crate::table::Table;

/// In seconds: our own share of a warm run.
const OWN_SHARE: f64 = 0.3;
/// Bytes in each of the three hotfixes, and in those of the run before.
const BYTES_EACH: u64 = 2_000_000;
const BYTES_EACH_EARLIER: u64 = 1_000_000;

/// Why targets that are about our own work need not hold with a tool that has more work than we.
const COPIES: &str = "\
    Most of this time is the tool's, in which it copies the product three times and removes two of the copies; the targets are for the rest. How long \
    that takes depends on the file system more than on who runs the tool: see the machine, and the range of the script's times. The last copy is removed \
    by hotfix, within its own share; the script leaves it in the user's home.";

/// What a job is done with.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) engine: &'a Engine,
    pub(crate) pack: PathBuf,
    pub(crate) hotfixes: PathBuf,
    /// Other hotfixes, of a run before: they leave the product's layer in the engine, and none of what is measured.
    pub(crate) earlier: PathBuf,
    pub(crate) base: &'a str,
}

impl Case<'_> {
    /// Runs `hotfix apply`; the image gets a name of this run, which is returned.
    fn apply(&self, hotfixes: &Path, name: &str, on: [&str; 2]) -> Result<(Applied, String)> {
        let name = self.engine.name(&format!("ours:{name}"));
        settle(&self.pack)?;
        let applied = self.bench.hotfix.apply(&self.pack, hotfixes, &[on[0], on[1], "--tag", &name])?;
        Ok((applied, name))
    }

    /// On a base image: with an empty cache and an engine that has nothing of the product; then with both filled by a run
    /// that had other hotfixes. The cache stays filled.
    pub(crate) fn cold_and_warm(&self) -> Result<(Applied, Applied)> {
        let on = ["--base-image", self.base];
        self.bench.hotfix.forget()?;
        let (cold, cold_name) = self.apply(&self.hotfixes, "cold", on)?;
        self.engine.only_ours_holds(&cold_name, self.base)?;
        let (_, earlier_name) = self.apply(&self.earlier, "earlier", on)?;
        self.engine.remove(&cold_name)?;
        let (warm, warm_name) = self.apply(&self.hotfixes, "warm", on)?;
        self.engine.remove(&warm_name)?;
        self.engine.remove(&earlier_name)?;
        Ok((cold, warm))
    }

    /// On an image that holds the product, with the cache as it is.
    fn on_image(&self, hotfixes: &Path, vendor: &str) -> Result<Applied> {
        let (applied, name) = self.apply(hotfixes, "from-image", ["--from-image", vendor])?;
        self.engine.remove(&name)?;
        Ok(applied)
    }

    /// The script's way.
    pub(crate) fn by_hand(&self, script: &Script) -> Result<ByHand> {
        let name = self.engine.name("by-hand:1");
        settle(&self.pack)?;
        let by_hand = script.run(&self.pack, &self.hotfixes, self.base, &name, &self.engine.host)?;
        remove_image(self.engine, &name)?;
        Ok(by_hand)
    }
}

/// All rounds of one case.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) by_hand: Vec<ByHand>,
    pub(crate) cold_from_image: Vec<Applied>,
    pub(crate) cold_base_image: Vec<Applied>,
    pub(crate) warm_from_image: Vec<Applied>,
    pub(crate) warm_base_image: Vec<Applied>,
    /// Seconds that the engine takes to store the product's layer, from an archive that is made already.
    engine_alone: Figures,
}

/// Measures it, with an update tool that keeps no copy of the product and with one that does.
///
/// # Errors
/// Where a run fails.
pub fn measure(bench: &Bench) -> Result<Chapter> {
    let mut chapter = Chapter::new("The whole job");
    let Some(engine) = &bench.engine else {
        chapter.text("**Not measured: no engine was there.**");
        return Ok(chapter);
    };
    let shape = bench.full_shape();
    chapter.text(format!(
        "Three hotfixes of 2 MB on the pack {}, from files to a tagged image in the engine; one way after the other, \
         round by round. The script's way is `crates/bench/src/apply-hotfix-by-hand.sh`: unzip, the update tool, `docker build`. \
         Before each run the disk is waited for and the pack is read once; images are removed outside the time. What the \
         script leaves behind (the unpacked product) is removed outside its time, what hotfix unpacks within its own.",
        shape.words()
    ));
    let base = engine.base(bench.work())?;
    for backup in [Backup::None, Backup::Whole] {
        progress(&format!("the whole job, the update tool's backup: {backup:?}"));
        let case = Case {
            bench,
            engine,
            pack: bench.inputs.pack(shape, backup)?,
            hotfixes: bench.inputs.three_hotfixes(shape, BYTES_EACH)?,
            earlier: bench.inputs.three_hotfixes(shape, BYTES_EACH_EARLIER)?,
            base: &base,
        };
        let rounds = measure_case(&case)?;
        tell(&mut chapter, backup, &rounds);
    }
    Ok(chapter)
}

fn measure_case(case: &Case) -> Result<Rounds> {
    let vendor = case.engine.vendor_image(case.base, &case.pack, case.bench.work())?;
    let archive = product_archive(case)?;
    let mut rounds = Rounds::default();
    for round in case.bench.rounds() {
        progress(&format!("  round {round}: the script's way"));
        if let Some(script) = &case.bench.script {
            rounds.by_hand.push(case.by_hand(script)?);
        }
        progress(&format!("  round {round}: hotfix"));
        case.bench.hotfix.forget()?;
        rounds.cold_from_image.push(case.on_image(&case.hotfixes, &vendor)?);
        rounds.engine_alone.0.push(load(case, &archive)?);
        let (cold, warm) = case.cold_and_warm()?;
        rounds.cold_base_image.push(cold);
        rounds.warm_base_image.push(warm);
        case.on_image(&case.earlier, &vendor)?;
        rounds.warm_from_image.push(case.on_image(&case.hotfixes, &vendor)?);
    }
    case.engine.remove(&vendor)?;
    std::fs::remove_file(archive).context("cannot remove an archive")?;
    Ok(rounds)
}

fn limit_name(case: &Case) -> String {
    case.engine.name("product-alone:1")
}

/// An archive of an image with the product's layer and nothing else.
fn product_archive(case: &Case) -> Result<PathBuf> {
    let (name, archive) = (limit_name(case), case.bench.work().join("product-alone.tar"));
    let arguments = ["--through", "0", "--base-image", "scratch", "--tag", &name];
    case.bench.hotfix.apply(&case.pack, &case.hotfixes, &arguments)?;
    child::run(case.engine.docker(["save", "--output"]).arg(&archive).arg(&name))?;
    case.engine.remove(&name)?;
    Ok(archive)
}

/// Seconds that the engine takes for the archive.
fn load(case: &Case, archive: &Path) -> Result<f64> {
    settle(archive)?;
    let seconds = child::run(case.engine.docker(["load", "--quiet", "--input"]).arg(archive))?.seconds;
    case.engine.remove(&limit_name(case))?;
    Ok(seconds)
}

pub(crate) fn times(runs: &[Applied]) -> Figures {
    runs.iter().map(|run| run.seconds).collect()
}

pub(crate) fn own_shares(runs: &[Applied]) -> Figures {
    runs.iter().map(Applied::own_seconds).collect()
}

pub(crate) fn tool_times(runs: &[Applied]) -> Figures {
    runs.iter().map(Applied::tool_seconds).collect()
}

fn tell(chapter: &mut Chapter, backup: Backup, rounds: &Rounds) {
    let (words, suffix) = match backup {
        Backup::None => ("An update tool that keeps no copy of the product", ""),
        Backup::Whole => (
            "An update tool that copies the whole product at each hotfix, as the vendor's does",
            ", with a tool that copies",
        ),
    };
    chapter.text(format!("### {words}"));
    let by_hand: Figures = rounds.by_hand.iter().map(|run| run.seconds).collect();
    let mut table = Table::new([
        "way",
        "seconds, median (range)",
        "of them the tool",
        "our own share",
        "quicker than the script by",
    ]);
    let tool = by_hand_tool(&rounds.by_hand).written(seconds);
    table.row(["the script's way", &by_hand.written(seconds), &tool, "", ""]);
    let ways = [
        ("cold, `--from-image`", &rounds.cold_from_image, 2.5),
        ("cold, `--base-image`", &rounds.cold_base_image, 1.5),
        ("warm, `--base-image`", &rounds.warm_base_image, 25.0),
        ("warm, `--from-image`", &rounds.warm_from_image, 25.0),
    ];
    for (way, runs, target) in ways {
        let ratio = Ratio::of(&by_hand, &times(runs));
        let (tool, own) = (tool_times(runs), own_shares(runs));
        table.row([
            way,
            &times(runs).written(seconds),
            &tool.written(seconds),
            &own.written(seconds),
            &Ratio::written(ratio),
        ]);
        chapter.ratio(&format!("{way}{suffix}"), ratio, Some(target));
        if way.starts_with("warm") {
            chapter.at_most(&format!("our own share, {way}{suffix}"), own.median(), OWN_SHARE, seconds);
        }
    }
    table.row(["the engine alone, storing the product's layer", &rounds.engine_alone.written(seconds), "", "", ""]);
    chapter.table(table);
    chapter.text(limit(rounds));
    chapter.text(limit_of_tool(&by_hand, &rounds.by_hand));
    chapter.text(cost_of_overlay(&rounds.by_hand, &rounds.warm_base_image));
    if backup == Backup::Whole {
        chapter.text(COPIES);
    }
    chapter.text("Where the time goes, medians in seconds:");
    chapter.table(profile::of_rounds(rounds));
    if let Some(by_hand) = profile::of_script(&rounds.by_hand) {
        chapter.text("And the script's:");
        chapter.table(by_hand);
    }
}

fn by_hand_tool(runs: &[ByHand]) -> Figures {
    let tool = |run: &ByHand| run.parts.iter().find(|(name, _)| name == "update-tool").map(|(_, seconds)| *seconds);
    runs.iter().map(tool).collect()
}

/// How quick a run could be that takes no time but the tool's.
fn limit_of_tool(by_hand: &Figures, runs: &[ByHand]) -> String {
    let tool = by_hand_tool(runs);
    let ratio = Ratio::of(by_hand, &tool).map_or_else(|| UNKNOWN.to_owned(), |ratio| short(ratio.of_medians));
    format!(
        "No run can be quicker than the update tool, which takes {} of the script's time: one that took no other time would be {ratio} \
         times as quick as the script.",
        tool.written(seconds)
    )
}

/// What the tool's time has to do with us.
fn cost_of_overlay(by_hand: &[ByHand], warm: &[Applied]) -> String {
    let (theirs, ours) = (by_hand_tool(by_hand).median(), tool_times(warm).median());
    let own = own_shares(warm).median();
    let shown = |time: Option<f64>| time.map_or_else(|| UNKNOWN.to_owned(), seconds);
    let more = ours.zip(theirs).map(|(ours, theirs)| ours - theirs);
    format!(
        "In the workspace the tool takes {} in a warm run, in the script's folder {}: over a pristine product its first change to a \
         file copies that file. Were the difference counted as ours, our share of a warm run on a base image would be {}.",
        shown(ours),
        shown(theirs),
        shown(own.zip(more).map(|(own, more)| own + more))
    )
}

/// How near a cold run on a base image is to what the engine lets it be.
fn limit(rounds: &Rounds) -> String {
    let share = Ratio::of(&own_shares(&rounds.cold_base_image), &rounds.engine_alone);
    format!(
        "A cold run on a base image cannot be quicker than the engine stores the product's layer, which takes it {} \
         by `docker load` of a file that holds nothing else. Our own share of the cold run is {} times that.",
        rounds.engine_alone.written(seconds),
        share.map_or_else(|| UNKNOWN.to_owned(), |share| short(share.of_medians))
    )
}
