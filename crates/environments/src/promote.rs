//! From one environment to the next: the very image that was tested, never another one made like it.

use hotfix_docker::reference::ImageRef;
use jiff::Timestamp;
use serde::Serialize;

use crate::facts::Facts;
use crate::gates;
use crate::holding::holding_of;
use crate::hotfix_id::HotfixId;
use crate::images::Image;
use crate::labels::{Holding, Product};
use crate::ledger::{Actor, Kind, Move};
use crate::moving::Target;
use crate::settings::{Environment, LedgerPlace, is_of_ledger};
use crate::show::short;
use crate::status::Status;
use crate::world::World;
use crate::{Error, Result};

/// Where an image comes from.
#[derive(Debug, Clone, Copy)]
pub enum From<'a> {
    /// What an environment runs.
    Environment(&'a Environment),
    /// Any image in a registry, such as the vendor's.
    Image(&'a ImageRef),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Promotion<'a> {
    /// Where the image comes from.
    pub from: From<'a>,
    /// The environment that is to run it.
    pub to: &'a Environment,
    /// The tag that it gets beside the environment's; by its version, where none is given.
    pub tag: Option<&'a str>,
    /// Whether hotfixes of the environment may go.
    pub allow_removal: bool,
}

/// What a promotion does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promoted {
    /// Whether anything was to be done, and was.
    pub outcome: Outcome,
    /// The environment or image that it comes from.
    pub from: String,
    /// The environment.
    pub to: String,
    /// The image.
    pub digest: String,
    /// What the environment ran before.
    pub replaced: Option<String>,
    /// The tag that the image gets beside the environment's.
    pub version_tag: String,
    /// `4.1.0.10-hf3`.
    pub version: String,
    /// The version that the environment ran before.
    pub version_before: Option<String>,
    /// Hotfixes that go, as was allowed.
    pub removed: Vec<HotfixId>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It would be done.
    Possible,
    /// The environment runs it already.
    Unchanged,
    /// The environment runs it already, and only the tag of its version was missing.
    Tagged,
}

impl World {
    /// Promotes an image, or with `dry_run` says what would be done.
    ///
    /// # Errors
    /// [`Error::Condition`] where a gate is closed, hotfixes would go, it is another product, or the tag names another
    /// image; [`Error::Input`] where there is no image; [`Error::Registry`].
    pub async fn promote(&self, asked: &Promotion<'_>, actor: Actor, dry_run: bool) -> Result<Promoted> {
        let asked = &Promotion { from: self.as_environment(asked.from), ..asked.clone() };
        let Origin { reference, name, source } = Origin::of(asked.from);
        if source.is_some_and(|source| source.name == asked.to.name) {
            return Err(condition(format!("{name} is where it comes from and where it goes"), "give two environments"));
        }
        let image = match asked.from {
            From::Environment(environment) => self.image_of(environment).await?,
            From::Image(reference) => self.image(reference).await?,
        };
        let before = self.look(&asked.to.image).await?;
        let replaced = before.as_ref().map(|before| before.digest.clone());
        let is_there = replaced.as_ref() == Some(&image.digest);
        let (facts, unfinished) = self.settle(asked.to, replaced.as_deref(), &actor, dry_run).await?;
        let holding = holding_of(reference, source.is_none(), &image, &facts)?;
        let last = if before.is_none() { self.last_of(asked, &facts).await? } else { None };
        let removed = check(asked, &image, &holding, before.as_ref().or(last.as_ref()), &facts)?;
        let check_gate = |facts: &Facts| check_gate(asked, &image, &holding, facts);
        if !is_there {
            check_gate(&facts)?;
        }
        let version_tag = asked.tag.map_or_else(|| holding.image_version(), str::to_owned);
        let target = Target::open(asked.to, reference).await?;
        let is_tagged = self.check_tag(asked, &target, &version_tag, &image.digest).await?;
        // It came there by itself; what was promoted and stopped midway had passed the gate.
        if is_there && !is_tagged && unfinished.is_none() {
            check_gate(&facts)?;
        }
        let mut promoted = Promoted {
            outcome: Outcome::Possible,
            from: name.clone(),
            to: asked.to.name.clone(),
            digest: image.digest.clone(),
            replaced: replaced.clone(),
            version_tag: version_tag.clone(),
            version: holding.image_version(),
            version_before: before
                .as_ref()
                .and_then(|before| facts.holding_of(before))
                .map(|holding| holding.image_version()),
            removed: removed.clone(),
        };
        if is_there {
            if !is_tagged && !dry_run {
                let manifest = target.fetch(reference, &image.digest).await?;
                target.tag(&version_tag, &manifest).await?;
            }
            return Ok(promoted.of_what_is_there(unfinished, is_tagged, dry_run));
        }
        if dry_run {
            return Ok(promoted);
        }
        let manifest = target.fetch(reference, &image.digest).await?;
        target.tag(&version_tag, &manifest).await?;
        let moved = Move {
            from: Some(name),
            version_tag: Some(version_tag),
            // Later nobody but the ledger knows.
            holds: image.holding().is_none().then(|| Product::of(&holding)),
            removed,
            ..Move::to(asked.to, &image.digest, replaced)
        };
        self.deploy(&target, &manifest, (Kind::Promoted, moved), &actor, check_gate).await?;
        promoted.outcome = Outcome::Done;
        Ok(promoted)
    }

    /// An image that is called by what an environment runs comes from that environment, with all that was said there.
    fn as_environment<'a>(&'a self, from: From<'a>) -> From<'a> {
        match from {
            From::Image(reference) => {
                let environment = self.environments.all().iter().find(|environment| environment.image == *reference);
                environment.map_or(from, From::Environment)
            }
            From::Environment(_) => from,
        }
    }

    /// What the environment ran last, by the ledger, where its tag is gone.
    async fn last_of(&self, asked: &Promotion<'_>, facts: &Facts) -> Result<Option<Image>> {
        let Some(digest) = facts.last_digest(asked.to) else { return Ok(None) };
        match self.look_by_digest(asked.to, digest).await? {
            None if !asked.allow_removal => {
                let message = format!(
                    "which hotfixes {} had is not known: its tag is gone, and so is what it ran last, {digest}",
                    asked.to.name
                );
                Err(condition(message, "if nothing there can be lost, give --allow-removal"))
            }
            image => Ok(image),
        }
    }

    /// A tag that names another image keeps it; those of environments and of the ledger are none for versions.
    /// Returns whether it is there.
    async fn check_tag(&self, asked: &Promotion<'_>, target: &Target<'_>, tag: &str, digest: &str) -> Result<bool> {
        let name = asked.to.image.name();
        let taken =
            |whose: String| condition(format!("{name}:{tag} is the tag of {whose}"), "give --tag with a version");
        let reference: ImageRef = format!("{name}:{tag}").parse().map_err(Error::registry(format!("tag {name}")))?;
        if let Some(other) = self.environments.all().iter().find(|other| other.image == reference) {
            return Err(taken(other.name.clone()));
        }
        if let LedgerPlace::Registry(ledger) = &self.environments.ledger
            && is_of_ledger(&reference, ledger)
        {
            return Err(taken("the ledger".to_owned()));
        }
        match target.digest(tag).await? {
            Some(other) if other != digest => {
                let message = format!("{name}:{tag} names another image already, {other}");
                Err(condition(message, "give --tag with another name: a version must not come to mean something else"))
            }
            there => Ok(there.is_some()),
        }
    }
}

impl Promoted {
    /// Where the environment runs it already: finished by this, or only given its tag.
    fn of_what_is_there(mut self, unfinished: Option<(Kind, Move)>, is_tagged: bool, dry_run: bool) -> Self {
        let finished = unfinished.filter(|(kind, _)| *kind == Kind::Promoted);
        self.outcome = match (&finished, is_tagged) {
            (Some(_), _) => Outcome::Done,
            (None, true) => Outcome::Unchanged,
            (None, false) if dry_run => Outcome::Possible,
            (None, false) => Outcome::Tagged,
        };
        if let Some((_, moved)) = finished {
            (self.replaced, self.version_before) = (moved.replaced, None);
        }
        self
    }
}

/// Where an image comes from, by its names.
struct Origin<'a> {
    reference: &'a ImageRef,
    name: String,
    source: Option<&'a Environment>,
}

