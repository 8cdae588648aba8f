//! One line of the ledger.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hotfix_id::HotfixId;
use crate::labels::Product;
use crate::ledger::actor::Actor;
use crate::settings::Environment;

/// Of records as they are now.
pub(super) const SCHEMA: u32 = 1;

/// Somebody did something at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form.
    pub schema: u32,
    /// No other record has it; records are in the order of these where their times are the same.
    pub id: Uuid,
    /// By the clock of the machine that it was done on.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Act {
    /// An update level is said to hold a hotfix's fix.
    FixedIn {
        /// The hotfix.
        hotfix: HotfixId,
        /// From this level on.
        level: u32,
        /// Of this version, where that is not the hotfix's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// A hotfix was everywhere.
    Solved {
        /// The hotfix.
        hotfix: HotfixId,
        /// Why it is called so.
        reason: Option<String>,
    },
    /// Tests of what an environment ran.
    Verified {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// What was tested.
        digest: String,
        /// How it went.
        result: Outcome,
    },
    /// Somebody wants what an environment runs to go on.
    Approved {
        /// Where it was.
        #[serde(flatten)]
        place: Place,
        /// What.
        digest: String,
        /// Why.
        reason: String,
    },
    /// Somebody wants it not to.
    Rejected {
        /// Where it was.
        #[serde(flatten)]
        place: Place,
        /// What.
        digest: String,
        /// Why.
        reason: String,
    },
    /// An image got into an environment from another one, or from outside.
    Promoted(Move),
    /// Hotfixes got into an environment from a later one.
    Propagated(Move),
    /// An environment went back to an image that it had before.
    RolledBack(Move),
    /// One of these three was begun. Whoever is stopped before it is done finds here what to write down.
    Begun {
        /// Which.
        of: Kind,
        /// What for.
        #[serde(flatten)]
        moved: Move,
    },
}

/// A way for an environment to come to run something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`Act::Promoted`].
    Promoted,
    /// [`Act::Propagated`].
    Propagated,
    /// [`Act::RolledBack`].
    RolledBack,
}

impl Kind {
    /// What is written down once it is done.
    pub fn done(self, moved: Move) -> Act {
        match self {
            Self::Promoted => Act::Promoted(moved),
            Self::Propagated => Act::Propagated(moved),
            Self::RolledBack => Act::RolledBack(moved),
        }
    }
}

/// An environment as the ledger knows it: by the tag that means what it runs. Other products can have environments of the same
/// name and the same ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// What people called it then.
    pub environment: String,
    /// Its tag, such as `registry.example.org/team/wso2am:prod`.
    pub image: String,
}

impl Place {
    /// An environment.
    pub fn of(environment: &Environment) -> Self {
        Self { environment: environment.name.clone(), image: environment.image.to_string() }
    }

    /// Whether it is that environment.
    pub fn is(&self, environment: &Environment) -> bool {
        self.image == environment.image.as_str()
    }
}

/// An environment's tag came to mean another image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Move {
    /// Of which environment.
    #[serde(flatten)]
    pub place: Place,
    /// The environment or the image that it came from.
    pub from: Option<String>,
    /// What it means now.
    pub digest: String,
    /// What it meant before, if anything.
    pub replaced: Option<String>,
    /// Another tag that the image got.
    pub version_tag: Option<String>,
    /// What is in it, where it does not say so itself: the vendor's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Product>,
    /// Hotfixes that went with what was there before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<HotfixId>,
}

impl Move {
    /// Of an environment to another image; nothing more is said of it.
    pub(crate) fn to(environment: &Environment, digest: &str, replaced: Option<String>) -> Self {
        Self {
            place: Place::of(environment),
            from: None,
            digest: digest.to_owned(),
            replaced,
            version_tag: None,
            holds: None,
            removed: Vec::new(),
        }
    }
}

/// How tests went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Well.
    Pass,
    /// Not well.
    Fail,
}

impl Record {
    /// Done now, and not before `others`: clocks differ, and what is written later must not seem to have been said earlier.
    pub fn new(actor: Actor, act: Act, others: &[Self]) -> Self {
        let newest = others.iter().map(|other| other.time).max();
        // No time is later than the last one that can be written.
        let after = newest.map(|time| time.checked_add(SignedDuration::from_micros(1)).unwrap_or(time));
        let now = Timestamp::now();
        Self { schema: SCHEMA, id: Uuid::now_v7(), time: after.map_or(now, |after| after.max(now)), actor, act }
    }

    /// The environment that it is about, where it is about one.
    pub fn place(&self) -> Option<&Place> {
        match &self.act {
            Act::FixedIn { .. } | Act::Solved { .. } => None,
            Act::Verified { place, .. }
            | Act::Approved { place, .. }
            | Act::Rejected { place, .. }
            | Act::Promoted(Move { place, .. })
            | Act::Propagated(Move { place, .. })
            | Act::RolledBack(Move { place, .. })
            | Act::Begun { moved: Move { place, .. }, .. } => Some(place),
        }
    }

    /// Whether it is about this environment.
    pub fn is_of(&self, environment: &Environment) -> bool {
        self.place().is_some_and(|place| place.is(environment))
    }

    /// Whether an environment's tag was moved, or was about to be.
    pub(crate) fn is_of_a_move(&self) -> bool {
        self.moved().is_some() || matches!(self.act, Act::Begun { .. })
    }

    /// What its environment ran when it was written, where it says so.
    pub(crate) fn runs(&self) -> Option<&str> {
        match &self.act {
            Act::Verified { digest, .. } | Act::Approved { digest, .. } | Act::Rejected { digest, .. } => Some(digest),
            _ => self.moved().map(|moved| moved.digest.as_str()),
        }
    }

    /// The move of a tag, where it is one.
    pub fn moved(&self) -> Option<&Move> {
        match &self.act {
            Act::Promoted(moved) | Act::Propagated(moved) | Act::RolledBack(moved) => Some(moved),
            _ => None,
        }
    }
}
