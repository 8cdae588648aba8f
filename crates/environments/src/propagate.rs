//! Hotfixes travel backwards, from where they were made to where the next release is: or that would bring the defect back.

use bytes::Bytes;
use hotfix_docker::reference::ImageRef;
use serde::Serialize;

use crate::facts::Facts;
use crate::gates::rejection;
use crate::graft::{Graft, graft};
use crate::hotfix_id::HotfixId;
use crate::images::Image;
use crate::labels::Holding;
use crate::ledger::{Actor, Kind, Move};
use crate::moving::{SealedImage, Target};
use crate::settings::Environment;
use crate::show::short;
use crate::status::Status;
use crate::world::World;
use crate::{Error, Result};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Propagation<'a> {
    /// The environment that has the hotfixes.
    pub from: &'a Environment,
    /// Those that are to get them.
    pub to: Vec<&'a Environment>,
    /// Only so many of them.
    pub through: Option<u32>,
}

/// What a propagation does, or did, for one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Propagated {
    /// The environment.
    pub environment: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The hotfixes that it lacked.
    pub hotfixes: Vec<HotfixId>,
    /// What it runs afterwards.
    pub digest: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It has the hotfixes now.
    Done,
    /// It would have them.
    Possible,
    /// It has them already.
    Unchanged,
    /// They cannot be put there; why, and what to do.
    Impossible(String),
    /// It was tried, and went wrong.
    Failed(String),
}

impl World {
    /// Puts hotfixes on what other environments run, or with `dry_run` says what would be done; and what went wrong with those where
    /// something did, which is no failure of the others.
    ///
    /// # Errors
    /// [`Error::Condition`] where there are no hotfixes to propagate; [`Error::Input`]; [`Error::Registry`].
    pub async fn propagate(
        &self,
        asked: &Propagation<'_>,
        actor: &Actor,
        dry_run: bool,
    ) -> Result<(Vec<Propagated>, Vec<Error>)> {
        let before = self.environments.before(asked.from);
        if let Some(other) = asked.to.iter().find(|to| before.iter().all(|earlier| earlier.name != to.name)) {
            return Err(Error::Setting {
                place: "command line".to_owned(),
                message: format!("{} is not before {}", other.name, asked.from.name),
                hint: "hotfixes are propagated backwards; forwards goes 'hotfix env promote', with its gates"
                    .to_owned(),
            });
        }
        if let Some(production) = asked.to.iter().find(|to| to.is_production) {
            let message = format!("{} is production, and hotfixes are not propagated into it", production.name);
            let hint = "promote an image to it, by its gate: hotfix env promote".to_owned();
            return Err(Error::Condition { message, hint });
        }
        let newest = self.image_of(asked.from).await?;
        let Some(all) = newest.holding().filter(|holding| !holding.applied.is_empty()) else {
            let message = format!("{} has no hotfixes that hotfix applied", asked.from.name);
            return Err(Error::Condition { message, hint: "give --from with an environment that has some".to_owned() });
        };
        let (source, image) = self.with_first(asked, newest, &all).await?;
        let facts = self.facts().await?;
        if let Some(rejection) = rejection(&facts, &image.digest) {
            let message = format!("the hotfixes of {} may not go anywhere: {rejection}", asked.from.name);
            return Err(Error::Condition { message, hint: "'hotfix env approve' takes that back".to_owned() });
        }
        let (mut done, mut problems) = (Vec::new(), Vec::new());
        for environment in &asked.to {
            let way = Way { world: self, from: asked.from, source: &source, image: &image, actor, dry_run };
            done.push(way.go(environment).await.unwrap_or_else(|problem| {
                let outcome = Outcome::Failed(problem.chain().join(": "));
                problems.push(problem);
                Propagated { environment: environment.name.clone(), outcome, hotfixes: Vec::new(), digest: None }
            }));
        }
        Ok((done, problems))
    }

    /// The image with the first hotfixes only, as its version's tag beside the newest says.
    async fn with_first(&self, asked: &Propagation<'_>, newest: Image, all: &Holding) -> Result<(ImageRef, Image)> {
        let reference = asked.from.image.clone();
        let Some(through) = asked.through.filter(|through| *through as usize != all.applied.len()) else {
            return Ok((reference, newest));
        };
        let refused = |message: String| Error::Condition {
            message,
            hint:
                "without --through all hotfixes are propagated; an image with fewer is made by 'hotfix apply --through'"
                    .to_owned(),
        };
        let Some(first) = all.applied.get(..through as usize).filter(|first| !first.is_empty()) else {
            return Err(refused(format!("{} has {} hotfixes, not {through}", asked.from.name, all.applied.len())));
        };
        let wanted = Holding { applied: first.to_vec(), ..all.clone() };
        let name = format!("{}:{}", reference.name(), wanted.image_version());
        let found: Option<ImageRef> = name.parse().ok();
        let found = match found {
            Some(tag) => self.look(&tag).await?.map(|image| (tag, image)),
            None => None,
        };
        let is_wanted = |image: &Image| image.holding().as_ref() == Some(&wanted);
        match found {
            Some((tag, image)) if is_wanted(&image) => Ok((tag, image)),
            found => {
                let is_there = if found.is_some() { " is another one" } else { " is not there" };
                let what = format!("there is no image with the first {through} hotfixes of {}", asked.from.name);
                Err(refused(format!("{what}: {name}{is_there}")))
            }
        }
    }
}

