//! How the time grows: with the pack, with the number of hotfixes, and with the bytes that they change.

use std::path::PathBuf;

use anyhow::Result;

use super::job::{Case, own_shares, times, tool_times};
use crate::bench::{Bench, progress};
use crate::chapter::Chapter;
use crate::engine::Engine;
use crate::figures::{Figures, Ratio, seconds};
use crate::hotfix::Applied;
use crate::inputs::{Backup, Shape};
use crate::plot::{Chart, Series};
use crate::table::Table;

const MEGABYTE: u64 = 1_000_000;

/// What was measured for one value of what varies.
#[derive(Debug)]
pub struct Point {
    pub(crate) label: String,
    /// Where it is in a chart.
    x: f64,
    by_hand: Figures,
    pub(crate) cold: Vec<Applied>,
    pub(crate) warm: Vec<Applied>,
}

/// Measures it.
///
/// # Errors
/// Where a run fails.
pub fn measure(bench: &Bench) -> Result<Chapter> {
    let mut chapter = Chapter::new("Growth");
    let (Some(points), Some(engine)) = (by_size(bench)?, &bench.engine) else {
        chapter.text("**Not measured: no engine was there.**");
        return Ok(chapter);
    };
    chapter
        .text("All with `--base-image` and an update tool that keeps no copy of the product, cold and warm as above.");
    let by_size = Axis {
        file: "growth-pack-size",
        title: "Time by size of the pack",
        unit: "MB of the unpacked pack",
        first: "pack",
    };
    tell(&mut chapter, &by_size, "With the pack's size; three hotfixes of 2 MB:", points);

    let shape = if bench.arguments.trial { Shape::Bytes(8 * MEGABYTE) } else { Shape::Bytes(600 * MEGABYTE) };
    let by_count =
        Axis { file: "growth-hotfixes", title: "Time by number of hotfixes", unit: "hotfixes", first: "hotfixes" };
    let words = format!("With the number of hotfixes, of 0.1 MB each; the pack {}:", shape.words());
    let counts = [1, 10, 100].map(|count| (format!("{count}"), f64::from(count), count, MEGABYTE / 10));
    tell(&mut chapter, &by_count, &words, &vary(bench, engine, shape, counts)?);

    let by_bytes = Axis {
        file: "growth-bytes",
        title: "Time by bytes that a hotfix changes",
        unit: "MB changed",
        first: "changed",
    };
    let words = format!("With the bytes that they change; one hotfix, the pack {}:", shape.words());
    let sizes = if bench.arguments.trial { [0.1, 0.2, 0.4, 0.8] } else { [0.1, 2.0, 20.0, 200.0] };
    let sizes = sizes.map(|megabytes| (format!("{megabytes} MB"), megabytes, 1, (megabytes * 1e6) as u64));
    tell(&mut chapter, &by_bytes, &words, &vary(bench, engine, shape, sizes)?);
    Ok(chapter)
}

/// By the pack's size, with the script's way beside it; measured once. `None` without an engine.
pub(crate) fn by_size(bench: &Bench) -> Result<Option<&Vec<Point>>> {
    let Some(engine) = &bench.engine else { return Ok(None) };
    if bench.by_size.get().is_none() {
        let base = engine.base(bench.work())?;
        let sizes = bench.arguments.pack_sizes.iter();
        let points = sizes.map(|megabytes| {
            progress(&format!("a pack of {megabytes} MB"));
            let shape = Shape::Bytes(megabytes * MEGABYTE);
            let case = Case {
                bench,
                engine,
                pack: bench.inputs.pack(shape, Backup::None)?,
                hotfixes: bench.inputs.hotfixes(shape, 3, 2 * MEGABYTE)?,
                earlier: bench.inputs.hotfixes(shape, 3, MEGABYTE)?,
                base: &base,
            };
            measure_point(&case, format!("{megabytes} MB"), *megabytes as f64, true)
        });
        let points = points.collect::<Result<Vec<_>>>()?;
        let _ = bench.by_size.set(points);
    }
    Ok(bench.by_size.get())
}

/// With other hotfixes: label, place in the chart, number of hotfixes, bytes each.
fn vary<const N: usize>(
    bench: &Bench,
    engine: &Engine,
    shape: Shape,
    values: [(String, f64, u32, u64); N],
) -> Result<Vec<Point>> {
    let base = engine.base(bench.work())?;
    let pack: PathBuf = bench.inputs.pack(shape, Backup::None)?;
    let points = values.into_iter().map(|(label, x, count, bytes_each)| {
        progress(&format!("{count} hotfixes of {bytes_each} bytes"));
        let hotfixes = bench.inputs.hotfixes(shape, count, bytes_each)?;
        let earlier = bench.inputs.hotfixes(shape, 1, MEGABYTE / 2)?;
        let case = Case { bench, engine, pack: pack.clone(), hotfixes, earlier, base: &base };
        measure_point(&case, label, x, false)
    });
    points.collect()
}

fn measure_point(case: &Case, label: String, x: f64, by_hand: bool) -> Result<Point> {
    let mut point = Point { label, x, by_hand: Figures::default(), cold: Vec::new(), warm: Vec::new() };
    for _ in case.bench.rounds() {
        if let Some(script) = case.bench.script.as_ref().filter(|_| by_hand) {
            point.by_hand.0.push(case.by_hand(script)?.seconds);
        }
        let (cold, warm) = case.cold_and_warm()?;
        point.cold.push(cold);
        point.warm.push(warm);
    }
    Ok(point)
}

/// What varies.
struct Axis {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    first: &'static str,
}

fn tell(chapter: &mut Chapter, axis: &Axis, words: &str, points: &[Point]) {
    chapter.text(words);
    let with_script = points.iter().any(|point| !point.by_hand.0.is_empty());
    let mut titles = vec![axis.first, "cold", "warm", "warm, the tool", "warm, our own share"];
    if with_script {
        titles.extend(["the script's way", "cold is quicker by", "warm is quicker by"]);
    }
    let mut table = Table::new(titles);
    for point in points {
        let (cold, warm) = (times(&point.cold), times(&point.warm));
        let mut cells = vec![point.label.clone()];
        let figures = [&cold, &warm, &tool_times(&point.warm), &own_shares(&point.warm)];
        cells.extend(figures.map(|figures| figures.written(seconds)));
        if with_script {
            cells.push(point.by_hand.written(seconds));
            cells.extend([&cold, &warm].map(|ours| Ratio::written(Ratio::of(&point.by_hand, ours))));
        }
        table.row(cells);
    }
    chapter.table(table);
    let series = |name, value: fn(&Point) -> Figures| Series {
        name,
        points: points.iter().filter_map(|point| Some((point.x, value(point).median()?))).collect(),
    };
    let mut all = vec![
        series("cold", |point| times(&point.cold)),
        series("warm", |point| times(&point.warm)),
        series("warm, our own share", |point| own_shares(&point.warm)),
    ];
    if with_script {
        all.insert(0, series("the script's way", |point| point.by_hand.clone()));
    }
    chapter.chart(Chart { file: axis.file, title: axis.title, x: axis.unit, series: all });
}
