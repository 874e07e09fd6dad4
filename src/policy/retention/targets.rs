//! Retention over several targets: the data directory, and places that keep copies for longer or shorter than it.
//!
//! Each target decides over what lies there, by its own rules and with the same guards: the newest chain that is proven
//! there never goes from there, and nothing goes from there before a newer full backup is proven there. Together: what
//! goes from the data directory, and a place keeps, goes only when its copies there are proven and can be read again here;
//! and a backup is forgotten only when no target keeps it any more.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use crate::domain::BackupId;

use super::history::{Families, Family};
use super::{Chain, Decision, Fate, Guard, History, Keep, Point, PointState, decide_without};

/// A place, as far as retention needs it.
#[derive(Debug, Clone)]
pub struct PlaceTarget<'a> {
    pub name: &'a str,
    pub rule: PlaceRule<'a>,
    /// Whether what lies there can be read again here: it is not encrypted, or there is a key.
    pub readable: bool,
    /// The copies that it holds or is to hold: whether each is proven.
    pub copies: HashMap<BackupId, bool>,
}

/// How long a place keeps copies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlaceRule<'a> {
    /// By rules of its own.
    Own(&'a Keep),
    /// As long as the data directory keeps the archive.
    Follows,
    /// It is in the configuration no longer: nothing is known of it, so it counts as keeping all.
    Unknown,
}

/// What is decided of an instance over all targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// What goes from the data directory.
    pub here: Decision,
    /// The copies that go from each place while their backups stay.
    pub places: Vec<(String, Vec<BackupId>)>,
    /// Chains of which nothing is in the data directory any more, and that no place keeps.
    pub forgotten: Vec<BackupId>,
    /// Archives that go from the data directory after others of their chain, which went from there before.
    pub following: Vec<BackupId>,
}

/// What the rules of a place decide over what it holds.
struct OwnRules<'a> {
    place: &'a PlaceTarget<'a>,
    /// The members of the chains that go, and of those that stay. A chain whose middle is not there is several of them.
    going: HashSet<BackupId>,
    staying: HashSet<BackupId>,
}

