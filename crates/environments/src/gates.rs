//! Whether an image may get into an environment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::facts::Facts;
use crate::ledger::{Act, Outcome, Record};
use crate::settings::{Environment, Gate};
use crate::world::CLOCKS_DIFFER;

/// What keeps the image `digest`, which comes from the environment `source` (from outside, where there is none), from passing
/// `gate` at the time `now`. Nothing, where it may.
pub fn closed(gate: &Gate, facts: &Facts, source: Option<&Environment>, digest: &str, now: Timestamp) -> Vec<String> {
    let about: Vec<&Record> = facts.records().iter().filter(|record| subject(record) == Some(digest)).collect();
    let mut reasons = Vec::new();
    let rejection = about.iter().rposition(|record| matches!(record.act, Act::Rejected { .. }));
    // What was said before a rejection is no longer said.
    let since = &about[rejection.map_or(0, |position| position + 1)..];
    let approvals: BTreeSet<&str> = since
        .iter()
        .filter(|record| matches!(record.act, Act::Approved { .. }))
        .map(|record| record.actor.name.as_str())
        .collect();
    reasons.extend(self::rejection(facts, digest));
    if gate.verified {
        reasons.extend(unverified(&about, source));
    }
    if !gate.soak.is_zero() {
        reasons.extend(too_early(gate, facts, source, digest, now));
    }
    if (approvals.len() as u64) < u64::from(gate.approvals) {
        reasons.push(format!("{} of {} approvals are there", approvals.len(), gate.approvals));
    }
    reasons
}

/// Why an image, of which `about` is said, does not count as verified.
fn unverified(about: &[&Record], source: Option<&Environment>) -> Vec<String> {
    let place = name_of(source);
    let last = about.iter().rev().find_map(|record| match &record.act {
        Act::Verified { result, place, .. } if source.is_none_or(|source| place.is(source)) => Some(*result),
        _ => None,
    });
    // Whoever comes by another way has not passed what failed elsewhere.
    let elsewhere = failed_in(about).filter(|name| *name != place);
    let elsewhere = elsewhere.map(|name| format!("its tests in {name} failed"));
    let here = match last {
        Some(Outcome::Pass) => None,
        Some(Outcome::Fail) => Some(format!("its tests in {place} failed")),
        None => Some(format!("it was not verified in {place}")),
    };
    elsewhere.into_iter().chain(here).collect()
}

/// Why an image has not been where it comes from for long enough.
fn too_early(gate: &Gate, facts: &Facts, source: Option<&Environment>, digest: &str, now: Timestamp) -> Option<String> {
    let place = name_of(source);
    let soak = SignedDuration::try_from(gate.soak).unwrap_or(SignedDuration::MAX);
    let Some(source) = source else {
        return Some(format!("it comes from outside, and {soak:#} in another environment are asked for"));
    };
    let Some(seen) = facts.seen_since(source, digest) else {
        return Some(format!(
            "since when it has been in {place} is not known: time counts from its promotion, or from the first 'hotfix env verify' \
             there"
        ));
    };
    let age = now.duration_since(seen.time);
    if age < -CLOCKS_DIFFER {
        return Some(format!(
            "by the ledger it will have got into {place} in the future: the clock of this machine is wrong, or that of another one was"
        ));
    }
    let shown = SignedDuration::from_secs(age.as_secs().max(0));
    (age < soak).then(|| format!("it has been in {place} for {shown:#}, and {soak:#} are asked for"))
}

fn name_of(source: Option<&Environment>) -> &str {
    source.map_or("any environment", |source| &source.name)
}

/// Who rejected the image `digest`, and why, where nobody has approved it since.
pub fn rejection(facts: &Facts, digest: &str) -> Option<String> {
    let about = facts.records().iter().rev().filter(|record| subject(record) == Some(digest));
    let last = about.filter_map(|record| match &record.act {
        Act::Approved { .. } => Some(None),
        Act::Rejected { reason, .. } => Some(Some(format!("{} rejected it: {reason}", record.actor.name))),
        _ => None,
    });
    last.into_iter().next().flatten()
}

/// An environment in which the last tests of an image, of which `about` is said, failed.
fn failed_in<'a>(about: &[&'a Record]) -> Option<&'a str> {
    let results = about.iter().filter_map(|record| match &record.act {
        Act::Verified { result, place, .. } => Some((place.image.as_str(), (place.environment.as_str(), *result))),
        _ => None,
    });
    let last: BTreeMap<&str, (&str, Outcome)> = results.collect();
    last.into_values().find(|(_, result)| *result == Outcome::Fail).map(|(name, _)| name)
}

