//! The page: `benchmarks.md`, with its plots in a folder beside it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::chapter::{Chapter, Part};
use crate::machine;
use crate::plot;
use crate::table::Table;

const FOLDER: &str = "benchmarks";
const RATIOS: &str = "ratios";

/// All that was measured.
#[derive(Debug)]
pub struct Page {
    chapters: Vec<Chapter>,
    machine: Table,
    repeat: String,
}

impl Page {
    /// Of these chapters, measured by `bench`.
    pub fn new(bench: &Bench, chapters: Vec<Chapter>) -> Self {
        let machine = machine::table(bench.work(), bench.engine.as_ref());
        Self { chapters, machine, repeat: repeat(bench) }
    }

    /// A chapter as it is printed.
    pub fn text_of(chapter: &Chapter) -> String {
        let mut text = format!("## {}\n", chapter.title);
        for part in &chapter.parts {
            let _ = match part {
                Part::Text(words) => write!(text, "\n{words}\n"),
                Part::Table(table) => write!(text, "\n{table}"),
                Part::Chart(chart) => write!(text, "\n![{}]({FOLDER}/{}.svg)\n", chart.title, chart.file),
            };
        }
        text
    }

    /// The targets, with what was measured.
    pub fn summary(&self) -> String {
        let mut table = Table::new(["what", "to reach", "measured", ""]);
        for target in self.chapters.iter().flat_map(|chapter| &chapter.targets) {
            table.row([target.what.as_str(), &target.bound, &target.measured, target.verdict()]);
        }
        table.to_string()
    }

    /// Writes page and plots into `folder`.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let plots = folder.join(FOLDER);
        fs::create_dir_all(&plots).with_context(|| format!("cannot make {}", plots.display()))?;
        let bars: Vec<_> = self.chapters.iter().flat_map(|chapter| chapter.bars.clone()).collect();
        let mut files = Vec::new();
        if !bars.is_empty() {
            files.push((RATIOS, plot::bars("Times as quick as the other way", &bars)?));
        }
        for part in self.chapters.iter().flat_map(|chapter| &chapter.parts) {
            if let Part::Chart(chart) = part {
                files.push((chart.file, plot::lines(chart)?));
            }
        }
        for (name, svg) in &files {
            let path = plots.join(format!("{name}.svg"));
            fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let path = folder.join("benchmarks.md");
        fs::write(&path, self.text(!bars.is_empty())).with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self, with_bars: bool) -> String {
        let mut text = "\
# Benchmarks

Written by `just bench`, which measured all of it in one go. Ratios are of medians, in brackets the least and the most of any round; a target
holds or does not hold by the median (by the most, for memory). Only what stands in one table took turns: the same program can take
another time in another chapter, since disks remember what was removed before.
"
        .to_owned();
        let _ = write!(text, "\n## Targets\n\n{}", self.summary());
        if with_bars {
            let _ = write!(text, "\n![Times as quick as the other way]({FOLDER}/{RATIOS}.svg)\n");
        }
        let _ = write!(text, "\n## The machine\n\n{}", self.machine);
        let _ = write!(text, "\n## To repeat it\n\n{}", self.repeat);
        for chapter in &self.chapters {
            let _ = write!(text, "\n{}", Self::text_of(chapter));
        }
        text
    }
}

fn repeat(bench: &Bench) -> String {
    let rounds = bench.arguments.rounds;
    let sizes = bench.arguments.pack_sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let trial = if bench.arguments.trial { " --trial" } else { "" };
    format!(
        "    just bench-rivals    # unzip, bsdtar, 7z, docker-registry, busybox; as root\n    \
             just bench --rounds {rounds} --pack-sizes {sizes}{trial}\n\n\
         Without `just`: `bash ci/bench-services` and `cargo run --release --locked -p hotfix-bench --bin bench -- …`. A part of it: \
         `just bench unpack`, `job`, `bytes`, `memory`, `growth`, `plan`; that prints, and writes this page only with `--output docs`.\n"
    )
}
