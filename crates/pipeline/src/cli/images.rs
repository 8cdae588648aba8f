//! `hotfix images`: the images of ours in the engine, and how to be rid of old ones.

use std::fmt;

use bytesize::ByteSize;
use clap::Subcommand;
use hotfix_docker::engine::Engine;
use hotfix_docker::reference::RepositoryRef;
use serde::Serialize;

use super::args::Cli;
use super::output;
use crate::engine_problem::needed_engine_problem;
use crate::pack::printable;
use crate::step::Step;
use crate::stock::{self, Pruning, Stocked};

/// `hotfix images`.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Show the images in the engine that hotfix has made
    List {
        /// Only of this repository; can be given many times [default: all]
        #[arg(long = "in", value_name = "REPO")]
        repositories: Vec<RepositoryRef>,
    },
    /// Remove old ones; never one that a container uses, that has names in several repositories, or that something is built on
    Prune {
        /// How many of each repository stay, those that got their names last, or that hold the latest where the engine does not know that; one without any name never does
        #[arg(long, value_name = "N")]
        keep: usize,
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Only of this repository, and of none without a name; can be given many times [default: all]
        #[arg(long = "in", value_name = "REPO")]
        repositories: Vec<RepositoryRef>,
    },
}

/// Runs the command; returns the exit code.
pub(super) async fn run(cli: &Cli, command: &ImagesCommand) -> u8 {
    let answered = async {
        let engine = Engine::connect().await?;
        match command {
            ImagesCommand::List { repositories } => {
                let images = stock::list(&engine, repositories).await?;
                Ok(output::answer(&cli.talk, &List { images, repositories }))
            }
            ImagesCommand::Prune { keep, dry_run, repositories } => {
                let pruning = stock::prune(&engine, repositories, *keep, *dry_run).await?;
                let written = output::answer(&cli.talk, &Pruned { dry_run: *dry_run, pruning: &pruning, repositories });
                Ok(if pruning.failed.is_empty() { written } else { Step::BuildImage.exit_code() })
            }
        }
    };
    answered.await.unwrap_or_else(|error| {
        let problem = needed_engine_problem(error);
        output::error(&cli.talk, &problem.chain(), problem.hint());
        Step::BuildImage.exit_code()
    })
}

#[derive(Serialize)]
#[serde(transparent)]
struct List<'a> {
    images: Vec<Stocked>,
    #[serde(skip)]
    repositories: &'a [RepositoryRef],
}

/// That there is nothing, and where.
fn none(repositories: &[RepositoryRef]) -> String {
    let places: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    let places = if places.is_empty() { String::new() } else { format!(" in {}", places.join(" or ")) };
    format!("the engine has no image that hotfix has made{places}")
}

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.images.is_empty() {
            return writeln!(f, "{}", none(self.repositories));
        }
        let titles = ["name", "product", "size", "named", "id"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(titles).chain(self.images.iter().flat_map(rows)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let [name, product, size, named] = [0, 1, 2, 3].map(width);
        for [first, second, third, fourth, last] in &rows {
            let line = format!("{first:<name$}  {second:<product$}  {third:>size$}  {fourth:<named$}  {last}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The lines on an image: one for each of its names, and everything else in the first.
fn rows(image: &Stocked) -> Vec<[String; 5]> {
    let needed = image.needed.as_ref().map(|why| format!("  ({})", printable(why))).unwrap_or_default();
    let named = image.tagged.map_or_else(|| "unknown".to_owned(), |tagged| format!("{tagged:.0}"));
    let product = printable(&format!("{} {}", image.product, image.version));
    let size = ByteSize(image.bytes).to_string();
    let mut names = image.names.iter().cloned();
    let name = names.next().unwrap_or_else(|| "(no name)".to_owned());
    let first = [name, product, size, named, format!("{}{needed}", short(&image.id))];
    let alone = |name| [name, String::new(), String::new(), String::new(), String::new()];
    std::iter::once(first).chain(names.map(alone)).collect()
}

/// As engines show ids.
fn short(id: &str) -> &str {
    let id = id.trim_start_matches("sha256:");
    id.get(..12).unwrap_or(id)
}

#[derive(Serialize)]
struct Pruned<'a> {
    dry_run: bool,
    #[serde(flatten)]
    pruning: &'a Pruning,
    #[serde(skip)]
    repositories: &'a [RepositoryRef],
}

impl fmt::Display for Pruned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |image: &Stocked| match image.names.is_empty() {
            true => format!("{} {} without a name ({})", image.product, image.version, short(&image.id)),
            false => image.names.join(", "),
        };
        let removed = if self.dry_run { "would remove" } else { "removed" };
        for image in &self.pruning.removed {
            writeln!(f, "{removed} {}", name(image))?;
        }
        for image in &self.pruning.needed {
            writeln!(f, "kept {}: {}", name(image), image.needed.as_deref().map(printable).unwrap_or_default())?;
        }
        for (image, said) in &self.pruning.failed {
            writeln!(f, "could not remove {}: {}", name(image), printable(said))?;
        }
        let Pruning { needed, kept, .. } = self.pruning;
        match (self.pruning.removed.len(), self.pruning.failed.len()) {
            (0, 0) if needed.is_empty() && *kept == 0 => writeln!(f, "{}", none(self.repositories)),
            (0, 0) => writeln!(f, "nothing to remove; {} kept as the newest", self.pruning.kept),
            (removed, _) => writeln!(f, "{removed} in all; {} kept as the newest", self.pruning.kept),
        }
    }
}