impl<'a> Origin<'a> {
    fn of(from: From<'a>) -> Self {
        match from {
            From::Environment(environment) => {
                Self { reference: &environment.image, name: environment.name.clone(), source: Some(environment) }
            }
            From::Image(reference) => Self { reference, name: reference.to_string(), source: None },
        }
    }
}

fn check_gate(asked: &Promotion<'_>, image: &Image, holding: &Holding, facts: &Facts) -> Result<()> {
    let Origin { name, source, .. } = Origin::of(asked.from);
    let reasons = gates::closed(&asked.to.gate, facts, source, &image.digest, Timestamp::now());
    if reasons.is_empty() {
        return Ok(());
    }
    let (version, digest) = (holding.image_version(), short(&image.digest));
    let message = format!("{version} ({digest}) of {name} may not get into {}: {}", asked.to.name, reasons.join("; "));
    Err(condition(message, "see 'hotfix env history'; 'hotfix env verify' and 'approve' record what is missing"))
}

/// Whether it is the same product, with everything that is there; else, with `--allow-removal`, the hotfixes that go.
fn check(
    asked: &Promotion<'_>,
    image: &Image,
    holding: &Holding,
    before: Option<&Image>,
    facts: &Facts,
) -> Result<Vec<HotfixId>> {
    let Some(before) = before else { return Ok(Vec::new()) };
    let to = &asked.to.name;
    let Some(there) = facts.holding_of(before) else {
        if asked.allow_removal {
            return Ok(Vec::new());
        }
        let why = before.contradiction().unwrap_or_else(|| format!("its image {} does not say", before.digest));
        let message = format!("which hotfixes {to} has is not known: {why}");
        return Err(condition(message, "if nothing there can be lost, give --allow-removal"));
    };
    if there.product != holding.product {
        let message = format!("{to} runs {}, and {} is {}", there.product, image.digest, holding.product);
        return Err(condition(message, "an environment is of one product; give another --to"));
    }
    let lost = Status::lost(&there, holding, facts);
    if asked.allow_removal {
        return Ok(lost);
    }
    if !lost.is_empty() {
        let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let message = format!("{to} would lose {}", lost.join(", "));
        let hint = "apply them to the image first; say which update level holds them (hotfix env fixed-in); or give --allow-removal";
        return Err(condition(message, hint));
    }
    if there.is_later_than(holding) {
        let message = format!("{to} would go back from {} to {}", there.image_version(), holding.image_version());
        return Err(condition(message, "its fixes since would be lost: give --allow-removal if that is meant"));
    }
    let platforms = image.platform_names();
    if let Some(gone) = before.platform_names().into_iter().find(|name| !platforms.contains(name)) {
        let message = format!("{to} would lose the image for {gone}: this one is for {}", platforms.join(", "));
        return Err(condition(message, "promote an image for all of its platforms, or give --allow-removal"));
    }
    Ok(Vec::new())
}

fn condition(message: impl Into<String>, hint: &str) -> Error {
    Error::Condition { message: message.into(), hint: hint.to_owned() }
}
