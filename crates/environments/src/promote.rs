//! From one environment to the next: the very image that was tested, never another one made like it.

use hotfix_docker::reference::ImageRef;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::facts::Facts;
use crate::gates;
use crate::images::Image;
use crate::labels::{Holding, Product};
use crate::ledger::{Actor, Kind, Move, Place};
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
        let (reference, name, source) = match asked.from {
            From::Environment(environment) => (&environment.image, environment.name.clone(), Some(environment)),
            From::Image(reference) => (reference, reference.to_string(), None),
        };
        if let From::Environment(environment) = asked.from
            && environment.name == asked.to.name
        {
            return Err(condition(format!("{name} is where it comes from and where it goes"), "give two environments"));
        }
        let image = match asked.from {
            From::Environment(environment) => self.image_of(environment).await?,
            From::Image(reference) => self.image(reference).await?,
        };
        let before = self.look(&asked.to.image).await?;
        let facts = self.facts().await?;
        let holding = self.holding(reference, &image, &facts).await?;
        check(asked, &image, &holding, before.as_ref(), &facts)?;
        let reasons = gates::closed(&asked.to.gate, &facts, source, &image.digest, Timestamp::now());
        let replaced = before.as_ref().map(|before| before.digest.clone());
        let is_there = replaced.as_ref() == Some(&image.digest);
        if !reasons.is_empty() && !is_there {
            let (version, digest) = (holding.image_version(), short(&image.digest));
            let message =
                format!("{version} ({digest}) of {name} may not get into {}: {}", asked.to.name, reasons.join("; "));
            return Err(condition(
                message,
                "see 'hotfix env history'; 'hotfix env verify' and 'approve' record what is missing",
            ));
        }
        let version_tag = asked.tag.map_or_else(|| holding.image_version(), str::to_owned);
        let target = Target::open(asked.to, reference).await?;
        let is_tagged = self.check_tag(asked, &target, &version_tag, &image.digest).await?;
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
        };
        if is_there {
            let there = (asked.to, image.digest.as_str());
            let is_finished = !dry_run && self.finish(Kind::Promoted, there, &facts, &actor).await?.is_some();
            if !is_tagged && !dry_run {
                let manifest = target.fetch(reference, &image.digest).await?;
                target.tag(&version_tag, &manifest).await?;
            }
            let outcome = match (is_finished, is_tagged) {
                (true, _) => Outcome::Done,
                (false, true) => Outcome::Unchanged,
                (false, false) => Outcome::Tagged,
            };
            return Ok(Promoted { outcome, ..promoted });
        }
        if dry_run {
            return Ok(promoted);
        }
        let manifest = target.fetch(reference, &image.digest).await?;
        target.tag(&version_tag, &manifest).await?;
        let moved = Move {
            place: Place::of(asked.to),
            from: Some(name),
            digest: image.digest.clone(),
            replaced,
            version_tag: Some(version_tag),
            // Later nobody but the ledger knows.
            holds: image.holding().is_none().then(|| Product::of(&holding)),
        };
        self.deploy(&target, &manifest, (Kind::Promoted, moved), &actor).await?;
        promoted.outcome = Outcome::Done;
        Ok(promoted)
    }
}

impl World {
    /// What an image holds, for whichever platform: as its labels say, else as was written down, else, for the vendor's, as its
    /// `WSO2_SERVER_HOME` and its tag say.
    async fn holding(&self, reference: &ImageRef, image: &Image, facts: &Facts) -> Result<Holding> {
        let said = facts.said_to_hold(&image.digest);
        let mut found: Option<(String, Holding)> = None;
        for (platform, one) in self.platforms(reference, image).await? {
            let holding = one.holding().or_else(|| said.clone());
            let holding = holding.or_else(|| vendors(reference.tag(), &one.configuration));
            let holding = holding.ok_or_else(|| Error::Input {
                message: format!("{reference} does not say which product and update level it holds"),
                hint: "give an image that hotfix made, or the vendor's by a tag that says its level, such as 4.1.0.20"
                    .to_owned(),
            })?;
            match &found {
                Some((other, first)) if *first != holding => {
                    let (one, two) = (first.image_version(), holding.image_version());
                    let message = format!(
                        "{reference} does not hold the same for each platform: {other} has {one}, {platform} has {two}"
                    );
                    return Err(condition(
                        message,
                        "make the images for its platforms from the same pack and hotfixes",
                    ));
                }
                Some(_) => {}
                None => found = Some((platform, holding)),
            }
        }
        found.map(|(_, holding)| holding).ok_or_else(|| Error::Input {
            message: format!("{reference} has no image for Linux"),
            hint: "give the tag of an image that hotfix made, or of the vendor's".to_owned(),
        })
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

/// Whether it is the same product, with all the hotfixes that are there.
fn check(asked: &Promotion<'_>, image: &Image, holding: &Holding, before: Option<&Image>, facts: &Facts) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    let Some(there) = facts.holding_of(before) else {
        if asked.allow_removal {
            return Ok(());
        }
        let message =
            format!("which hotfixes {} has is not known: its image {} does not say", asked.to.name, before.digest);
        return Err(condition(message, "if nothing there can be lost, give --allow-removal"));
    };
    if there.product != holding.product {
        let message = format!("{} runs {}, and {} is {}", asked.to.name, there.product, image.digest, holding.product);
        return Err(condition(message, "an environment is of one product; give another --to"));
    }
    let lost = Status::lost(&there, holding, facts);
    if lost.is_empty() || asked.allow_removal {
        return Ok(());
    }
    let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let message = format!("{} would lose {}", asked.to.name, lost.join(", "));
    let hint = "apply them to the image first; say which update level holds them (hotfix env fixed-in); or give --allow-removal";
    Err(condition(message, hint))
}

/// The vendor's images have the product where the variable says, and the level in their tags.
fn vendors(tag: Option<&str>, configuration: &Value) -> Option<Holding> {
    let variables = configuration.pointer("/config/Env")?.as_array()?;
    let home = variables.iter().filter_map(Value::as_str).find_map(|text| text.strip_prefix("WSO2_SERVER_HOME="))?;
    let (product, version) = home.trim_end_matches('/').rsplit('/').next()?.rsplit_once('-')?;
    let level = tag?.strip_prefix(version)?.strip_prefix('.')?.split('-').next()?;
    // The level 0 of a tag floats, so it says nothing.
    let update_level = level.parse().ok().filter(|level| *level > 0)?;
    Some(Holding {
        product: product.to_owned(),
        version: version.to_owned(),
        update_level,
        pack_sha256: String::new(),
        applied: Vec::new(),
    })
}

fn condition(message: impl Into<String>, hint: &str) -> Error {
    Error::Condition { message: message.into(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_images_say_what_they_hold() {
        let configuration =
            serde_json::json!({ "config": { "Env": ["A=b", "WSO2_SERVER_HOME=/home/wso2carbon/wso2is-km-5.10.0"] } });
        let said =
            |tag| vendors(Some(tag), &configuration).map(|holding| (holding.product.clone(), holding.image_version()));
        let expected = Some(("wso2is-km".to_owned(), "5.10.0.7".to_owned()));
        assert_eq!(said("5.10.0.7"), expected);
        assert_eq!(said("5.10.0.7-alpine"), expected);
        for tag in ["5.10.0.0", "5.10.0", "latest", "5.10.01.7"] {
            assert_eq!(said(tag), None, "{tag}");
        }
        assert_eq!(vendors(Some("5.10.0.7"), &serde_json::json!({})), None);
    }
}
