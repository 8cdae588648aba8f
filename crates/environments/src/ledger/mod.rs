//! What labels cannot say: which level holds a fix, what is solved, verified, approved, rejected, and who moved what. A list of
//! records to which is only ever added, in the registry or in a file.

mod actor;
mod file;
mod record;
mod registry;

use std::collections::BTreeMap;

use hotfix_docker::auth::credentials_for;
use tracing::debug;

use crate::settings::LedgerPlace;
use crate::{Error, Result};

pub use actor::{Actor, Declared};
pub use record::{Act, Kind, Move, Outcome, Record};

/// Where records are kept.
#[derive(Debug)]
pub enum Ledger {
    /// In a registry.
    Registry(registry::RegistryLedger),
    /// In a file.
    File(file::FileLedger),
}

impl Ledger {
    /// The ledger at `place`; there need be none yet.
    ///
    /// # Errors
    /// [`Error::Registry`] where the credentials for its registry cannot be read.
    pub async fn at(place: &LedgerPlace) -> Result<Self> {
        Ok(match place {
            LedgerPlace::File(path) => Self::File(file::FileLedger::new(path)),
            LedgerPlace::Registry(reference) => {
                let credentials =
                    credentials_for(reference.registry()).await.map_err(Error::registry("use the ledger"))?;
                Self::Registry(registry::RegistryLedger::new(reference, credentials))
            }
        })
    }

    /// All records, in the order of their times.
    ///
    /// # Errors
    /// Where it cannot be read, or holds what is no record.
    pub async fn read(&self) -> Result<Vec<Record>> {
        let records = match self {
            Self::File(file) => file.read()?,
            Self::Registry(registry) => registry.read().await?,
        };
        Ok(in_order(records))
    }

    /// Adds a record. Once this returns it is there for good, whoever writes at the same time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn add(&self, record: &Record) -> Result<()> {
        debug!(?record, "ledger");
        match self {
            Self::File(file) => file.add(record),
            Self::Registry(registry) => registry.add(record).await,
        }
    }
}

/// Each once, the oldest first.
fn in_order(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let by_time = records.into_iter().map(|record| ((record.time, record.id), record));
    by_time.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Records as text, a line each.
fn to_lines<'a>(records: impl IntoIterator<Item = &'a Record>) -> String {
    // A record is made of texts and numbers.
    records.into_iter().map(|record| serde_json::to_string(record).unwrap_or_default() + "\n").collect()
}

/// Records from lines; `shown` is where they are from.
fn from_lines(shown: &str, text: &str) -> Result<Vec<Record>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let record = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::Input {
            message: format!("{shown}:{}: not a record of the ledger: {error}", number + 1),
            hint: "records of a newer hotfix need that; a damaged line can be taken from an older copy".to_owned(),
        })
    };
    lines.map(record).collect()
}
