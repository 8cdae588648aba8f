//! What every command begins with: the environments, what they run, and the ledger.

use std::path::Path;

use futures_util::StreamExt;
use hotfix_docker::reference::{ImageRef, without_password};
use hotfix_docker::repository::RawManifest;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use crate::facts::Facts;
use crate::hotfix_id::{HotfixId, Level};
use crate::images::{Image, Images, is_called};
use crate::ledger::{Act, Actor, Kind, Ledger, Move, Outcome, Place, Record};
use crate::memory::Memory;
use crate::moving::Target;
use crate::settings::{Environment, Environments, LedgerPlace};
use crate::status::Status;
use crate::{Error, Result};

/// Registries are asked for so many environments at one time.
const AT_ONCE: usize = 8;
/// Clocks that agree less than this are told of.
pub(crate) const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

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
                place: "--ledger".to_owned(),
                message: format!("invalid value '{}' for '--ledger': {reason}", without_password(place)),
                hint: "give file:PATH, or a tag in a registry".to_owned(),
            })
        });
        if let Some(said) = said.transpose()? {
            environments.ledger = said;
            environments.check_ledger().map_err(|message| Error::Setting {
                place: "--ledger".to_owned(),
                message,
                hint: "give the ledger a tag of its own".to_owned(),
            })?;
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
        let mut without_ledger = None;
        let facts = self.facts().await.unwrap_or_else(|error| {
            without_ledger = Some(error);
            Facts::default()
        });
        let mut status = Status::of(&self.environments, &images, &facts);
        for (position, problem) in &problems {
            status.environments[*position].problem = Some(problem.chain().join(": "));
        }
        let mut problems: Vec<Error> = problems.into_iter().map(|(_, problem)| problem).collect();
        if let Some(error) = without_ledger {
            status.notes.push(
                "the ledger cannot be read: what is solved, fixed in a level or rejected is not known".to_owned(),
            );
            // Mostly that of an image is of the same registry.
            problems = if problems.is_empty() { vec![error] } else { problems };
        }
        Ok((status, problems))
    }

    /// What the ledger says.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn facts(&self) -> Result<Facts> {
        let records = self.ledger.read().await?;
        if records.is_empty() {
            // Another one than usual would not know what was rejected.
            warn!("there is nothing in the ledger {}", self.environments.ledger);
        }
        Ok(Facts::new(records))
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

    /// An image in the repository of an environment, whatever its tags name.
    pub(crate) async fn look_by_digest(&self, environment: &Environment, digest: &str) -> Result<Option<Image>> {
        let name = format!("{}@{digest}", environment.image.name());
        self.look(&name.parse().map_err(Error::registry(format!("look at {name}")))?).await
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

    /// That an update level, of its own version or of a later one, holds the fix of a hotfix.
    ///
    /// # Errors
    /// [`Error::Setting`] where the level is not above that of the hotfix: it belongs to its level.
    pub async fn fixed_in(&self, hotfix: &HotfixId, level: &Level) -> Result<Act> {
        let version = level.version.clone().filter(|version| *version != hotfix.version);
        if version.is_none() && level.level <= hotfix.level {
            return Err(Error::Setting {
                place: "command line".to_owned(),
                message: format!("level {level} cannot hold the fix of {hotfix}, which is for level {}", hotfix.level),
                hint: "give the first update level that holds it; the vendor's release notes name it".to_owned(),
            });
        }
        let images = self.look_at_all().await.into_iter().filter_map(|looked| looked.ok().flatten());
        let mut holdings = images.filter_map(|image| image.holding());
        if !holdings.any(|holding| holding.has(hotfix)) {
            warn!("no environment holds {hotfix}: see that it is called so");
        }
        Ok(Act::FixedIn { hotfix: hotfix.clone(), level: level.level, version })
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

    /// How tests of what an environment runs went; `expected` is what was tested, where that is known.
    ///
    /// # Errors
    /// As [`World::image_of`]; [`Error::Condition`] where it runs something else now.
    pub async fn verify(&self, environment: &Environment, expected: Option<&str>, result: Outcome) -> Result<Act> {
        let digest = self.runs(environment, expected).await?;
        Ok(Act::Verified { place: Place::of(environment), digest, result })
    }

    /// That what an environment runs may go on.
    ///
    /// # Errors
    /// As [`World::verify`].
    pub async fn approve(&self, environment: &Environment, expected: Option<&str>, reason: String) -> Result<Act> {
        let digest = self.runs(environment, expected).await?;
        Ok(Act::Approved { place: Place::of(environment), digest, reason })
    }

    /// That what an environment runs may not go on.
    ///
    /// # Errors
    /// As [`World::verify`].
    pub async fn reject(&self, environment: &Environment, expected: Option<&str>, reason: String) -> Result<Act> {
        let digest = self.runs(environment, expected).await?;
        Ok(Act::Rejected { place: Place::of(environment), digest, reason })
    }

    /// The digest of what an environment runs, where that is what is `expected`.
    async fn runs(&self, environment: &Environment, expected: Option<&str>) -> Result<String> {
        let digest = self.image_of(environment).await?.digest;
        match expected {
            Some(expected) if !is_called(&digest, expected) => Err(Error::Condition {
                message: format!("{} runs {digest} now, not {expected}", environment.name),
                hint: "nothing was written down: look at what it runs now, and give that digest".to_owned(),
            }),
            _ => Ok(digest),
        }
    }

    /// Lets an environment run the image with this manifest, written down before and after. `check` is asked once more just
    /// before: what takes minutes to copy can be rejected meanwhile.
    pub(crate) async fn deploy(
        &self,
        target: &Target<'_>,
        manifest: &RawManifest,
        (kind, moved): (Kind, Move),
        actor: &Actor,
        check: impl Fn(&Facts) -> Result<()>,
    ) -> Result<()> {
        self.record(actor.clone(), Act::Begun { of: kind, moved: moved.clone() }).await?;
        check(&self.facts().await?)?;
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

    /// What the ledger says of an environment that runs `now`. What a run that was stopped has done and not written down is
    /// written down by this, unless for a dry run, and given back.
    pub(crate) async fn settle(
        &self,
        environment: &Environment,
        now: Option<&str>,
        actor: &Actor,
        dry_run: bool,
    ) -> Result<(Facts, Option<(Kind, Move)>)> {
        let facts = self.facts().await?;
        let unfinished = now.and_then(|digest| facts.unfinished(environment, digest));
        let Some((kind, moved)) = unfinished.map(|(kind, moved)| (kind, moved.clone())) else {
            return Ok((facts, None));
        };
        let done = kind.done(moved.clone());
        let record = match dry_run {
            true => Record::new(actor.clone(), done, facts.records()),
            false => self.record(actor.clone(), done).await?,
        };
        Ok((facts.with(record), Some((kind, moved))))
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
            let ahead = SignedDuration::from_secs(ahead.as_secs());
            warn!(
                "the ledger has records of {ahead:#} from now: the clock of this machine is wrong, or that of another one was"
            );
        }
        self.ledger.add(&record).await?;
        Ok(record)
    }
}
