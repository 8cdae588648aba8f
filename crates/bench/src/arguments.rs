//! The command line of the program.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures hotfix against its rivals, side by side, and writes docs/benchmarks.md.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench")]
pub struct Arguments {
    /// What to measure; all of it unless told otherwise, and only then is docs/benchmarks.md written by default
    #[arg(value_enum)]
    pub sections: Vec<Section>,
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Where the folder for packs, caches and images is made; it needs about 15 GB [default: the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Write benchmarks.md and its plots into this folder [default: docs, where all is measured]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Sizes, in MB, of the packs that growth and memory are measured with
    #[arg(long, value_name = "MB", value_delimiter = ',', default_values_t = [60, 200, 600, 2000])]
    pub pack_sizes: Vec<u64>,
    /// Try the program out: one round, small packs, and nothing written but where --output says; the figures mean nothing
    #[arg(long)]
    pub trial: bool,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Section {
    /// The whole job, cold and warm, against the script's way
    Job,
    /// Unpacking, against unzip, bsdtar, 7z and ripunzip
    Unpack,
    /// Bytes sent to engine and registry
    Bytes,
    /// Peak memory by the pack's size
    Memory,
    /// Time by pack size, number of hotfixes, and bytes changed
    Growth,
    /// hotfix plan
    Plan,
}

impl Section {
    /// All, in the order of the page.
    pub const ALL: [Self; 6] = [Self::Job, Self::Unpack, Self::Bytes, Self::Memory, Self::Growth, Self::Plan];
}

impl Arguments {
    /// Those asked for, each once, in the order of the page.
    pub fn wanted(&self) -> Vec<Section> {
        let is_wanted = |section: &Section| self.sections.is_empty() || self.sections.contains(section);
        Section::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Where the page goes; `None`: nowhere.
    pub fn page_folder(&self) -> Option<PathBuf> {
        let whole = self.wanted().len() == Section::ALL.len() && !self.trial;
        self.output.clone().or_else(|| whole.then(|| PathBuf::from("docs")))
    }

    /// With what a trial leaves of it.
    #[must_use]
    pub fn settled(mut self) -> Self {
        if self.trial {
            self.rounds = 1;
            self.pack_sizes = vec![4, 8];
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Arguments {
        Arguments::try_parse_from(["bench"].iter().chain(words)).expect("understood").settled()
    }

    #[test]
    fn only_the_whole_of_it_is_written_without_being_asked_to() {
        assert_eq!(parsed(&[]).page_folder(), Some(PathBuf::from("docs")));
        assert_eq!(parsed(&["plan", "job"]).page_folder(), None);
        assert_eq!(parsed(&["--trial"]).page_folder(), None);
        assert_eq!(parsed(&["plan", "--output", "x"]).page_folder(), Some(PathBuf::from("x")));
    }

    #[test]
    fn sections_come_once_and_in_order() {
        assert_eq!(parsed(&["plan", "job", "plan"]).wanted(), [Section::Job, Section::Plan]);
        assert_eq!(parsed(&["--pack-sizes", "1,2"]).pack_sizes, [1, 2]);
    }
}
