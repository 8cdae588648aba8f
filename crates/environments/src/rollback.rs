//! Back to an image that an environment ran before.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::facts::Facts;
use crate::gates::rejection;
use crate::hotfix_id::HotfixId;
use crate::images::is_called;
use crate::ledger::{Act, Actor, Kind, Move, Outcome};
use crate::moving::Target;
use crate::settings::Environment;
use crate::status::Status;
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
    /// The version that it runs afterwards, where it is known.
    pub version: Option<String>,
    /// Hotfixes that go with what it ran before.
    pub removed: Vec<HotfixId>,
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
        let there = self.image_of(environment).await?;
        let now = there.digest.clone();
        let (facts, unfinished) = self.settle(environment, Some(&now), &actor, dry_run).await?;
        let mut rolled_back = RolledBack {
            environment: environment.name.clone(),
            digest: now.clone(),
            replaced: now.clone(),
            version: None,
            removed: Vec::new(),
            dry_run,
        };
        if let Some((Kind::RolledBack, moved)) = unfinished {
            let is_wanted = match to {
                Some(to) => is_called(&now, to),
                None => may_come_back(&facts, &now).is_ok(),
            };
            if is_wanted {
                return Ok(RolledBack { replaced: moved.replaced.unwrap_or_default(), ..rolled_back });
            }
        }
        let digest = choose(&facts, environment, to, &now)?;
        let target = Target::open(environment, &environment.image).await?;
        let gone = || Error::Input {
            message: format!("{} is no longer in {}", digest, environment.image.name()),
            hint: "give --to with another digest of 'hotfix env history'".to_owned(),
        };
        let manifest = target.manifest(&digest).await?.ok_or_else(gone)?;
        let next = self.look_by_digest(environment, &digest).await?.ok_or_else(gone)?;
        let (before, after) = (facts.holding_of(&there), facts.holding_of(&next));
        if let (Some(before), Some(after)) = (before, &after) {
            rolled_back.removed = Status::lost(&before, after, &facts);
        }
        rolled_back.version = after.map(|after| after.image_version());
        rolled_back.digest = digest.clone();
        if dry_run {
            return Ok(rolled_back);
        }
        let moved = Move::to(environment, &digest, Some(now));
        let moved = Move { removed: rolled_back.removed.clone(), ..moved };
        let check = |facts: &Facts| may_come_back(facts, &digest);
        self.deploy(&target, &manifest, (Kind::RolledBack, moved), &actor, check).await?;
        Ok(rolled_back)
    }
}

/// Whether an image was verified, and not rejected.
fn may_come_back(facts: &Facts, digest: &str) -> Result<()> {
    let last = facts.records().iter().rev().find_map(|record| match &record.act {
        Act::Verified { digest: verified, result, .. } if verified == digest => Some(*result),
        _ => None,
    });
    match (last, rejection(facts, digest)) {
        (_, Some(rejection)) => Err(refused(format!("{digest} may not come back: {rejection}"))),
        (Some(Outcome::Pass), None) => Ok(()),
        (Some(Outcome::Fail), None) => Err(refused(format!("{digest} may not come back: its tests failed"))),
        (None, None) => Err(refused(format!("{digest} was never verified"))),
    }
}

fn refused(message: String) -> Error {
    let hint = "see 'hotfix env history --env …' for what it ran, and what was verified";
    Error::Condition { message, hint: hint.to_owned() }
}

/// An image that the environment ran, that was verified and not rejected, and that is not what it runs now.
fn choose(facts: &Facts, environment: &Environment, to: Option<&str>, now: &str) -> Result<String> {
    let moves = facts.moves(environment).rev();
    let ran: Vec<&str> =
        moves.flat_map(|(_, moved)| [Some(moved.digest.as_str()), moved.replaced.as_deref()]).flatten().collect();
    let name = &environment.name;
    let Some(to) = to else {
        let left = left_behind(facts, environment);
        let is_good = |digest: &&str| *digest != now && !left.contains(digest) && may_come_back(facts, digest).is_ok();
        let found = ran.into_iter().find(is_good);
        return found.map(str::to_owned).ok_or_else(|| refused(format!("{name} ran no other image that was verified")));
    };
    let meant: BTreeSet<&str> = ran.into_iter().filter(|digest| is_called(digest, to)).collect();
    match meant.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Err(refused(format!("{name} never ran {to}, as far as the ledger says"))),
        [one] if *one == now => Err(refused(format!("{name} runs {one} already"))),
        [one] => may_come_back(facts, one).map(|()| (*one).to_owned()),
        [one, other, ..] => Err(refused(format!("{to} can mean {one} and {other}"))),
    }
}

/// Images that the environment was rolled back from, and that have not come back by another way.
fn left_behind<'a>(facts: &'a Facts, environment: &Environment) -> BTreeSet<&'a str> {
    let mut left = BTreeSet::new();
    for (record, moved) in facts.moves(environment) {
        match &record.act {
            Act::RolledBack(_) => left.extend(moved.replaced.as_deref()),
            _ => drop(left.remove(moved.digest.as_str())),
        }
    }
    left
}
