//! Retention over the data directory and two places, in random histories: what must hold of each of them, and together.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{
    Condition, Fate, Guard, History, Keep, PlaceRule, PlaceTarget, Point, PointState, Targets,
    Tier, decide_targets, decide_targets_without,
};
use fastrand::Rng;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::world::{World, random_policy};
use super::{invariant, seeds};

/// Steps of a history.
const STEPS: usize = 60;

/// A place, which has rules of its own or none.
struct Place {
    name: &'static str,
    keep: Option<Keep>,
    readable: bool,
    copies: HashMap<BackupId, bool>,
}

impl Place {
    fn target(&self, points: &[Point]) -> PlaceTarget<'_> {
        let known = |id: &BackupId| points.iter().any(|it| it.id == *id);
        let copies = self.copies.iter().filter(|(id, _)| known(id));
        PlaceTarget {
            name: self.name,
            rule: self.keep.as_ref().map_or(PlaceRule::Follows, PlaceRule::Own),
            readable: self.readable,
            copies: copies.map(|(id, proven)| (*id, *proven)).collect(),
        }
    }

    fn holds(&self, id: BackupId) -> bool {
        self.copies.get(&id) == Some(&true)
    }
}

struct House {
    world: World,
    random: Rng,
    away: HashSet<BackupId>,
    places: [Place; 2],
}

impl House {
    fn new(seed: u64, zone: &TimeZone) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x5eed);
        let own = Some(random_policy(&mut random));
        let other = random.bool().then(|| random_policy(&mut random));
        let place = |name, keep, readable| Place { name, keep, readable, copies: HashMap::new() };
        let places =
            [place("nas", own, random.u32(..4) > 0), place("offsite", other, random.bool())];
        Self { world: World::new(seed, zone), random, away: HashSet::new(), places }
    }

    /// Some of what is not copied yet is, what it is built on before it; rules change now and then.
    fn copy(&mut self) {
        let points = self.world.shown();
        for place in &mut self.places {
            for it in points.iter().filter(|it| it.state == PointState::Proven) {
                place.copies.entry(it.id).or_insert(false);
                let parent = it.parent.is_none_or(|it| place.copies.get(&it) == Some(&true));
                if parent && self.random.u32(..3) > 0 {
                    place.copies.insert(it.id, true);
                }
            }
            if self.random.u32(..30) == 0 {
                place.keep = self.random.bool().then(|| random_policy(&mut self.random));
            }
        }
    }

    fn decide(&mut self, missing: Option<Guard>) -> Targets {
        // The server looks at the clock.
        self.world.decide(missing);
        let points = self.world.shown();
        let places: Vec<_> = self.places.iter().map(|it| it.target(&points)).collect();
        let others = (&self.away, places.as_slice());
        decide_targets_without(missing, &self.world.keep, &self.world.history(&points), others)
    }

    fn carry_out(&mut self, targets: &Targets) -> usize {
        let mut left = 0;
        for chain in targets.here.going() {
            if matches!(chain.fate, Fate::Leaves { .. }) {
                left += 1;
                self.away.extend(&chain.members);
            } else {
                self.world.delete(chain.root);
            }
        }
        for root in &targets.forgotten {
            self.world.delete(*root);
        }
        self.away.extend(&targets.following);
        for (name, ids) in &targets.places {
            let place = self.places.iter_mut().find(|it| it.name == name).unwrap();
            place.copies.retain(|id, _| !ids.contains(id));
        }
        left
    }
}

/// A restore point with all that it is built on.
fn chain_of(points: &[Point], id: BackupId) -> Vec<BackupId> {
    let mut chain = vec![id];
    while let Some(parent) = points.iter().find(|it| Some(&it.id) == chain.last())
        && let Some(parent) = parent.parent
    {
        chain.push(parent);
    }
    chain
}

/// What holds of the data directory by itself: as if there were no places.
fn check_here(house: &House, targets: &Targets) -> Result<(), String> {
    let points = house.world.shown();
    let root = |id| *chain_of(&points, id).last().unwrap();
    let touched: HashSet<BackupId> = house.away.iter().map(|id| root(*id)).collect();
    let present = points.iter().filter(|it| !touched.contains(&root(it.id)));
    let mut decision = targets.here.clone();
    let why = if house.world.keep.max_size.is_some() { Fate::OverSize } else { Fate::Expired };
    for chain in &mut decision.chains {
        if matches!(chain.fate, Fate::Leaves { .. }) {
            let failed = |id: &BackupId| {
                points.iter().any(|it| it.id == *id && it.state == PointState::Failed)
            };
            let mut places = house.places.iter().filter(|it| it.readable);
            if !places.any(|place| chain.members.iter().all(|id| failed(id) || place.holds(*id))) {
                return Err(format!("what leaves of {} can be read nowhere", chain.root));
            }
            chain.fate = why.clone();
        }
    }
    let present: Vec<Point> = present.cloned().collect();
    invariant::check_of(&house.world, &present, &decision)
}

