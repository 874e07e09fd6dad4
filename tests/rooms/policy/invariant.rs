//! What must hold whenever retention lets something go, said again without the code that decides it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{Decision, Fate, Point, PointState, Tier};
use jiff::Timestamp as Instant;

use super::world::{DAY, HOUR, World};

/// Fails with what is broken if this decision may not be carried out.
pub(super) fn check(world: &World, decision: &Decision) -> Result<(), String> {
    check_of(world, &world.shown(), decision)
}

/// The same of a part of the backups.
pub(super) fn check_of(world: &World, points: &[Point], decision: &Decision) -> Result<(), String> {
    let going: HashSet<BackupId> =
        decision.going().flat_map(|chain| chain.members.iter().copied()).collect();
    if going.is_empty() {
        return Ok(());
    }
    let proven = proven(points);
    let require = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    require(world.condition.configured, "the instance is not configured")?;
    require(world.condition.store_whole, "the store is not whole")?;
    require(!points.iter().any(|it| it.state == PointState::Missing), "an archive is missing")?;
    let late = world.now.plus(Duration::from_secs(HOUR));
    require(points.iter().all(|it| it.created <= late), "the clock is behind a backup")?;
    if let Some(jump) = world.condition.clock_jumped {
        // Two of the same moment are one backup of the source.
        let since: HashSet<Timestamp> =
            proven.iter().map(|it| it.created).filter(|it| *it >= jump).collect();
        require(since.len() >= 3, "the clock jumped")?;
    }
    require(!shrank(&proven), "the source shrank")?;
    newest_stays(points, &proven, &going)?;
    for point in points.iter().filter(|it| going.contains(&it.id)) {
        require(!point.pinned, "a pinned backup goes")?;
        let touched = matches!(point.state, PointState::Damaged | PointState::Busy);
        require(!touched, "a damaged or busy backup goes")?;
        let old = point.created <= world.now.minus(world.keep.min_age.duration());
        require(old, "a backup that is too young goes")?;
        let with_parent = point.parent.is_none_or(|parent| {
            going.contains(&parent) || points.iter().all(|it| it.id != parent)
        });
        require(with_parent, "a part of a chain goes")?;
        let children = points.iter().filter(|it| it.parent == Some(point.id));
        require(children.into_iter().all(|it| going.contains(&it.id)), "a child stays behind")?;
        let newer = |it: &&Point| {
            it.parent.is_none() && it.created > point.created && !going.contains(&it.id)
        };
        let root = point.parent.is_none();
        require(!root || proven.iter().any(newer), "no newer proven root stays")?;
    }
    promises_are_kept(world, decision, &proven, &going)
}

/// The restore points whose whole chain is proven, oldest first. Parents come before their children.
pub(super) fn proven(points: &[Point]) -> Vec<&Point> {
    let mut known = HashMap::new();
    for point in points {
        let parent = point.parent.is_none_or(|parent| known.get(&parent) == Some(&true));
        known.insert(point.id, parent && point.state == PointState::Proven);
    }
    points.iter().filter(|it| known.get(&it.id) == Some(&true)).collect()
}

fn newest_stays(
    points: &[Point],
    proven: &[&Point],
    going: &HashSet<BackupId>,
) -> Result<(), String> {
    let mut needed = proven.last().map(|it| it.id);
    if needed.is_none() {
        return Err("something goes, and nothing is proven".to_owned());
    }
    while let Some(id) = needed {
        if going.contains(&id) {
            return Err("the newest proven chain goes".to_owned());
        }
        needed = points.iter().find(|it| it.id == id).and_then(|it| it.parent);
    }
    Ok(())
}

fn shrank(proven: &[&Point]) -> bool {
    let Some((newest, older)) = proven.split_last() else { return false };
    let since = newest.created.minus(Duration::from_secs(14 * DAY));
    let compared = older.iter().filter(|it| it.created >= since);
    compared.into_iter().any(|it| newest.source_bytes < it.source_bytes.div_ceil(2))
}

/// The newest of each of the last periods that have one stays, but for want of room.
fn promises_are_kept(
    world: &World,
    decision: &Decision,
    proven: &[&Point],
    going: &HashSet<BackupId>,
) -> Result<(), String> {
    let over_size: HashSet<BackupId> = decision
        .going()
        .filter(|it| it.fate == Fate::OverSize)
        .flat_map(|it| it.members.iter().copied())
        .collect();
    if !over_size.is_empty() && world.keep.max_size.is_none() {
        return Err("something goes for its size, without a limit".to_owned());
    }
    let expired = |id: &BackupId| going.contains(id) && !over_size.contains(id);
    if world.keep.tiers().is_empty() && proven.iter().any(|it| expired(&it.id)) {
        return Err("something expires, and there is no rule".to_owned());
    }
    // An incremental backup and the full one that was made of it have the same moment: one of them has to stay.
    let mut moments: BTreeMap<Timestamp, Vec<BackupId>> = BTreeMap::new();
    for point in proven {
        moments.entry(point.created).or_default().push(point.id);
    }
    for (tier, count) in world.keep.tiers() {
        let mut newest: BTreeMap<String, &Vec<BackupId>> = BTreeMap::new();
        for (at, (created, ids)) in moments.iter().enumerate() {
            newest.insert(period(world, *tier, at, *created), ids);
        }
        let kept = newest.values().rev().take(usize::try_from(count.get()).unwrap());
        if kept.into_iter().any(|ids| ids.iter().all(expired)) {
            return Err(format!("something that {} = {count} keeps expires", tier.as_str()));
        }
    }
    Ok(())
}

/// A name of the period that sorts by time.
fn period(world: &World, tier: Tier, at: usize, created: Timestamp) -> String {
    let instant = Instant::from_microsecond(created.as_micros()).unwrap();
    let shown = world.zone.to_datetime(instant);
    let week = shown.date().iso_week_date();
    match tier {
        Tier::Last => format!("{at:09}"),
        Tier::Hourly => format!("{:012}", created.as_micros() / 1_000_000 / 3600),
        Tier::Daily => shown.date().to_string(),
        Tier::Weekly => format!("{} {:02}", week.year(), week.week()),
        Tier::Monthly => format!("{} {:02}", shown.year(), shown.month()),
        Tier::Yearly => shown.year().to_string(),
    }
}