/// The image that a record is an opinion of.
fn subject(record: &Record) -> Option<&str> {
    match &record.act {
        Act::Verified { digest, .. } | Act::Approved { digest, .. } | Act::Rejected { digest, .. } => Some(digest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::{Actor, Declared, Move, Place};

    fn record(name: &str, act: Act) -> Record {
        Record::new(Actor { name: name.to_owned(), declared_by: Declared::Option, run: None }, act, &[])
    }

    fn environment(name: &str) -> Environment {
        let image = format!("r.example.org/am:{name}").parse().expect("a name");
        let (is_production, synchronized_with, gate) = (false, None, Gate::default());
        Environment { name: name.to_owned(), image, is_production, synchronized_with, gate }
    }

    fn place(name: &str) -> Place {
        Place::of(&environment(name))
    }

    fn approved(name: &str) -> Record {
        record(name, Act::Approved { place: place("preprod"), digest: "d".to_owned(), reason: "x".to_owned() })
    }

    fn rejected(name: &str) -> Record {
        record(name, Act::Rejected { place: place("preprod"), digest: "d".to_owned(), reason: "slow".to_owned() })
    }

    fn verified(environment: &str, result: Outcome) -> Record {
        record("ci", Act::Verified { place: place(environment), digest: "d".to_owned(), result })
    }

    fn reasons(gate: &Gate, records: Vec<Record>) -> Vec<String> {
        closed(gate, &Facts::new(records), Some(&environment("preprod")), "d", Timestamp::now())
    }

    #[test]
    fn an_open_gate_lets_all_in_but_what_was_rejected() {
        let gate = Gate::default();
        assert_eq!(reasons(&gate, Vec::new()), [""; 0]);
        assert_eq!(reasons(&gate, vec![approved("ann"), rejected("bob")]), ["bob rejected it: slow"]);
        assert_eq!(reasons(&gate, vec![rejected("bob"), approved("ann")]), [""; 0]);
    }

    #[test]
    fn the_last_tests_where_it_comes_from_count() {
        let gate = Gate { verified: true, ..Gate::default() };
        let (pass, fail) = (verified("preprod", Outcome::Pass), verified("preprod", Outcome::Fail));
        assert_eq!(reasons(&gate, Vec::new()), ["it was not verified in preprod"]);
        assert_eq!(reasons(&gate, vec![verified("qa", Outcome::Pass)]), ["it was not verified in preprod"]);
        let by_another_way = reasons(&gate, vec![verified("qa", Outcome::Fail), pass.clone()]);
        assert_eq!(by_another_way, ["its tests in qa failed"]);
        let from_outside = |records| closed(&gate, &Facts::new(records), None, "d", Timestamp::now());
        assert_eq!(from_outside(vec![verified("qa", Outcome::Fail), pass.clone()]), ["its tests in qa failed"]);
        assert_eq!(
            from_outside(vec![verified("qa", Outcome::Fail), pass.clone(), verified("qa", Outcome::Pass)]),
            [""; 0]
        );
        assert_eq!(reasons(&gate, vec![fail.clone(), pass.clone()]), [""; 0]);
        assert_eq!(reasons(&gate, vec![pass, fail]), ["its tests in preprod failed"]);
    }

    #[test]
    fn approvals_are_of_so_many_people_since_the_last_rejection() {
        let gate = Gate { approvals: 2, ..Gate::default() };
        assert_eq!(reasons(&gate, vec![approved("ann"), approved("ann")]), ["1 of 2 approvals are there"]);
        assert_eq!(reasons(&gate, vec![approved("ann"), approved("bob")]), [""; 0]);
        let again = vec![approved("ann"), rejected("bob"), approved("bob")];
        assert_eq!(reasons(&gate, again), ["1 of 2 approvals are there"]);
    }

    #[test]
    fn it_has_been_there_for_long_enough() {
        let gate = Gate { soak: Duration::from_secs(3600), ..Gate::default() };
        let moved = Move::to(&environment("preprod"), "d", None);
        let arrival = record("ci", Act::Promoted(moved));
        let facts = Facts::new(vec![arrival.clone()]);
        let after = |seconds| arrival.time + SignedDuration::from_secs(seconds);
        assert_eq!(closed(&gate, &facts, Some(&environment("preprod")), "d", after(3600)), [""; 0]);
        let early = closed(&gate, &facts, Some(&environment("preprod")), "d", after(60));
        assert_eq!(early, ["it has been in preprod for 1m, and 1h are asked for"]);
        let unknown = reasons(&gate, Vec::new());
        assert!(unknown[0].starts_with("since when it has been in preprod is not known: "), "{unknown:?}");
        let outside = closed(&gate, &facts, None, "d", after(3600));
        assert_eq!(outside, ["it comes from outside, and 1h in another environment are asked for"]);
        // Where the clock of this machine is behind.
        let future = closed(&gate, &facts, Some(&environment("preprod")), "d", after(-7200));
        assert!(future[0].contains("the clock of this machine is wrong"), "{future:?}");
    }

    #[test]
    fn what_was_pushed_without_us_is_there_since_somebody_looked_at_it() {
        let gate = Gate { soak: Duration::from_secs(3600), ..Gate::default() };
        let at = |hour: i64, mut record: Record| {
            record.time = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
            record
        };
        let other = |record: Record| {
            let mut record = record;
            let Act::Approved { digest, .. } = &mut record.act else { unreachable!("made so") };
            *digest = "e".to_owned();
            record
        };
        let closed_at = |hour: i64, records: Vec<Record>| {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
            closed(&gate, &Facts::new(records), Some(&environment("preprod")), "d", now).len()
        };
        let (tested, again) = (at(1, verified("preprod", Outcome::Pass)), at(5, verified("preprod", Outcome::Pass)));
        assert_eq!(closed_at(1, vec![tested.clone(), again.clone()]), 1);
        assert_eq!(closed_at(2, vec![tested.clone(), again.clone()]), 0);
        // Elsewhere it was looked at before.
        assert_eq!(closed_at(2, vec![at(0, verified("qa", Outcome::Pass)), again.clone()]), 1);
        // Something else was there between.
        let between = vec![tested, at(3, other(approved("ann"))), again];
        assert_eq!(closed_at(5, between.clone()), 1);
        assert_eq!(closed_at(6, between), 0);
    }

    #[test]
    fn another_products_environment_of_that_name_is_another() {
        let gate = Gate { verified: true, ..Gate::default() };
        let mut other = verified("preprod", Outcome::Pass);
        let Act::Verified { place, .. } = &mut other.act else { unreachable!("made so") };
        place.image = "r.example.org/is:preprod".to_owned();
        assert_eq!(reasons(&gate, vec![other]), ["it was not verified in preprod"]);
    }
}