/// From one image to one environment.
struct Way<'a> {
    world: &'a World,
    from: &'a Environment,
    source: &'a ImageRef,
    image: &'a Image,
    actor: &'a Actor,
    dry_run: bool,
}

impl Way<'_> {
    async fn go(&self, environment: &Environment) -> Result<Propagated> {
        let ended = |outcome, hotfixes, digest| {
            Ok(Propagated { environment: environment.name.clone(), outcome, hotfixes, digest })
        };
        let Some(brings) = self.image.holding() else { return ended(Outcome::Unchanged, Vec::new(), None) };
        let Some(there) = self.world.look(&environment.image).await? else {
            let reason = format!("it runs nothing: there is no {}", environment.image);
            return ended(Outcome::Impossible(reason), Vec::new(), None);
        };
        let Some(holds) = there.holding() else {
            let reason = "its image was not made by hotfix; make one with 'hotfix apply'".to_owned();
            return ended(Outcome::Impossible(reason), Vec::new(), Some(there.digest));
        };
        let settled = self.world.settle(environment, Some(&there.digest), self.actor, self.dry_run).await?;
        let (facts, unfinished) = settled;
        let lacking = Status::lost(&brings, &holds, &facts);
        if lacking.is_empty() {
            let is_finished = matches!(unfinished, Some((Kind::Propagated, _)));
            let outcome = if is_finished { Outcome::Done } else { Outcome::Unchanged };
            return ended(outcome, lacking, Some(there.digest));
        }
        let grafted = fits(&holds, &brings).and_then(|()| graft(&there, self.image));
        let grafted = match grafted {
            Ok(grafted) => grafted,
            Err(reason) => return ended(Outcome::Impossible(reason), lacking, Some(there.digest)),
        };
        let sealed = match grafted {
            Graft::TheOther => None,
            Graft::New { configuration, manifest } => {
                Some(SealedImage::new(Bytes::from(configuration.to_string()), manifest))
            }
        };
        let digest = sealed.as_ref().map_or(&self.image.digest, |sealed| &sealed.manifest.digest).clone();
        // The same hotfixes on the same image are the same image again.
        if let Some(rejection) = rejection(&facts, &digest) {
            let reason = format!("its image with them, {}, may not come back: {rejection}", short(&digest));
            return ended(Outcome::Impossible(reason), lacking, Some(there.digest));
        }
        if self.dry_run {
            return ended(Outcome::Possible, lacking, None);
        }
        self.deploy(environment, there.digest, sealed).await?;
        ended(Outcome::Done, lacking, Some(digest))
    }

    /// Lets an environment run the new image, or the very one that the hotfixes come from where there is none.
    async fn deploy(&self, environment: &Environment, replaced: String, sealed: Option<SealedImage>) -> Result<()> {
        let target = Target::open(environment, self.source).await?;
        let manifest = match sealed {
            None => target.fetch(self.source, &self.image.digest).await?,
            Some(sealed) => target.put_image(self.source, sealed).await?,
        };
        let moved = Move::to(environment, &manifest.digest, Some(replaced));
        let moved = Move { from: Some(self.from.name.clone()), ..moved };
        let check = |facts: &Facts| self.check(&manifest.digest, facts);
        self.world.deploy(&target, &manifest, (Kind::Propagated, moved), self.actor, check).await
    }

    /// Neither where they come from nor what is made of them was rejected.
    fn check(&self, digest: &str, facts: &Facts) -> Result<()> {
        match rejection(facts, &self.image.digest).or_else(|| rejection(facts, digest)) {
            None => Ok(()),
            Some(rejection) => Err(Error::Condition {
                message: format!("the hotfixes of {} may not go anywhere: {rejection}", self.from.name),
                hint: "'hotfix env approve' takes that back".to_owned(),
            }),
        }
    }
}

/// Whether the hotfixes of one continue those of the other: a hotfix belongs to its pack and level, and to its place in the
/// sequence.
fn fits(holds: &Holding, brings: &Holding) -> Result<(), String> {
    if (&holds.product, &holds.version) != (&brings.product, &brings.version) {
        return Err(format!("it runs {} {}", holds.product, holds.version));
    }
    if holds.update_level != brings.update_level {
        return Err(format!(
            "it is at update level {}, and hotfixes belong to their level, {}: ask the vendor for hotfixes of that level, or record \
             with 'hotfix env fixed-in' which level holds them",
            holds.update_level, brings.update_level
        ));
    }
    if holds.pack_sha256 != brings.pack_sha256 {
        return Err(
            "it was made from another pack of the same level; make it from the same one with 'hotfix apply'".to_owned()
        );
    }
    let same = holds.applied.iter().zip(&brings.applied).all(|(own, other)| own == other);
    if !same || holds.applied.len() > brings.applied.len() {
        return Err(
            "it has hotfixes that are not the first of those; give --from with the environment that has all".to_owned()
        );
    }
    Ok(())
}
