//! Peak memory, whatever the pack's size.

use anyhow::Result;

use super::growth::{Point, by_size};
use crate::bench::Bench;
use crate::chapter::Chapter;
use crate::figures::{Figures, mebibytes};
use crate::hotfix::Applied;
use crate::table::Table;

/// In bytes.
const BOUND: f64 = 64.0 * 1024.0 * 1024.0;

/// Measures it.
///
/// # Errors
/// Where a run fails.
pub fn measure(bench: &Bench) -> Result<Chapter> {
    let mut chapter = Chapter::new("Peak memory");
    let Some(points) = by_size(bench)? else {
        chapter.text("**Not measured: no engine was there.**");
        return Ok(chapter);
    };
    chapter.text(
        "The most memory that the process of hotfix had in use (`VmHWM`), the update tool not counted; three hotfixes of 2 MB on \
         a base image.",
    );
    let mut table = Table::new(["pack", "cold", "warm"]);
    let peaks = |runs: &[Applied]| runs.iter().map(|run| run.peak_bytes as f64).collect::<Figures>();
    for point in points {
        let cells = [&point.cold, &point.warm].map(|runs| peaks(runs).written(mebibytes));
        table.row([point.label.clone()].into_iter().chain(cells));
    }
    chapter.table(table);
    let runs = |point: &Point| point.cold.iter().chain(&point.warm).cloned().collect::<Vec<_>>();
    let all: Vec<Applied> = points.iter().flat_map(runs).collect();
    chapter.at_most("peak memory, any pack size", peaks(&all).most(), BOUND, mebibytes);
    Ok(chapter)
}
