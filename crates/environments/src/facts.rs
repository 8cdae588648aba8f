//! What the ledger says, by what is asked of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::hotfix_id::HotfixId;
use crate::images::Image;
use crate::labels::Holding;
use crate::ledger::{Act, Kind, Move, Record};
use crate::settings::Environment;

/// The ledger's records, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    records: Vec<Record>,
    /// By hotfix and version.
    fixed_in: BTreeMap<HotfixId, BTreeMap<String, u32>>,
}

impl Facts {
    /// From the records of a ledger, in their order.
    pub fn new(records: Vec<Record>) -> Self {
        let mut fixed_in = BTreeMap::<HotfixId, BTreeMap<String, u32>>::new();
        for record in &records {
            if let Act::FixedIn { hotfix, level, version } = &record.act {
                // Who says it last, says it for good: the vendor can have been wrong before.
                let version = version.clone().unwrap_or_else(|| hotfix.version.clone());
                fixed_in.entry(hotfix.clone()).or_default().insert(version, *level);
            }
        }
        Self { records, fixed_in }
    }

    /// With one more.
    #[must_use]
    pub fn with(self, record: Record) -> Self {
        Self::new(self.records.into_iter().chain([record]).collect())
    }

    /// The image that an environment was last moved to, by us.
    pub fn last_digest(&self, environment: &Environment) -> Option<&str> {
        self.moves(environment).next_back().map(|(_, moved)| moved.digest.as_str())
    }

    /// What was done with an environment, the oldest first.
    pub fn moves(&self, environment: &Environment) -> impl DoubleEndedIterator<Item = (&Record, &Move)> {
        let of_it = self.records.iter().filter(move |record| record.is_of(environment));
        of_it.filter_map(|record| Some((record, record.moved()?)))
    }

    /// All of them.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What was done, and what was begun last and not written down as done.
    pub fn history(&self) -> impl Iterator<Item = &Record> {
        let mut seen = BTreeSet::new();
        let mut history = Vec::new();
        for record in self.records.iter().rev() {
            let is_last = !record.is_of_a_move() || seen.insert(record.place().map(|place| &place.image));
            if is_last || !matches!(record.act, Act::Begun { .. }) {
                history.push(record);
            }
        }
        history.into_iter().rev()
    }

    /// What an image holds: as its labels say, else as was written down when it was promoted.
    pub fn holding_of(&self, image: &Image) -> Option<Holding> {
        image.holding().or_else(|| self.said_to_hold(&image.digest))
    }

    /// What was written down that an image holds.
    pub fn said_to_hold(&self, digest: &str) -> Option<Holding> {
        let moves = self.records.iter().filter_map(Record::moved).filter(|moved| moved.digest == digest);
        moves.filter_map(|moved| moved.holds.clone()).next_back().map(Holding::from)
    }

    /// The update level from which on a version of the product holds the fix.
    pub fn fixed_in(&self, hotfix: &HotfixId, version: &str) -> Option<u32> {
        self.fixed_in.get(hotfix)?.get(version).copied()
    }

    /// Hotfixes of which somebody said that.
    pub fn fixed(&self) -> impl Iterator<Item = &HotfixId> {
        self.fixed_in.keys()
    }

    /// Hotfixes of which somebody said anything.
    pub fn known(&self) -> BTreeSet<&HotfixId> {
        let acts = self.records.iter().map(|record| &record.act);
        let of = acts.filter_map(|act| match act {
            Act::FixedIn { hotfix, .. } | Act::Solved { hotfix, .. } => Some(hotfix),
            _ => None,
        });
        of.collect()
    }

    /// Whether somebody called it solved.
    pub fn is_solved(&self, hotfix: &HotfixId) -> bool {
        self.records.iter().any(|record| matches!(&record.act, Act::Solved { hotfix: solved, .. } if solved == hotfix))
    }

    /// What was begun with an environment and not written down as done, where the environment runs `digest`: the run was
    /// stopped after its tag was set.
    pub fn unfinished(&self, environment: &Environment, digest: &str) -> Option<(Kind, &Move)> {
        let of_it = |record: &&Record| record.is_of(environment);
        match &self.records.iter().rev().filter(of_it).find(|record| record.is_of_a_move())?.act {
            Act::Begun { of, moved } if moved.digest == digest => Some((*of, moved)),
            _ => None,
        }
    }

    /// The first record that says that an environment runs what it runs: that by which it got there, or, where it got there
    /// without us, the first opinion of it.
    pub fn seen_since(&self, environment: &Environment, digest: &str) -> Option<&Record> {
        let mut first = None;
        for record in self.records.iter().filter(|record| record.is_of(environment)) {
            match record.runs() {
                Some(runs) if runs == digest => first = first.or(Some(record)),
                Some(_) => first = None,
                None => {}
            }
        }
        first
    }

    /// The record by which an environment came to run what it runs, where it was one of ours.
    pub fn arrival(&self, environment: &Environment, digest: &str) -> Option<&Record> {
        let (last, moved) = self.moves(environment).next_back()?;
        // Else somebody has moved the tag since who keeps no ledger.
        (moved.digest == digest).then_some(last)
    }
}