fn check_places(house: &House, targets: &Targets) -> Result<(), String> {
    let points = house.world.shown();
    let for_good = gone_for_good(&points, targets);
    for place in &house.places {
        let none = Vec::new();
        let copies = targets.places.iter().find(|(name, _)| name == place.name);
        let going = &copies.map_or(&none, |(_, ids)| ids);
        let held: Vec<Point> = points.iter().filter(|it| place.holds(it.id)).cloned().collect();
        let newest = invariant::proven(&held).last().map(|it| chain_of(&points, it.id));
        let own = place.keep.is_some();
        let goes = |id: &BackupId| going.contains(id) || for_good.contains(id);
        if own && newest.is_some_and(|chain| chain.iter().any(goes)) {
            return Err(format!(
                "the newest chain that is proven in {} goes from there",
                place.name
            ));
        }
        if own && held.iter().any(|it| it.pinned && goes(&it.id)) {
            return Err(format!("what is pinned goes from {}", place.name));
        }
        for it in points.iter().filter(|it| going.contains(&it.id)) {
            let children = points.iter().filter(|child| child.parent == Some(it.id));
            let mut held = children.filter(|it| place.copies.contains_key(&it.id));
            if held.any(|child| !going.contains(&child.id)) {
                return Err(format!("a chain is broken in {}", place.name));
            }
        }
    }
    check_what_follows(house, targets, &points)
}

/// What is deleted or forgotten, with all its copies.
fn gone_for_good(points: &[Point], targets: &Targets) -> HashSet<BackupId> {
    let deleted = targets.here.going().filter(|it| !matches!(it.fate, Fate::Leaves { .. }));
    let roots: HashSet<BackupId> =
        deleted.map(|it| it.root).chain(targets.forgotten.iter().copied()).collect();
    let gone =
        points.iter().filter(|it| chain_of(points, it.id).iter().any(|id| roots.contains(id)));
    gone.map(|it| it.id).collect()
}

/// What goes because something else went: what is left here of a chain, and copies in a place without rules.
fn check_what_follows(house: &House, targets: &Targets, points: &[Point]) -> Result<(), String> {
    let Condition { configured, store_whole, .. } = house.world.condition;
    let nothing = targets.following.is_empty() && targets.places.is_empty();
    if !(configured && store_whole || nothing && targets.forgotten.is_empty()) {
        return Err("something goes while nothing may".to_owned());
    }
    let suspended = !targets.here.suspended.is_empty();
    if suspended && !(targets.following.is_empty() && targets.forgotten.is_empty()) {
        return Err("something goes while nothing may go from the data directory".to_owned());
    }
    let state = |id: &BackupId| points.iter().find(|it| it.id == *id).map(|it| it.state);
    for id in &targets.following {
        let mut places = house.places.iter().filter(|it| it.readable);
        let held = |place: &Place| {
            let mut chain = chain_of(points, *id).into_iter();
            chain.all(|id| state(&id) == Some(PointState::Failed) || place.holds(id))
        };
        if !places.any(held) {
            return Err(format!("{id} follows its chain, and can be read nowhere"));
        }
    }
    let leaving: HashSet<BackupId> =
        targets.here.going().flat_map(|it| it.members.iter().copied()).collect();
    for place in house.places.iter().filter(|it| it.keep.is_none()) {
        let copies = targets.places.iter().filter(|(name, _)| name == place.name);
        let mut copies = copies.flat_map(|(_, ids)| ids);
        // Of a chain that left the data directory before, a place without rules decides as that would.
        let is_touched = |id| chain_of(points, id).iter().any(|it| house.away.contains(it));
        if let Some(id) = copies.find(|id| !leaving.contains(id) && !is_touched(**id)) {
            return Err(format!("{id} goes from {} and stays here", place.name));
        }
    }
    Ok(())
}

