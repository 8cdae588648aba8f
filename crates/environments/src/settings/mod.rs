//! `environments.toml`: which environments there are, in which order, and what it takes to get into them.

mod read;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hotfix_docker::files;
use hotfix_docker::reference::{ImageRef, without_password};

use crate::{Error, Result};

/// The tag of the ledger, beside the images of production, unless it is said to be elsewhere.
pub const LEDGER_TAG: &str = "hotfix-ledger";

/// All environments of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environments {
    /// From where work begins to where customers are.
    list: Vec<Environment>,
    /// Where it is written down what labels cannot say.
    pub ledger: LedgerPlace,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// What people call it.
    pub name: String,
    /// The tag that means what it runs.
    pub image: ImageRef,
    /// Whether customers are there.
    pub is_production: bool,
    /// The environment that it is to be the same as.
    pub synchronized_with: Option<String>,
    /// What it takes to get in.
    pub gate: Gate,
}

/// What must be true of an image before it gets into an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// It was verified where it comes from.
    pub verified: bool,
    /// It has been where it comes from for as long.
    pub soak: Duration,
    /// So many people said yes.
    pub approvals: u32,
}

/// Where the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPlace {
    /// Behind a tag of a registry.
    Registry(ImageRef),
    /// In a file, to be kept in git.
    File(PathBuf),
}

impl LedgerPlace {
    /// `file:PATH`, or a tag. Paths are from `folder`.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        match text.strip_prefix("file:") {
            Some("") => Err("expected a path after 'file:'".to_owned()),
            Some(path) if path.starts_with("~/") => {
                Err("'~' is known to shells only; give the path of the folder".to_owned())
            }
            Some(path) => Ok(Self::File(folder.join(path))),
            None => tag(text).map(Self::Registry),
        }
    }
}

/// Whether a tag is one of those of the ledger: its own, and those of its records.
pub(crate) fn is_of_ledger(reference: &ImageRef, ledger: &ImageRef) -> bool {
    let (Some(tag), Some(own)) = (reference.tag(), ledger.tag()) else { return false };
    let is_beside = (reference.registry(), reference.repository()) == (ledger.registry(), ledger.repository());
    is_beside && (tag == own || tag.strip_prefix(own).is_some_and(|rest| rest.starts_with('-')))
}

/// A name with a tag: a digest always means the same.
fn tag(text: &str) -> Result<ImageRef, String> {
    let reference: ImageRef = text.parse().map_err(|error: hotfix_docker::Error| error.to_string())?;
    match reference.digest() {
        None => Ok(reference),
        Some(_) => Err("expected a tag, not a digest, which could never mean another image".to_owned()),
    }
}

impl fmt::Display for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Environments {
    /// Whether the ledger has a tag of its own; else what is wrong.
    pub(crate) fn check_ledger(&self) -> Result<(), String> {
        let LedgerPlace::Registry(reference) = &self.ledger else { return Ok(()) };
        match self.list.iter().find(|environment| is_of_ledger(&environment.image, reference)) {
            Some(other) => Err(format!("the ledger {reference} would be what '{}' runs", other.name)),
            None => Ok(()),
        }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`Error::File`], or [`Error::Setting`] with the place in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            files::read_text(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        read::parse(&path.display().to_string(), &text, folder)
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Environment] {
        &self.list
    }

    /// The one with this name, as it was said at `place`.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is none.
    pub fn get(&self, name: &str) -> Result<&Environment> {
        let names = || self.list.iter().map(|environment| environment.name.as_str());
        self.list.iter().find(|environment| environment.name == name).ok_or_else(|| Error::Setting {
            place: "command line".to_owned(),
            message: format!("there is no environment '{}'", without_password(name)),
            hint: did_you_mean(name, names())
                .unwrap_or_else(|| format!("there are {}", names().collect::<Vec<_>>().join(", "))),
        })
    }

    /// Where customers are.
    pub fn production(&self) -> Option<&Environment> {
        self.list.iter().find(|environment| environment.is_production)
    }

    /// Those before `environment`, in order.
    pub fn before(&self, environment: &Environment) -> &[Environment] {
        let position = self.list.iter().position(|other| other.name == environment.name);
        &self.list[..position.unwrap_or(0)]
    }
}

/// `hotfix.toml:3:1`: where byte `at` of a text is; lines and characters are counted from 1.
pub fn place(shown: &str, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    format!("{shown}:{}:{}", before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The nearest of `known`, as a question.
pub(crate) fn did_you_mean<'a>(said: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = known.map(|name| (strsim::damerau_levenshtein(said, name), name));
    let (distance, name) = near.min()?;
    (distance <= 2 && distance < name.len()).then(|| format!("did you mean '{name}'?"))
}
