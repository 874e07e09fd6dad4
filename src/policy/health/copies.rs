//! What is wrong with copies, and with the places that they go to.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::{InstanceCopies, PlaceTrouble, RemovedPlace, Timestamp, shell_word};
use crate::policy::{Problem, ProblemKind};

use super::facts::HealthFacts;
use super::limits::HealthLimits;

/// After so many attempts, in minutes, a copy is not one that only met a bad moment.
const ATTEMPTS: u32 = 3;

/// How long a place may be out of reach: a router restarts, a disk is changed.
const PLACE_GRACE: Duration = Duration::from_secs(10 * 60);

/// What is wrong with the places that cannot be used.
pub fn place_problem(troubles: &[PlaceTrouble], now: Timestamp) -> Option<Problem> {
    let lasting = |it: &&PlaceTrouble| it.configured && it.since.plus(PLACE_GRACE) <= now;
    let lasting: Vec<&PlaceTrouble> = troubles.iter().filter(lasting).collect();
    let since = lasting.iter().map(|it| it.since).min()?;
    let said =
        lasting.iter().map(|it| format!("nothing can be copied to {}: {}", it.place, it.why));
    Some(Problem {
        kind: ProblemKind::PlaceUnreachable,
        instance: None,
        since,
        message: said.collect::<Vec<_>>().join("; "),
        advice: "mount it, or mend what is said; copies go on by themselves then. coffer doctor tries each place out"
            .to_owned(),
    })
}

/// Whether a place that the copies of an instance are to go to has not been of use for a while, and never held one. Its
/// trouble is said once, of the place; but nobody may call the instance safe who believes that there is a copy.
pub(super) fn is_without(facts: &HealthFacts, now: Timestamp) -> bool {
    let lasting = |place: &String| {
        facts.troubles.iter().any(|it| it.place == *place && it.since.plus(PLACE_GRACE) <= now)
    };
    facts.copies.iter().any(|it| it.proven == 0 && it.missing > 0 && lasting(&it.place))
}

impl HealthFacts {
    /// What stopped the last attempt at copies that wait for a place; `None`: nothing, or none waits.
    pub fn why_copies_wait<'a>(&'a self, copies: &'a InstanceCopies) -> Option<&'a str> {
        if copies.missing == 0 {
            return None;
        }
        let trouble = self.troubles.iter().find(|it| it.place == copies.place);
        let failing = copies.failing.as_ref();
        trouble.map(|it| it.why.as_str()).or_else(|| failing.map(|it| it.why.as_str()))
    }
}

/// Places that were taken out of the configuration, although copies lie there.
pub fn removed_problem(removed: &[RemovedPlace]) -> Option<Problem> {
    let since = removed.iter().map(|it| it.since).min()?;
    let said = removed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let names = removed.iter().map(|it| it.place.as_str()).collect::<Vec<_>>().join(", ");
    Some(Problem {
        kind: ProblemKind::PlaceNotConfigured,
        instance: None,
        since,
        message: said,
        advice: put_back(&names),
    })
}

fn put_back(names: &str) -> String {
    format!(
        "put the [[places]] of {names} back into the configuration; or, if what lies there is not needed or lost: coffer \
         catalog accept-loss --place NAME"
    )
}

