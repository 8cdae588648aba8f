//! Which environment runs what, and which hotfixes are where.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::facts::Facts;
use crate::gates::rejection;
use crate::hotfix_id::HotfixId;
use crate::images::Image;
use crate::labels::Holding;
use crate::settings::{Environment, Environments};

/// All environments at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// In their order.
    pub environments: Vec<Row>,
    /// Every hotfix that some environment holds.
    pub hotfixes: Vec<HotfixRow>,
    /// What is not as it should be.
    pub drift: Vec<String>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What one environment runs.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The environment's name.
    pub environment: String,
    /// Its tag.
    pub image: String,
    /// Whether customers are there.
    pub production: bool,
    /// What the tag names; none where there is nothing.
    pub digest: Option<String>,
    /// The product; none where the image is none of ours.
    pub product: Option<String>,
    /// `4.1.0.10-hf2`.
    pub version: Option<String>,
    /// Whether it holds a hotfix that is not solved.
    pub unsolved: bool,
    /// When it came there, where the ledger says so.
    pub since: Option<Timestamp>,
    /// Who brought it there.
    pub by: Option<String>,
    /// Why it is not known what the environment runs, where its registry did not say.
    pub problem: Option<String>,
}

/// Where one hotfix is.
#[derive(Debug, Clone, Serialize)]
pub struct HotfixRow {
    /// Its name.
    pub hotfix: HotfixId,
    /// The update level that holds its fix, where somebody said so.
    pub fixed_in: Option<u32>,
    /// Whether somebody called it solved.
    pub solved: bool,
    /// By environment, in their order.
    pub environments: Vec<Place>,
}

/// A hotfix and an environment.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// The environment's name.
    pub environment: String,
    /// Whether it has the hotfix.
    pub state: State,
}

/// Whether an environment has a hotfix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Applied.
    Applied,
    /// Neither applied nor in the update level.
    Missing,
    /// In the update level.
    Included,
    /// A hotfix of the same number is applied, with another content.
    Other,
    /// It runs another product, or another version of it.
    Elsewhere,
    /// There is no image, or none of ours.
    Unknown,
}

impl State {
    /// Whether the fix is there.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Applied | Self::Included)
    }
}

/// An environment and what it runs.
pub type Seen<'a> = (&'a Environment, Option<&'a Image>);

impl Status {
    /// Of `environments`, each with what it runs.
    pub fn of(environments: &Environments, images: &[Option<Image>], facts: &Facts) -> Self {
        let seen: Vec<Seen<'_>> = environments.all().iter().zip(images.iter().map(Option::as_ref)).collect();
        let holdings: Vec<Option<Holding>> =
            seen.iter().map(|(_, image)| image.and_then(|image| facts.holding_of(image))).collect();
        let hotfixes = hotfix_rows(environments, &holdings, facts);
        let rows = seen.iter().zip(&holdings).map(|(seen, holding)| row(*seen, holding.as_ref(), facts));
        let drift = drift(environments, &holdings, &hotfixes);
        let rejected = seen.iter().filter_map(|(environment, image)| {
            let rejection = rejection(facts, &image.as_ref()?.digest)?;
            Some(format!("{} runs what was rejected: {rejection}", environment.name))
        });
        let notes = rejected.collect();
        Self { environments: rows.collect(), hotfixes, drift, notes }
    }

    /// Environments in which `hotfix` is not, with what is there in its place.
    pub fn lacking(
        environments: &Environments,
        images: &[Option<Image>],
        facts: &Facts,
        hotfix: &HotfixId,
    ) -> Vec<String> {
        let holdings: Vec<Option<Holding>> = images.iter().map(|image| facts.holding_of(image.as_ref()?)).collect();
        let contents = contents(environments, &holdings);
        let sha256 = contents.get(hotfix).copied();
        let places = environments.all().iter().zip(&holdings);
        let lacking = places.filter_map(|(environment, holding)| {
            let name = &environment.name;
            let version = || holding.as_ref().map(Holding::image_version).unwrap_or_default();
            match state(hotfix, sha256, holding.as_ref(), facts) {
                State::Applied | State::Included => None,
                State::Other => Some(format!("{name} has another hotfix of that number")),
                State::Missing | State::Elsewhere => Some(format!("{name} ({}) lacks it", version())),
                State::Unknown => Some(format!("what {name} runs is not known")),
            }
        });
        lacking.collect()
    }

