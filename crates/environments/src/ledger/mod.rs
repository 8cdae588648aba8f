//! What labels cannot say: which level holds a fix, what is solved, verified, approved, rejected, and who moved what. A list of
//! records to which is only ever added, in the registry or in a file.

mod actor;
mod file;
mod record;
mod registry;

use std::collections::BTreeSet;

use hotfix_docker::auth::credentials_for;
use serde_json::Value;
use tracing::debug;

use record::SCHEMA;

use crate::settings::LedgerPlace;
use crate::{Error, Result};

/// Of all records together, in bytes; one has some hundred.
const LARGEST: u64 = 64 << 20;

pub use actor::{Actor, Declared};
pub use record::{Act, Kind, Move, Outcome, Place, Record};

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
        unchanged(in_order(records))
    }

    /// Adds a record. Once this returns it is there for good, whoever writes at the same time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn add(&self, record: &Record) -> Result<()> {
        debug!(record = serde_json::to_string(record).unwrap_or_default(), "ledger");
        match self {
            Self::File(file) => file.add(record),
            Self::Registry(registry) => registry.add(record).await,
        }
    }
}

/// Each once, the oldest first.
fn in_order(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut records: Vec<Record> = records.into_iter().collect();
    records.sort_by_key(|record| (record.time, record.id));
    records.dedup();
    records
}

/// Records of which none was changed: there would be two with its id.
fn unchanged(records: Vec<Record>) -> Result<Vec<Record>> {
    let mut seen = BTreeSet::new();
    match records.iter().find(|record| !seen.insert(record.id)) {
        Some(twice) => Err(Error::Input {
            message: format!("the ledger has two records with the id {} that say different things", twice.id),
            hint: "somebody has changed one of them; restore it as it was written".to_owned(),
        }),
        None => Ok(records),
    }
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
        let place = format!("{shown}:{}", number + 1);
        let damaged = |error: serde_json::Error| Error::Input {
            message: format!("{place}: not a record of the ledger: {error}"),
            hint: "take the line from an older copy of the ledger".to_owned(),
        };
        let value: Value = serde_json::from_str(line).map_err(damaged)?;
        match value["schema"].as_u64() {
            // Gates and rejections of it would be passed over.
            Some(newer) if newer > u64::from(SCHEMA) => Err(Error::Input {
                message: format!("{place}: a record of a newer hotfix (schema {newer}; this one knows {SCHEMA})"),
                hint: "use the newer hotfix wherever this ledger is used".to_owned(),
            }),
            _ => serde_json::from_value(value).map_err(damaged),
        }
    };
    lines.map(record).collect()
}