/// What holds of all targets together, once everything was carried out.
fn check_together(
    before: &[Point],
    was: &[HashSet<BackupId>],
    house: &House,
) -> Result<(), String> {
    let points = house.world.shown();
    let is_whole = |chain: &[BackupId], place: &Place| chain.iter().all(|id| place.holds(*id));
    for it in invariant::proven(&points) {
        let is_there = |id: &BackupId| {
            !house.away.contains(id) || house.places.iter().any(|place| place.holds(*id))
        };
        if !chain_of(&points, it.id).iter().all(is_there) {
            return Err(format!("a part of the chain of {} is nowhere", it.id));
        }
    }
    let Some(newest) = invariant::proven(before).last().map(|it| chain_of(before, it.id)) else {
        return Ok(());
    };
    if newest.iter().any(|id| !points.iter().any(|it| it.id == *id)) {
        return Err("the newest proven backup is forgotten".to_owned());
    }
    for (place, was) in house.places.iter().zip(was) {
        if newest.iter().all(|id| was.contains(id)) && !is_whole(&newest, place) {
            return Err(format!("{} has the newest proven chain no longer", place.name));
        }
    }
    Ok(())
}

/// Runs one history; what it broke, and how many chains left the data directory and copies their places.
fn run(seed: u64, zone: &TimeZone, missing: Option<Guard>) -> Result<(usize, usize), String> {
    let mut house = House::new(seed, zone);
    let (mut left, mut expired) = (0, 0);
    for step in 0..STEPS {
        house.world.step();
        house.copy();
        if step % 2 == 0 {
            continue;
        }
        let targets = house.decide(missing);
        let before = house.world.shown();
        let was = house.places.each_ref().map(|place| {
            place.copies.iter().filter(|(_, proven)| **proven).map(|(id, _)| *id).collect()
        });
        let checked = check_here(&house, &targets).and_then(|()| check_places(&house, &targets));
        left += house.carry_out(&targets);
        expired += targets.places.iter().map(|(_, ids)| ids.len()).sum::<usize>();
        checked
            .and_then(|()| check_together(&before, &was, &house))
            .map_err(|why| format!("history {seed}, step {step}: {why}; {targets:#?}"))?;
    }
    Ok((left, expired))
}

#[test]
fn in_random_histories_no_chain_is_broken_and_the_newest_has_all_its_copies_in_every_target() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let (mut left, mut expired) = (0, 0);
    let seeds = seeds(300);
    let enough = usize::try_from(seeds.end - seeds.start).unwrap();
    for seed in seeds {
        let (went, copies) = run(seed, &zone, None).unwrap_or_else(|why| panic!("{why}"));
        (left, expired) = (left + went, expired + copies);
    }
    assert!(left > enough / 4, "only {left} chains left: the histories show little");
    assert!(expired > enough / 4, "only {expired} copies went");
}

#[test]
fn a_copy_stays_while_something_pinned_is_built_on_it_though_what_lies_between_has_none() {
    let zone = TimeZone::UTC;
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let point = |number: u128, parent: Option<u128>, state, pinned| Point {
        id: BackupId::from_uuid(Uuid::from_u128(number)),
        parent: parent.map(|it| BackupId::from_uuid(Uuid::from_u128(it))),
        created: now.minus(Duration::from_secs(86_400 * (10 - u64::try_from(number).unwrap()))),
        state,
        pinned,
        stored_bytes: 1 << 20,
        source_bytes: 1 << 20,
    };
    let decided = |pinned| {
        let points = [
            point(1, None, PointState::Proven, false),
            point(2, Some(1), PointState::Damaged, false),
            point(3, Some(2), PointState::Proven, pinned),
            point(4, None, PointState::Proven, false),
            point(5, None, PointState::Proven, false),
        ];
        let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
        let history = History { points: &points, condition, zone: &zone, now };
        // A damaged backup has no copy.
        let copies = points.iter().filter(|it| it.state == PointState::Proven);
        let keep = Keep::new([(Tier::Last, 1)]);
        let place = PlaceTarget {
            name: "nas",
            rule: PlaceRule::Own(&keep),
            readable: true,
            copies: copies.map(|it| (it.id, true)).collect(),
        };
        let all = Keep::new([(Tier::Last, 99)]);
        decide_targets(&all, &history, &HashSet::<BackupId>::new(), &[place]).places
    };
    let nas = |numbers: &[u128]| {
        let ids = numbers.iter().map(|it| BackupId::from_uuid(Uuid::from_u128(*it)));
        [("nas".to_owned(), ids.collect::<Vec<_>>())]
    };
    assert_eq!(decided(true), nas(&[4]));
    assert_eq!(decided(false), nas(&[4, 1, 3]));
}

#[test]
fn without_waiting_for_copies_something_would_be_nowhere() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let broken = (0..3_000).find_map(|seed| run(seed, &zone, Some(Guard::NotCopied)).err());
    assert!(broken.is_some_and(|why| why.contains("nowhere")));
}

#[test]
fn without_asking_for_a_key_only_what_nothing_here_reads_would_be_left() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let broken = (0..3_000).find_map(|seed| run(seed, &zone, Some(Guard::NoKey)).err());
    assert!(broken.is_some_and(|why| why.contains("can be read nowhere")));
}