    /// Hotfixes of `there`, applied or in its update level, that an environment loses with `next` in its place.
    pub fn lost(there: &Holding, next: &Holding, facts: &Facts) -> Vec<HotfixId> {
        let applied = there.applied.iter().map(|applied| (there.id(applied.number), Some(applied.sha256.as_str())));
        let is_included = |hotfix: &&HotfixId| state(hotfix, None, Some(there), facts) == State::Included;
        let included = facts.fixed().filter(is_included).map(|hotfix| (hotfix.clone(), None));
        let lost = applied.chain(included);
        let lost = lost.filter(|(hotfix, sha256)| !state(hotfix, *sha256, Some(next), facts).is_there());
        lost.map(|(hotfix, _)| hotfix).collect()
    }
}

fn row((environment, image): Seen<'_>, holding: Option<&Holding>, facts: &Facts) -> Row {
    let arrival = image.and_then(|image| facts.arrival(environment, &image.digest));
    let is_unsolved =
        |holding: &Holding| holding.applied.iter().any(|applied| !facts.is_solved(&holding.id(applied.number)));
    Row {
        environment: environment.name.clone(),
        image: environment.image.to_string(),
        production: environment.is_production,
        digest: image.map(|image| image.digest.clone()),
        product: holding.map(|holding| holding.product.clone()),
        version: holding.map(Holding::image_version),
        unsolved: holding.is_some_and(is_unsolved),
        since: arrival.map(|record| record.time),
        by: arrival.map(|record| record.actor.name.clone()),
        problem: image.and_then(Image::contradiction),
    }
}

/// Every hotfix that is applied somewhere; and those of which only the ledger knows, but for what is solved and everywhere.
fn hotfix_rows(environments: &Environments, holdings: &[Option<Holding>], facts: &Facts) -> Vec<HotfixRow> {
    let is_lacking = |hotfix: &HotfixId| {
        holdings.iter().any(|holding| state(hotfix, None, holding.as_ref(), facts) == State::Missing)
    };
    let known = facts.known().into_iter().filter(|hotfix| !facts.is_solved(hotfix) || is_lacking(hotfix));
    let known = known.map(|hotfix| (hotfix.clone(), None));
    let mut all: BTreeMap<HotfixId, Option<&str>> = known.collect();
    all.extend(contents(environments, holdings).into_iter().map(|(hotfix, sha256)| (hotfix, Some(sha256))));
    let row = |(hotfix, sha256): (HotfixId, Option<&str>)| {
        let places = environments.all().iter().zip(holdings).map(|(environment, holding)| Place {
            environment: environment.name.clone(),
            state: state(&hotfix, sha256, holding.as_ref(), facts),
        });
        let environments = places.collect();
        HotfixRow {
            fixed_in: facts.fixed_in(&hotfix, &hotfix.version),
            solved: facts.is_solved(&hotfix),
            environments,
            hotfix,
        }
    };
    all.into_iter().map(row).collect()
}

/// Of each hotfix that is applied somewhere the checksum; of two, production's is the right one, else that of the environment
/// nearest to customers.
fn contents<'a>(environments: &Environments, holdings: &'a [Option<Holding>]) -> BTreeMap<HotfixId, &'a str> {
    let mut by_nearness: Vec<_> = environments.all().iter().zip(holdings).collect();
    by_nearness.sort_by_key(|(environment, _)| environment.is_production);
    let applied = by_nearness.into_iter().filter_map(|(_, holding)| holding.as_ref()).flat_map(|holding| {
        holding.applied.iter().map(|applied| (holding.id(applied.number), applied.sha256.as_str()))
    });
    applied.collect()
}

