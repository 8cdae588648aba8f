//! What every command begins with: the environments, what they run, and the ledger.

use std::path::Path;

use futures_util::StreamExt;
use hotfix_docker::reference::{ImageRef, without_password};
use hotfix_docker::repository::RawManifest;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use crate::facts::Facts;
use crate::hotfix_id::HotfixId;
use crate::images::{Image, Images};
use crate::ledger::{Act, Actor, Kind, Ledger, Move, Outcome, Place, Record};
use crate::memory::Memory;
use crate::moving::Target;
use crate::settings::{Environment, Environments, LedgerPlace};
use crate::status::Status;
use crate::{Error, Result};

/// Registries are asked for so many environments at one time.
const AT_ONCE: usize = 8;
/// Clocks that agree less than this are told of.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// The environments of a product.
#[derive(Debug)]
pub struct World {
    /// Which there are.
    pub environments: Environments,
    images: Images,
    ledger: Ledger,
}

impl World {
    /// As the file `settings` says; `ledger` is where the ledger is, where that is said elsewhere.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Setting`] of the file; [`Error::Setting`] for the ledger's place; [`Error::Registry`]
    /// where the credentials for it cannot be read.
    pub async fn open(settings: &Path, ledger: Option<&str>, memory: Memory) -> Result<Self> {
        let mut environments = Environments::read(settings)?;
        let said = ledger.map(|place| {
            LedgerPlace::parse(place, Path::new("")).map_err(|reason| Error::Setting {
                place: "command line".to_owned(),
                message: format!("invalid value '{}' for '--ledger': {reason}", without_password(place)),
                hint: "give file:PATH, or a tag in a registry".to_owned(),
            })
        });
        if let Some(said) = said.transpose()? {
            environments.ledger = said;
        }
        let ledger = Ledger::at(&environments.ledger).await?;
        Ok(Self { environments, images: Images::new(memory), ledger })
    }

