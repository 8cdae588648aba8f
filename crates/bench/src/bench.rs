//! What all sections share: the folder that everything is in, inputs, engine, and `hotfix` itself.

use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;
use update_tool_sim::Listing;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::hotfix::Hotfix;
use crate::inputs::{Inputs, Shape};
use crate::script::Script;
use crate::sections::growth::Point;

/// Everything that is needed to measure. Images go on drop, then the folder.
#[derive(Debug)]
pub struct Bench {
    /// What was asked for.
    pub arguments: Arguments,
    /// Packs and hotfixes.
    pub inputs: Inputs,
    /// Our own command.
    pub hotfix: Hotfix,
    /// The engine, where there is one.
    pub engine: Option<Engine>,
    /// The script's way, where it can be gone.
    pub script: Option<Script>,
    /// Measured once, for two sections.
    pub(crate) by_size: OnceCell<Vec<Point>>,
    work: TempDir,
}

impl Bench {
    /// Makes the folder, and looks for engine and rivals; what is missing is said.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(arguments: Arguments) -> Result<Self> {
        let parent = arguments.work.clone().unwrap_or_else(std::env::temp_dir);
        let parent = parent.canonicalize().with_context(|| format!("there is no folder {}", parent.display()))?;
        let work =
            tempfile::Builder::new().prefix("hotfix-bench-").tempdir_in(parent).context("cannot make a folder")?;
        let engine = loudly("without an engine only packs are measured", Engine::find());
        let script = loudly("the script's way is not measured", Script::new(&work.path().join("script")));
        let executable = std::env::current_exe().context("cannot find the own executable")?;
        let host = engine.as_ref().map(|engine| engine.host.clone());
        Ok(Self {
            inputs: Inputs::new(&work.path().join("inputs"))?,
            hotfix: Hotfix::new(&executable, work.path(), host)?,
            engine,
            script,
            by_size: OnceCell::new(),
            work,
            arguments,
        })
    }

    /// The folder that everything is in.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// A new folder of that name in it.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work().join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// What the pack of full size is.
    pub fn full_shape(&self) -> Shape {
        if self.arguments.trial { Shape::Bytes(12_000_000) } else { Shape::Full(Listing::Wso2am410) }
    }

    /// Numbers of the rounds, from 1.
    pub fn rounds(&self) -> std::ops::RangeInclusive<u32> {
        1..=self.arguments.rounds
    }
}

/// The value, or a line on stderr that says what is not measured, and why.
fn loudly<T>(otherwise: &str, found: Result<T>) -> Option<T> {
    found.map_err(|error| progress(&format!("ABSENT {error:#}: {otherwise}"))).ok()
}

/// Says on stderr what is being done.
#[allow(clippy::print_stderr)] // Some of it takes minutes.
pub fn progress(what: &str) {
    eprintln!("{what}");
}

/// Before something is timed: what was written before is on disk, and the pack is in memory, whoever's turn it is.
///
/// # Errors
/// Where the pack cannot be read.
pub fn settle(pack: &Path) -> Result<()> {
    rustix::fs::sync();
    let mut file = File::open(pack).with_context(|| format!("cannot read {}", pack.display()))?;
    io::copy(&mut file, &mut io::sink()).context("cannot read the pack")?;
    Ok(())
}