fn state(hotfix: &HotfixId, sha256: Option<&str>, holding: Option<&Holding>, facts: &Facts) -> State {
    let Some(holding) = holding else { return State::Unknown };
    let is_included = facts.fixed_in(hotfix, &holding.version).is_some_and(|level| level <= holding.update_level);
    if (&holding.product, &holding.version) != (&hotfix.product, &hotfix.version) {
        let is_product = holding.product == hotfix.product;
        return if is_product && is_included { State::Included } else { State::Elsewhere };
    }
    let applied = holding.applied.iter().find(|applied| applied.number == hotfix.number);
    match applied.filter(|_| holding.update_level == hotfix.level) {
        Some(applied) if sha256.is_none_or(|sha256| applied.sha256 == sha256) => State::Applied,
        Some(_) => State::Other,
        None if is_included => State::Included,
        None => State::Missing,
    }
}

fn drift(environments: &Environments, holdings: &[Option<Holding>], hotfixes: &[HotfixRow]) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(production) = environments.production() {
        let runs = environments.all().iter().zip(holdings).find(|(environment, _)| environment.is_production);
        if runs.is_none_or(|(_, holding)| holding.is_none()) {
            found.push(format!("what {} runs is not known", production.name));
        }
        let earlier: BTreeSet<&str> = environments.before(production).iter().map(|other| other.name.as_str()).collect();
        for row in hotfixes {
            found.extend(lacking_behind(row, &production.name, &earlier));
        }
    }
    let of = |name: &str| {
        let position = environments.all().iter().position(|environment| environment.name == name);
        position.and_then(|position| holdings[position].as_ref())
    };
    for environment in environments.all() {
        let Some(other) = &environment.synchronized_with else { continue };
        // Packs of a level can differ in what does not matter, and files of hotfixes in their names.
        let content = |holding: &Holding| {
            let applied: Vec<_> = holding.applied.iter().map(|one| (one.number, one.sha256.clone())).collect();
            (holding.product.clone(), holding.version.clone(), holding.update_level, applied)
        };
        let (here, there) = (of(&environment.name).map(content), of(other).map(content));
        if here.is_none() || here != there {
            let version = |name: &str| of(name).map_or_else(|| "nothing known".to_owned(), Holding::image_version);
            let (here, there) = (version(&environment.name), version(other));
            found.push(format!("{} ({here}) is not synchronized with {other} ({there})", environment.name));
        }
    }
    found
}

/// Of the environments before production, those that lack a hotfix that it has; of one that is solved, every one that lacks it.
fn lacking_behind(row: &HotfixRow, production: &str, earlier: &BTreeSet<&str>) -> Vec<String> {
    let hotfix = &row.hotfix;
    let of_production = row.environments.iter().find(|place| place.environment == production).map(|place| place.state);
    let is_held = of_production.is_some_and(State::is_there);
    let told = |place: &Place| {
        let name = &place.environment;
        let is_behind = is_held && earlier.contains(name.as_str());
        match place.state {
            State::Applied | State::Included => None,
            State::Missing if is_behind => Some(format!("{name} lacks {hotfix}, which {production} holds")),
            State::Missing if row.solved => Some(format!("{name} lacks {hotfix}, which was called solved")),
            // A later version has it from the start, as far as anybody has said.
            State::Elsewhere if is_behind && of_production == Some(State::Applied) => {
                Some(format!("{name} lacks {hotfix}, which {production} holds"))
            }
            State::Other if is_behind => Some(format!("{name} has another {hotfix} than {production}")),
            State::Unknown if is_behind => Some(format!("whether {name} has {hotfix} is not known")),
            _ => None,
        }
    };
    row.environments.iter().filter_map(told).collect()
}
