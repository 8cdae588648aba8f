//! Unpacking a pack, against programs that unpack zips.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use update_tool_sim::Listing;
use walkdir::WalkDir;

use crate::bench::{Bench, progress, settle};
use crate::chapter::Chapter;
use crate::child;
use crate::figures::{Figures, Ratio, seconds, short};
use crate::inputs::{Backup, Shape};
use crate::rivals::Rival;
use crate::table::Table;

/// Measures it, with both packs of full size.
///
/// # Errors
/// Where one fails, or unpacks something else than the others.
pub fn measure(bench: &Bench) -> Result<Chapter> {
    let (rivals, missing) = Rival::find();
    let mut chapter = Chapter::new("Unpacking");
    chapter.text(
        "Each as a process, in turn, from a pack that is in memory onto a disk that has nothing left to write. What was unpacked \
         is removed, and the disk waited for, between the runs and outside the time. A first round is not counted.",
    );
    for line in &missing {
        progress(&format!("ABSENT {line}"));
        chapter.text(format!("**{line}**"));
    }
    let shapes = match bench.full_shape() {
        Shape::Full(_) => vec![Shape::Full(Listing::Wso2am410), Shape::Full(Listing::Wso2is710)],
        small => vec![small],
    };
    for shape in shapes {
        measure_pack(bench, shape, &rivals, &mut chapter)?;
    }
    Ok(chapter)
}

fn measure_pack(bench: &Bench, shape: Shape, rivals: &[Rival], chapter: &mut Chapter) -> Result<()> {
    progress(&format!("unpacking {}", shape.words()));
    let pack = bench.inputs.pack(shape, Backup::None)?;
    let mut ours = Figures::default();
    let mut theirs = vec![Figures::default(); rivals.len()];
    let mut expected = None;
    for round in 0..=bench.arguments.rounds {
        // Nobody is always the first.
        for turn in 0..=rivals.len() {
            let contender = (turn + round as usize) % (rivals.len() + 1);
            let rival = contender.checked_sub(1).map(|number| &rivals[number]);
            let (time, unpacked) = unpack_once(bench, &pack, rival)?;
            let name = rival.map_or("hotfix", |rival| rival.name);
            let as_others = *expected.get_or_insert(unpacked) == unpacked;
            ensure!(as_others, "{name} unpacked {unpacked:?} files and bytes, others {expected:?}");
            if round > 0 {
                contender.checked_sub(1).map_or(&mut ours, |number| &mut theirs[number]).0.push(time);
            }
        }
    }
    let (files, bytes) = expected.unwrap_or_default();
    chapter.text(format!("The pack {}:", shape.words()));
    let mut table = Table::new(["program", "median (range)", "files a second", "MB a second", "hotfix is quicker by"]);
    let mut row = |name: String, times: &Figures, ratio: String| {
        let rate = |amount: f64| times.median().map_or_else(String::new, |median| short(amount / median));
        table.row([name, times.written(seconds), rate(files as f64), rate(bytes as f64 / 1e6), ratio]);
    };
    row("hotfix".to_owned(), &ours, String::new());
    for (rival, times) in rivals.iter().zip(&theirs) {
        let name = format!("`{}`, {}", rival.shown(), rival.version);
        row(name, times, Ratio::written(Ratio::of(times, &ours)));
    }
    chapter.table(table);
    let pack_name = match shape {
        Shape::Full(listing) => listing.product(),
        Shape::Bytes(_) => "made-up",
    };
    for (name, target) in [("unzip", Some(2.0)), ("bsdtar", None), ("7z", None), ("ripunzip", Some(1.0))] {
        let times = rivals.iter().position(|rival| rival.name == name).map(|number| &theirs[number]);
        let ratio = times.and_then(|times| Ratio::of(times, &ours));
        chapter.ratio(&format!("unpacking {pack_name}, against {name}"), ratio, target);
    }
    Ok(())
}

/// By a rival, or by ourselves; returns seconds, and the number of files and bytes that came of it.
fn unpack_once(bench: &Bench, pack: &Path, rival: Option<&Rival>) -> Result<(f64, (u64, u64))> {
    let folder = bench.work().join("unpacked");
    fs::create_dir(&folder).context("cannot make a folder")?;
    settle(pack)?;
    let mut command = match rival {
        Some(rival) => rival.command(pack, &folder),
        // It unpacks the product's folder, and makes it itself.
        None => bench.hotfix.unpack_command(pack, &folder.join("product")),
    };
    let seconds = child::run(&mut command)?.seconds;
    let mut unpacked = (0, 0);
    for entry in WalkDir::new(&folder) {
        let entry = entry.context("cannot look at what was unpacked")?;
        if entry.file_type().is_file() {
            unpacked = (unpacked.0 + 1, unpacked.1 + entry.metadata()?.len());
        }
    }
    fs::remove_dir_all(&folder).context("cannot remove what was unpacked")?;
    Ok((seconds, unpacked))
}