/// Backups whose archives lie nowhere but in places that cannot be used: nobody could restore them now.
pub(super) fn out_of_reach(facts: &HealthFacts, now: Timestamp) -> Option<Problem> {
    let count = facts.out_of_reach();
    if count == 0 {
        return None;
    }
    let places: BTreeSet<&String> =
        facts.lying_out_of_reach().flat_map(|it| it.places.iter()).collect();
    let troubles: Vec<&PlaceTrouble> =
        facts.troubles.iter().filter(|it| places.contains(&it.place)).collect();
    let name = &facts.name;
    let message = if troubles.is_empty() {
        format!(
            "{count} of the backups of {name} lie nowhere any more: the places do not have their copies"
        )
    } else {
        let why = troubles.iter().map(|it| format!("{}: {}", it.place, it.why));
        let (names, why) = (
            places.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", "),
            why.collect::<Vec<_>>().join("; "),
        );
        format!(
            "{count} of the backups of {name} lie only in {names}, and cannot be restored as long as that cannot be used: {why}"
        )
    };
    let removed: Vec<&str> =
        troubles.iter().filter(|it| !it.configured).map(|it| it.place.as_str()).collect();
    let advice = if troubles.is_empty() {
        format!(
            "make a full backup: coffer backup {word} --wait; coffer list --instance {word} shows those that are missing",
            word = shell_word(name)
        )
    } else if removed.is_empty() {
        "mount it, or mend what is said: coffer doctor tries each place out; if a place is lost for good: coffer catalog \
         accept-loss --place NAME"
            .to_owned()
    } else {
        put_back(&removed.join(", "))
    };
    Some(Problem {
        kind: ProblemKind::OutOfReach,
        instance: Some(facts.instance),
        since: troubles.iter().map(|it| it.since).min().unwrap_or(now),
        message,
        advice,
    })
}

/// What is wrong with the copies of an instance.
pub(super) fn problems(facts: &HealthFacts, limits: &HealthLimits, now: Timestamp) -> Vec<Problem> {
    failed(facts).into_iter().chain(late(facts, limits, now)).collect()
}

fn problem(facts: &HealthFacts, kind: ProblemKind, since: Timestamp, said: &[String]) -> Problem {
    Problem {
        kind,
        instance: Some(facts.instance),
        since,
        message: said.join("; "),
        advice: format!(
            "coffer doctor tries each place out, and coffer list --instance {} shows which copies there are",
            shell_word(&facts.name)
        ),
    }
}

/// Copies that fail although their place can be used.
fn failed(facts: &HealthFacts) -> Option<Problem> {
    let is_known =
        |it: &&InstanceCopies| facts.troubles.iter().any(|trouble| trouble.place == it.place);
    let reached = facts.copies.iter().filter(|it| !is_known(it));
    let failing: Vec<_> = reached.filter_map(|it| Some((it, it.failing.as_ref()?))).collect();
    let failing: Vec<_> = failing.into_iter().filter(|(_, it)| it.attempts >= ATTEMPTS).collect();
    let since = failing.iter().map(|(_, it)| it.since).min()?;
    let said: Vec<String> = failing
        .iter()
        .map(|(copies, it)| {
            let (place, name) = (&copies.place, &facts.name);
            format!(
                "the copy of backup {} of {name} to {place} failed {} times: {}",
                it.backup, it.attempts, it.why
            )
        })
        .collect();
    Some(problem(facts, ProblemKind::CopyFailed, since, &said))
}

/// Fewer copies than the configuration asks for, for too long.
fn late(facts: &HealthFacts, limits: &HealthLimits, now: Timestamp) -> Option<Problem> {
    let within = limits.copies_within.duration();
    let due = |it: &InstanceCopies| it.missing_since.map(|since| since.plus(within));
    let late: Vec<(&InstanceCopies, Timestamp)> = facts
        .copies
        .iter()
        .filter_map(|it| Some((it, due(it)?)))
        .filter(|(_, due)| *due < now)
        .collect();
    let since = late.iter().map(|(_, due)| *due).min()?;
    let newest = facts.last_good.as_ref().map(|it| it.created);
    let said: Vec<String> = late
        .iter()
        .map(|(it, _)| {
            let (place, name) = (&it.place, &facts.name);
            let has = match it.newest {
                Some(at) if Some(at) >= newest => "the newest good one is there".to_owned(),
                Some(at) => format!("the newest that is there is of {} UTC", at.to_wire()),
                None => "none is there".to_owned(),
            };
            format!(
                "{} backups of {name} are not in {place}, although they should be by now; {has}",
                it.missing
            )
        })
        .collect();
    Some(problem(facts, ProblemKind::CopiesLate, since, &said))
}
