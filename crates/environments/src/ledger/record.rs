//! One line of the ledger.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hotfix_id::HotfixId;
use crate::labels::Product;
use crate::ledger::actor::Actor;

/// Of records as they are now.
const SCHEMA: u32 = 1;

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
        environment: String,
        /// What was tested.
        digest: String,
        /// How it went.
        result: Outcome,
    },
    /// Somebody wants what an environment runs to go on.
    Approved {
        /// Where it was.
        environment: String,
        /// What.
        digest: String,
        /// Why.
        reason: String,
    },
    /// Somebody wants it not to.
    Rejected {
        /// Where it was.
        environment: String,
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

/// An environment's tag came to mean another image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Move {
    /// Of which environment.
    pub environment: String,
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
    /// Done now.
    pub fn new(actor: Actor, act: Act) -> Self {
        Self { schema: SCHEMA, id: Uuid::now_v7(), time: Timestamp::now(), actor, act }
    }

    /// The environment that it is about, where it is about one.
    pub fn environment(&self) -> Option<&str> {
        match &self.act {
            Act::FixedIn { .. } | Act::Solved { .. } => None,
            Act::Verified { environment, .. }
            | Act::Approved { environment, .. }
            | Act::Rejected { environment, .. }
            | Act::Promoted(Move { environment, .. })
            | Act::Propagated(Move { environment, .. })
            | Act::RolledBack(Move { environment, .. })
            | Act::Begun { moved: Move { environment, .. }, .. } => Some(environment),
        }
    }

    /// Whether an environment's tag was moved, or was about to be.
    pub(crate) fn is_of_a_move(&self) -> bool {
        self.moved().is_some() || matches!(self.act, Act::Begun { .. })
    }

    /// The move of a tag, where it is one.
    pub fn moved(&self) -> Option<&Move> {
        match &self.act {
            Act::Promoted(moved) | Act::Propagated(moved) | Act::RolledBack(moved) => Some(moved),
            _ => None,
        }
    }
}