/// Decides which archives and copies of an instance stay, and which go. `away` are the backups whose archives are in the
/// data directory no longer.
pub fn decide_targets<S: BuildHasher>(
    keep: &Keep,
    history: &History<'_>,
    away: &HashSet<BackupId, S>,
    places: &[PlaceTarget<'_>],
) -> Targets {
    decide_targets_without(None, keep, history, (away, places))
}

/// The same without one of the guards: for tests, which show that each of them is needed.
pub fn decide_targets_without<S: BuildHasher>(
    missing: Option<Guard>,
    keep: &Keep,
    history: &History<'_>,
    (away, places): (&HashSet<BackupId, S>, &[PlaceTarget<'_>]),
) -> Targets {
    let families = Families::new(history.points);
    let is_touched = |family: &Family<'_>| family.any(|it| away.contains(&it.id));
    // What is left here of a chain that went restores nothing by itself.
    let whole = families.all.iter().filter(|it| !is_touched(it));
    let present: Vec<Point> =
        whole.flat_map(|it| it.members.iter().map(|it| (*it).clone())).collect();
    let mut here = decide_without(missing, keep, &History { points: &present, ..history.clone() });
    let own: Vec<OwnRules<'_>> = places
        .iter()
        .filter_map(|place| match place.rule {
            PlaceRule::Own(keep) => Some(of_place(missing, keep, history, place)),
            // Of what is in the data directory no longer, there is nothing to follow.
            PlaceRule::Follows => Some(of_place(missing, keep, history, place)),
            PlaceRule::Unknown => None,
        })
        .collect();
    let (mut forgotten, mut following) = (Vec::new(), Vec::new());
    let mut expiring = HashMap::<&str, Vec<BackupId>>::new();
    let suspended = !here.suspended.is_empty();
    for family in &families.all {
        let root = family.root.id;
        let keepers = keepers(family, is_touched(family), places, &own);
        let is_kept = keepers.iter().any(|it| it.readable)
            && keepers.iter().all(|it| is_proven_in(it, family));
        let is_away = family.members.iter().all(|it| away.contains(&it.id));
        if !is_away && is_touched(family) {
            if is_kept && !suspended {
                let left = family.members.iter().map(|it| it.id);
                following.extend(left.filter(|id| !away.contains(id)));
            }
        } else if is_away {
            let is_known = places.iter().any(|place| holds(place, family));
            if is_known && keepers.is_empty() && !suspended {
                forgotten.push(root);
                continue;
            }
        } else if let Some(chain) = here.chains.iter_mut().find(|it| it.root == root)
            && !chain.fate.stays()
            && !keepers.is_empty()
        {
            chain.fate = leaving(family, &keepers, missing);
        }
        let leaves = here.chains.iter().find(|it| it.root == root);
        let leaves = leaves.is_some_and(|it| matches!(it.fate, Fate::Leaves { .. })) && !suspended;
        let may_go = !is_touched(family) || (is_kept && !suspended);
        for place in places.iter().filter(|place| holds(place, family)) {
            let goes = match place.rule {
                PlaceRule::Follows if !is_touched(family) => leaves,
                PlaceRule::Own(_) | PlaceRule::Follows => goes_from(place, family, &own),
                PlaceRule::Unknown => false,
            };
            let deleted = leaves_for_good(&here, root);
            if goes && may_go && !deleted {
                expiring.entry(place.name).or_default().extend(copies_of(place, family));
            }
        }
    }
    let places =
        places.iter().filter_map(|it| Some((it.name.to_owned(), expiring.remove(it.name)?)));
    Targets { here, places: places.collect(), forgotten, following }
}

/// Whether every archive of a chain is proven in a place.
fn is_proven_in(place: &PlaceTarget<'_>, family: &Family<'_>) -> bool {
    let proven = |it: &&Point| place.copies.get(&it.id).is_some_and(|proven| *proven);
    family.members.iter().all(|it| it.state == PointState::Failed || proven(it))
}

/// Whether the chain is deleted as a whole, with its copies.
fn leaves_for_good(here: &Decision, root: BackupId) -> bool {
    here.going().any(|it| it.root == root && !matches!(it.fate, Fate::Leaves { .. }))
}

/// What becomes of a chain that the data directory does not keep and these places do.
fn leaving(family: &Family<'_>, keepers: &[&PlaceTarget<'_>], missing: Option<Guard>) -> Fate {
    let holds = |guard: Guard| match guard {
        Guard::NotCopied => !keepers.iter().all(|it| is_proven_in(it, family)),
        _ => !keepers.iter().any(|it| it.readable),
    };
    let guards = [Guard::NotCopied, Guard::NoKey].into_iter();
    let guards: Vec<Guard> = guards.filter(|it| missing != Some(*it) && holds(*it)).collect();
    if guards.is_empty() {
        Fate::Leaves { places: keepers.iter().map(|it| it.name.to_owned()).collect() }
    } else {
        Fate::Stays { tiers: Vec::new(), guards }
    }
}

/// The places that keep a chain, or are to hold it. `touched`: a part of it left the data directory.
fn keepers<'p>(
    family: &Family<'_>,
    touched: bool,
    places: &'p [PlaceTarget<'p>],
    own: &[OwnRules<'_>],
) -> Vec<&'p PlaceTarget<'p>> {
    let keeps = |place: &&PlaceTarget<'_>| {
        holds(place, family)
            && match place.rule {
                PlaceRule::Follows if !touched => false,
                PlaceRule::Own(_) | PlaceRule::Follows => !goes_from(place, family, own),
                PlaceRule::Unknown => true,
            }
    };
    places.iter().filter(keeps).collect()
}

fn holds(place: &PlaceTarget<'_>, family: &Family<'_>) -> bool {
    family.any(|it| place.copies.contains_key(&it.id))
}

fn copies_of(place: &PlaceTarget<'_>, family: &Family<'_>) -> Vec<BackupId> {
    let held = family.members.iter().map(|it| it.id).filter(|id| place.copies.contains_key(id));
    held.collect()
}

/// Whether the root goes from a place, and nothing that is built on it stays there.
fn goes_from(place: &PlaceTarget<'_>, family: &Family<'_>, own: &[OwnRules<'_>]) -> bool {
    own.iter().filter(|it| it.place.name == place.name).any(|it| {
        it.going.contains(&family.root.id) && !family.any(|member| it.staying.contains(&member.id))
    })
}

/// What the rules of a place decide over what it holds. A copy that is not proven yet is in use.
fn of_place<'a>(
    missing: Option<Guard>,
    keep: &Keep,
    history: &History<'_>,
    place: &'a PlaceTarget<'a>,
) -> OwnRules<'a> {
    let held = history.points.iter().filter_map(|it| Some((it, *place.copies.get(&it.id)?)));
    let points: Vec<Point> = held
        .map(|(it, proven)| {
            let waits = it.state == PointState::Proven && !proven;
            Point { state: if waits { PointState::Busy } else { it.state }, ..it.clone() }
        })
        .collect();
    let decision = decide_without(missing, keep, &History { points: &points, ..history.clone() });
    let members = |chain: &Chain| chain.members.clone();
    let going: HashSet<BackupId> = decision.going().flat_map(members).collect();
    let all = decision.chains.iter().flat_map(members);
    let staying = all.filter(|id| !going.contains(id)).collect();
    OwnRules { place, going, staying }
}
