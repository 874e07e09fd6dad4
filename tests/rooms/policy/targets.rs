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

use super::invariant;
use super::world::{World, random_policy};

/// Steps of a history.
const STEPS: usize = 60;

/// How many histories; many more with `COFFER_POLICY_HISTORIES`.
fn histories() -> u64 {
    let asked = std::env::var("COFFER_POLICY_HISTORIES").ok();
    asked.map_or(300, |number| number.parse().expect("a number of histories"))
}

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
    for (name, going) in &targets.places {
        let place = house.places.iter().find(|it| it.name == name).unwrap();
        let held: Vec<Point> = points.iter().filter(|it| place.holds(it.id)).cloned().collect();
        let newest = invariant::proven(&held).last().map(|it| chain_of(&points, it.id));
        let own = place.keep.is_some();
        if own && newest.is_some_and(|chain| chain.iter().any(|id| going.contains(id))) {
            return Err(format!("the newest chain that is proven in {name} goes from there"));
        }
        for it in points.iter().filter(|it| going.contains(&it.id)) {
            let children = points.iter().filter(|child| child.parent == Some(it.id));
            let mut held = children.filter(|it| place.copies.contains_key(&it.id));
            if held.any(|child| !going.contains(&child.id)) {
                return Err(format!("a chain is broken in {name}"));
            }
            if own && it.pinned {
                return Err(format!("what is pinned goes from {name}"));
            }
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
    for seed in 0..histories() {
        let (went, copies) = run(seed, &zone, None).unwrap_or_else(|why| panic!("{why}"));
        (left, expired) = (left + went, expired + copies);
    }
    let enough = usize::try_from(histories()).unwrap();
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