    /// Which environment runs what, and which hotfixes are where; and what went wrong with those of which it is not known.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub async fn status(&self) -> Result<(Status, Vec<Error>)> {
        let (mut images, mut problems) = (Vec::new(), Vec::new());
        for (position, looked) in self.look_at_all().await.into_iter().enumerate() {
            images.push(looked.unwrap_or_else(|error| {
                problems.push((position, error));
                None
            }));
        }
        let facts = match self.facts().await {
            Ok(facts) => facts,
            // Of the same registry mostly, and nearer to what was asked.
            Err(error) => return Err(problems.into_iter().next().map_or(error, |(_, problem)| problem)),
        };
        let mut status = Status::of(&self.environments, &images, &facts);
        for (position, problem) in &problems {
            status.environments[*position].problem = Some(problem.chain().join(": "));
        }
        Ok((status, problems.into_iter().map(|(_, problem)| problem).collect()))
    }

    /// What the ledger says.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn facts(&self) -> Result<Facts> {
        self.ledger.read().await.map(Facts::new)
    }

    /// What each environment runs, in their order.
    async fn look_at_all(&self) -> Vec<Result<Option<Image>>> {
        let looks = self.environments.all().iter().map(|environment| self.images.look(&environment.image));
        futures_util::stream::iter(looks).buffered(AT_ONCE).collect().await
    }

    /// What a tag names; `None` where there is nothing.
    pub(crate) async fn look(&self, reference: &ImageRef) -> Result<Option<Image>> {
        self.images.look(reference).await
    }

    /// The images for each platform.
    pub(crate) async fn platforms(&self, reference: &ImageRef, image: &Image) -> Result<Vec<(String, Image)>> {
        self.images.platforms(reference, image).await
    }

    /// An image from outside.
    pub(crate) async fn image(&self, reference: &ImageRef) -> Result<Image> {
        self.look(reference).await?.ok_or_else(|| Error::Input {
            message: format!("there is no image {reference} in its registry"),
            hint: "check its name, and that it was pushed".to_owned(),
        })
    }

    /// What an environment runs.
    ///
    /// # Errors
    /// [`Error::Input`] where it runs nothing; [`Error::Registry`].
    pub async fn image_of(&self, environment: &Environment) -> Result<Image> {
        let found = self.images.look(&environment.image).await?;
        found.ok_or_else(|| Error::Input {
            message: format!("the environment {} runs nothing: there is no {}", environment.name, environment.image),
            hint: "push an image with that tag first, or correct it in environments.toml".to_owned(),
        })
    }

    /// That an update level holds the fix of a hotfix.
    ///
    /// # Errors
    /// [`Error::Setting`] where the level is not above that of the hotfix: it belongs to its level.
    pub fn fixed_in(&self, hotfix: &HotfixId, level: u32) -> Result<Act> {
        if level <= hotfix.level {
            return Err(Error::Setting {
                place: "command line".to_owned(),
                message: format!("level {level} cannot hold the fix of {hotfix}, which is for level {}", hotfix.level),
                hint: "give the first update level that holds it; the vendor's release notes name it".to_owned(),
            });
        }
        Ok(Act::FixedIn { hotfix: hotfix.clone(), level })
    }

    /// That a hotfix is everywhere.
    ///
    /// # Errors
    /// [`Error::Condition`] with where it is not.
    pub async fn solve(&self, hotfix: &HotfixId, reason: Option<String>) -> Result<Act> {
        let images: Vec<Option<Image>> = self.look_at_all().await.into_iter().collect::<Result<_>>()?;
        let facts = self.facts().await?;
        let lacking = Status::lacking(&self.environments, &images, &facts, hotfix);
        if lacking.is_empty() {
            return Ok(Act::Solved { hotfix: hotfix.clone(), reason });
        }
        Err(Error::Condition {
            message: format!("{hotfix} is not everywhere: {}", lacking.join("; ")),
            hint: "propagate it there (hotfix env propagate), or say which update level holds it (hotfix env fixed-in)"
                .to_owned(),
        })
    }

    /// How tests of what an environment runs went.
    ///
    /// # Errors
    /// As [`World::image_of`].
    pub async fn verify(&self, environment: &Environment, result: Outcome) -> Result<Act> {
        let digest = self.image_of(environment).await?.digest;
        Ok(Act::Verified { place: Place::of(environment), digest, result })
    }

    /// That what an environment runs may go on.
    ///
    /// # Errors
    /// As [`World::image_of`].
    pub async fn approve(&self, environment: &Environment, reason: String) -> Result<Act> {
        let digest = self.image_of(environment).await?.digest;
        Ok(Act::Approved { place: Place::of(environment), digest, reason })
    }

    /// That what an environment runs may not go on.
    ///
    /// # Errors
    /// As [`World::image_of`].
    pub async fn reject(&self, environment: &Environment, reason: String) -> Result<Act> {
        let digest = self.image_of(environment).await?.digest;
        Ok(Act::Rejected { place: Place::of(environment), digest, reason })
    }

    /// Lets an environment run the image with this manifest, written down before and after.
    pub(crate) async fn deploy(
        &self,
        target: &Target<'_>,
        manifest: &RawManifest,
        (kind, moved): (Kind, Move),
        actor: &Actor,
    ) -> Result<()> {
        self.record(actor.clone(), Act::Begun { of: kind, moved: moved.clone() }).await?;
        // All that was checked was of what it ran then.
        let now = target.current().await?;
        if now != moved.replaced && now.as_ref() != Some(&moved.digest) {
            return Err(Error::Condition {
                message: format!("{} was let run something else meanwhile", moved.place.environment),
                hint: "run the same command again: it is checked against that".to_owned(),
            });
        }
        target.deploy(manifest).await?;
        self.record(actor.clone(), kind.done(moved)).await.map(drop)
    }

    /// Writes down what a run that was stopped has done, where it did; `kind` is what is to be done now.
    pub(crate) async fn finish(
        &self,
        kind: Kind,
        (environment, digest): (&Environment, &str),
        facts: &Facts,
        actor: &Actor,
    ) -> Result<Option<Move>> {
        match facts.unfinished(environment, digest) {
            Some((begun, moved)) if begun == kind => {
                self.record(actor.clone(), kind.done(moved.clone())).await?;
                Ok(Some(moved.clone()))
            }
            _ => Ok(None),
        }
    }

    /// Writes down what was done.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub async fn record(&self, actor: Actor, act: Act) -> Result<Record> {
        let others = self.ledger.read().await?;
        let record = Record::new(actor, act, &others);
        let ahead = record.time.duration_since(Timestamp::now());
        if ahead > CLOCKS_DIFFER {
            warn!(
                "the ledger has records of {ahead:#} from now: the clock of this machine is wrong, or that of another one was"
            );
        }
        self.ledger.add(&record).await?;
        Ok(record)
    }
}
