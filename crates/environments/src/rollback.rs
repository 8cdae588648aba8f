//! Back to an image that an environment ran before.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::facts::Facts;
use crate::gates::rejection;
use crate::ledger::{Act, Actor, Kind, Move, Outcome, Place, Record};
use crate::moving::Target;
use crate::settings::Environment;
use crate::world::World;
use crate::{Error, Result};

/// What a rollback does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The environment.
    pub environment: String,
    /// What it runs afterwards.
    pub digest: String,
    /// What it ran before.
    pub replaced: String,
    /// Whether it only would be done.
    pub dry_run: bool,
}

impl World {
    /// Lets an environment run again what it ran before: the image `to`, or the last other one; either must have been
    /// verified.
    ///
    /// # Errors
    /// [`Error::Condition`] where there is no such image; [`Error::Input`] where the registry has it no longer;
    /// [`Error::Registry`].
    pub async fn roll_back(
        &self,
        environment: &Environment,
        to: Option<&str>,
        actor: Actor,
        dry_run: bool,
    ) -> Result<RolledBack> {
        let now = self.image_of(environment).await?.digest;
        let facts = self.facts().await?;
        if !dry_run && let Some(moved) = self.finish(Kind::RolledBack, (environment, &now), &facts, &actor).await? {
            let replaced = moved.replaced.unwrap_or_default();
            return Ok(RolledBack { environment: environment.name.clone(), digest: now, replaced, dry_run });
        }
        let digest = choose(&facts, environment, to, &now)?;
        let target = Target::open(environment, &environment.image).await?;
        let Some(manifest) = target.manifest(&digest).await? else {
            return Err(Error::Input {
                message: format!("{} is no longer in {}", digest, environment.image.name()),
                hint: "give --to with another digest of 'hotfix env history'".to_owned(),
            });
        };
        let rolled_back = RolledBack {
            environment: environment.name.clone(),
            digest: digest.clone(),
            replaced: now.clone(),
            dry_run,
        };
        if dry_run {
            return Ok(rolled_back);
        }
        let moved = Move {
            place: Place::of(environment),
            from: None,
            digest,
            replaced: Some(now),
            version_tag: None,
            holds: None,
        };
        self.deploy(&target, &manifest, (Kind::RolledBack, moved), &actor).await?;
        Ok(rolled_back)
    }
}

/// An image that the environment ran, that was verified and not rejected, and that is not what it runs now.
fn choose(facts: &Facts, environment: &Environment, to: Option<&str>, now: &str) -> Result<String> {
    let records = facts.records();
    let moves = records.iter().rev().filter(|record| record.is_of(environment)).filter_map(Record::moved);
    let ran: Vec<&str> =
        moves.flat_map(|moved| [Some(moved.digest.as_str()), moved.replaced.as_deref()]).flatten().collect();
    let is_verified = |digest: &str| {
        let of_it = records.iter().rev().find_map(|record| match &record.act {
            Act::Verified { digest: verified, result, .. } if verified == digest => Some(*result),
            _ => None,
        });
        of_it == Some(Outcome::Pass)
    };
    let refused = |message: String| Error::Condition {
        message,
        hint: "see 'hotfix env history --env …' for what it ran, and what was verified".to_owned(),
    };
    let name = &environment.name;
    match to {
        Some(to) if !ran.contains(&to) => Err(refused(format!("{name} never ran {to}, as far as the ledger says"))),
        Some(to) if to == now => Err(refused(format!("{name} runs {to} already"))),
        Some(to) if !is_verified(to) => Err(refused(format!("{to} was never verified"))),
        Some(to) => match rejection(facts, to) {
            Some(rejection) => Err(refused(format!("{to} may not come back: {rejection}"))),
            None => Ok(to.to_owned()),
        },
        None => {
            let left = left_behind(records, environment);
            let is_good = |digest: &&str| {
                *digest != now && !left.contains(digest) && is_verified(digest) && rejection(facts, digest).is_none()
            };
            let found = ran.into_iter().find(is_good);
            found.map(str::to_owned).ok_or_else(|| refused(format!("{name} ran no other image that was verified")))
        }
    }
}

/// Images that the environment was rolled back from, and that have not come back by another way.
fn left_behind<'a>(records: &'a [Record], environment: &Environment) -> BTreeSet<&'a str> {
    let mut left = BTreeSet::new();
    for record in records.iter().filter(|record| record.is_of(environment)) {
        match &record.act {
            Act::RolledBack(moved) => left.extend(moved.replaced.as_deref()),
            Act::Promoted(moved) | Act::Propagated(moved) => drop(left.remove(moved.digest.as_str())),
            _ => {}
        }
    }
    left
}
