//! `hotfix plan`, which must not be waited for.

use anyhow::Result;

use crate::bench::{Bench, settle};
use crate::chapter::Chapter;
use crate::figures::{Figures, milliseconds};
use crate::inputs::Backup;
use crate::table::Table;

const RUNS: usize = 20;
/// In seconds.
const BOUND: f64 = 0.050;

/// Measures it.
///
/// # Errors
/// Where it fails.
pub fn measure(bench: &Bench) -> Result<Chapter> {
    let shape = bench.full_shape();
    let pack = bench.inputs.pack(shape, Backup::None)?;
    let hotfixes = bench.inputs.three_hotfixes(shape, 2_000_000)?;
    settle(&pack)?;
    // The first one reads the executable.
    bench.hotfix.plan(&pack, &hotfixes)?;
    let times: Vec<f64> = (0..RUNS).map(|_| bench.hotfix.plan(&pack, &hotfixes)).collect::<Result<_>>()?;
    let times = Figures(times);

    let mut chapter = Chapter::new("Plan");
    chapter.text(format!("`hotfix plan PACK HOTFIX_DIR` as a process, {RUNS} times, on the pack {}.", shape.words()));
    let mut table = Table::new(["what", "median (range)"]);
    table.row(["plan".to_owned(), times.written(milliseconds)]);
    chapter.table(table);
    chapter.at_most("`plan` on the full pack", times.median(), BOUND, milliseconds);
    Ok(chapter)
}
