//! The ledger in a registry, which knows no "write it if nobody else has": each record is an artifact with a tag of its own,
//! which nobody else writes to, so none is ever lost. The tag of the ledger itself names all of them together, so that readers
//! need not fetch one by one; what a writer put there who did not see another's record is completed by whoever comes next.

use std::collections::BTreeSet;

use bytes::Bytes;
use hotfix_docker::auth::Credentials;
use hotfix_docker::reference::ImageRef;
use hotfix_docker::repository::{Access, Repository};
use tracing::{debug, warn};
use uuid::Uuid;

use super::record::Record;
use super::{LARGEST, from_lines, in_order, to_lines};
use crate::{Error, Result};

/// Type of the artifacts.
const KIND: &str = "application/vnd.hotfix.ledger.v1+jsonl";
/// Times that all records are put together for readers, before that is left to others.
const TRIES: usize = 3;

/// A tag in a repository, and those that begin as it does.
#[derive(Debug)]
pub struct RegistryLedger {
    reference: ImageRef,
    credentials: Credentials,
}

impl RegistryLedger {
    pub(super) fn new(reference: &ImageRef, credentials: Credentials) -> Self {
        Self { reference: reference.clone(), credentials }
    }

    pub(super) async fn read(&self) -> Result<Vec<Record>> {
        let repository = self.open(Access::Pull).await?;
        self.read_all(&repository).await.map(|all| all.records)
    }

    pub(super) async fn add(&self, record: &Record) -> Result<()> {
        let repository = self.open(Access::Push).await?;
        self.put(&repository, &self.tag_of(record.id), [record]).await?;
        // It is there; the rest is for readers' convenience.
        if let Err(error) = self.put_together(&repository, record).await {
            warn!(
                "the records of the ledger could not be put together, which the next command will try again: {error}"
            );
        }
        Ok(())
    }

    /// Lists of tags can lag behind, so that `own` need not be in them yet.
    async fn put_together(&self, repository: &Repository, own: &Record) -> Result<()> {
        for attempt in 1..=TRIES {
            let all = self.read_all(repository).await?;
            if all.together.contains(&own.id) && all.together.len() == all.records.len() {
                return Ok(());
            }
            debug!(attempt, records = all.records.len(), "the ledger is put together");
            self.put(repository, self.tag(), &in_order(all.records.into_iter().chain([own.clone()]))).await?;
        }
        Ok(())
    }

    async fn read_all(&self, repository: &Repository) -> Result<All> {
        let list = match self.records_at(repository, self.tag(), LARGEST).await {
            Err(error @ Error::Registry { .. }) => {
                warn!(
                    "the list of all records cannot be read, and is made again from them: {}",
                    error.chain().join(": ")
                );
                Err(error)
            }
            list => Ok(list?),
        };
        let tags = repository.tags().await.map_err(Error::registry("read the ledger"))?;
        let tags = match (tags, &list) {
            (Some(tags), _) => tags,
            (None, Ok(None)) => Vec::new(),
            (None, Ok(Some(_)) | Err(_)) => {
                return Err(Error::Input {
                    message: format!("the registry does not list the tags of {}", self.reference.name()),
                    hint:
                        "records of the ledger are found by their tags: allow that list, or keep the ledger in a file \
                           (--ledger file:PATH)"
                            .to_owned(),
                });
            }
        };
        let mut records = list.ok().flatten().unwrap_or_default().records;
        let together: BTreeSet<Uuid> = records.iter().map(|record| record.id).collect();
        let prefix = format!("{}-", self.tag());
        let is_new = |tag: &&String| {
            let id = tag.strip_prefix(&prefix).and_then(|id| Uuid::try_parse(id).ok());
            id.is_some_and(|id| !together.contains(&id))
        };
        let mut left = LARGEST;
        for tag in tags.iter().filter(is_new) {
            let Some(new) = self.records_at(repository, tag, left).await? else { continue };
            left = left.saturating_sub(new.bytes);
            records.extend(new.records);
        }
        Ok(All { records, together })
    }

    /// The records under a tag, of `most` bytes.
    async fn records_at(&self, repository: &Repository, tag: &str, most: u64) -> Result<Option<Found>> {
        let failed = || Error::registry(format!("read the ledger {}:{tag}", self.reference.name()));
        let Some(manifest) = repository.manifest(tag).await.map_err(failed())? else { return Ok(None) };
        let shown = format!("{}:{tag}", self.reference.name());
        let Some(content) = repository.artifact(&manifest, KIND, most).await.map_err(failed())? else {
            return Err(Error::Input {
                message: format!("{shown} is no ledger, but something else"),
                hint: "take that tag away, and the list is made again from the records, which have tags of their own"
                    .to_owned(),
            });
        };
        let records = from_lines(&shown, &String::from_utf8_lossy(&content))?;
        Ok(Some(Found { records, bytes: content.len() as u64 }))
    }

    async fn put<'a>(
        &self,
        repository: &Repository,
        tag: &str,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<()> {
        let failed = || Error::registry(format!("write to the ledger {}:{tag}", self.reference.name()));
        let content = Bytes::from(to_lines(records));
        repository.put_artifact(tag, KIND, content).await.map_err(failed()).map(drop)
    }

    async fn open(&self, access: Access) -> Result<Repository> {
        let opened = Repository::open(&self.reference, &self.credentials, access, &[]).await;
        opened.map_err(Error::registry(format!("use the ledger {}", self.reference)))
    }

    fn tag(&self) -> &str {
        self.reference.tag().unwrap_or("latest")
    }

    fn tag_of(&self, record: Uuid) -> String {
        format!("{}-{record}", self.tag())
    }
}

/// What is under one tag.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    bytes: u64,
}

/// What was read.
struct All {
    records: Vec<Record>,
    /// Those that are in the list of all.
    together: BTreeSet<Uuid>,
}
