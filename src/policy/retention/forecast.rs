//! What a policy will keep on a day to come, if every backup until then is made and nobody does anything.

use std::collections::HashSet;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::{BackupId, InstanceId, Timestamp};
use crate::policy::Timetable;

use super::{Condition, Decision, History, Keep, Point, PointState, decide};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most backups that are imagined: a schedule of every minute would have no end.
const MOST: usize = 4000;

/// The backups of an instance on a day to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub at: Timestamp,
    /// Those of today that are still there.
    pub kept: HashSet<BackupId>,
    /// How many are made until then and are still there.
    pub new_points: usize,
    /// What all archives take. New ones take as much as the newest of their kind.
    pub bytes: u64,
    /// What is decided then, also over the new ones.
    pub decision: Decision,
}

/// The backups that are there at a moment, and what makes and removes them.
struct Simulation<'a> {
    points: Vec<Point>,
    /// Those that were made in it.
    new: HashSet<BackupId>,
    condition: Condition,
    keep: &'a Keep,
    timetable: Option<&'a Timetable>,
    instance: InstanceId,
    now: Timestamp,
}

/// What is there after so many days. Once a day goes what goes then.
pub fn forecast(
    keep: &Keep,
    history: &History<'_>,
    (instance, timetable): (InstanceId, Option<&Timetable>),
    days: u32,
) -> Forecast {
    let mut simulation = Simulation {
        points: history.points.to_vec(),
        new: HashSet::new(),
        condition: history.condition,
        keep,
        timetable,
        instance,
        now: history.now,
    };
    let mut decision = decide(keep, history);
    for _day in 0..days {
        simulation.remove(&decision);
        simulation.make_backups_until(simulation.now.plus(DAY));
        decision = simulation.decide(history);
    }
    let Simulation { points, new, now, .. } = simulation;
    let gone: HashSet<_> = decision.going().flat_map(|it| it.members.iter().copied()).collect();
    let left = || points.iter().filter(|it| days == 0 || !gone.contains(&it.id));
    Forecast {
        at: now,
        kept: left().map(|it| it.id).filter(|id| !new.contains(id)).collect(),
        new_points: left().filter(|it| new.contains(&it.id)).count(),
        bytes: left().map(|it| it.stored_bytes).fold(0, u64::saturating_add),
        decision,
    }
}

impl Simulation<'_> {
    fn decide(&self, history: &History<'_>) -> Decision {
        let (points, now) = (self.points.as_slice(), self.now);
        decide(self.keep, &History { points, condition: self.condition, now, zone: history.zone })
    }

    fn remove(&mut self, decision: &Decision) {
        let gone: HashSet<_> = decision.going().flat_map(|it| it.members.iter()).collect();
        self.points.retain(|it| !gone.contains(&it.id));
    }

    /// Makes the backups that are due until then.
    fn make_backups_until(&mut self, end: Timestamp) {
        let mut at = self.now;
        while let Some(next) = self.timetable.and_then(|it| it.next_start(self.instance, at)) {
            if next > end || next <= at || self.new.len() >= MOST {
                break;
            }
            self.make_backup(next);
            at = next;
        }
        self.now = end;
    }

    fn make_backup(&mut self, created: Timestamp) {
        let usable = || self.points.iter().filter(|it| it.state == PointState::Proven);
        let newest = usable().max_by_key(|it| it.created);
        let root = usable().filter(|it| it.parent.is_none()).max_by_key(|it| it.created);
        let parent = root.zip(newest).filter(|(root, _)| !self.is_full_due(root, created));
        let parent = parent.map(|(_, newest)| newest.id);
        let same_kind = |it: &&Point| it.parent.is_some() == parent.is_some();
        let like = usable().filter(same_kind).max_by_key(|it| it.created);
        let number = u128::try_from(self.new.len()).unwrap_or(u128::MAX);
        // No real id: those have a version.
        let id = BackupId::from_uuid(Uuid::from_u128(number));
        let point = Point {
            id,
            parent,
            created,
            state: PointState::Proven,
            pinned: false,
            stored_bytes: like.map_or(0, |it| it.stored_bytes),
            source_bytes: newest.map_or(0, |it| it.source_bytes),
        };
        self.new.insert(id);
        self.points.push(point);
    }

    fn is_full_due(&self, root: &Point, at: Timestamp) -> bool {
        let since = self
            .points
            .iter()
            .filter(|it| it.created >= root.created && it.state == PointState::Proven);
        let since = u32::try_from(since.count()).unwrap_or(u32::MAX);
        self.timetable.is_none_or(|it| it.full_every.is_due(&it.zone, root.created, since, at))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::policy::{FullEvery, Span, Tier};

    /// Noon, when the schedule makes a backup.
    fn day(number: u32) -> Timestamp {
        Timestamp::EARLIEST.plus(DAY * number + DAY / 2)
    }

    fn full(number: u32) -> Point {
        Point {
            id: BackupId::generate(),
            parent: None,
            created: day(number),
            state: PointState::Proven,
            pinned: false,
            stored_bytes: 100,
            source_bytes: 1000,
        }
    }

    fn daily() -> Timetable {
        Timetable {
            schedule: "daily 12:00".parse().unwrap(),
            zone: TimeZone::UTC,
            jitter: Span::default(),
            window: None,
            full_every: "1".parse::<FullEvery>().unwrap(),
            retries: 0,
        }
    }

    fn after(days: u32, timetable: Option<&Timetable>) -> (Vec<bool>, usize, u64) {
        let points: Vec<Point> = (0..5).map(full).collect();
        let condition = Condition { configured: true, store_whole: true, clock_jumped: None };
        let zone = TimeZone::UTC;
        let history = History { points: &points, condition, zone: &zone, now: day(4) };
        let keep = Keep::new([(Tier::Daily, 5)]);
        let found = forecast(&keep, &history, (InstanceId::generate(), timetable), days);
        let kept = points.iter().map(|it| found.kept.contains(&it.id)).collect();
        (kept, found.new_points, found.bytes)
    }

    #[test]
    fn each_new_day_takes_the_place_of_the_oldest() {
        let table = daily();
        assert_eq!(after(0, Some(&table)), (vec![true; 5], 0, 500));
        assert_eq!(after(2, Some(&table)), (vec![false, false, true, true, true], 2, 500));
        assert_eq!(after(30, Some(&table)), (vec![false; 5], 5, 500));
    }

    #[test]
    fn without_a_schedule_nothing_new_comes_and_nothing_goes() {
        assert_eq!(after(30, None), (vec![true; 5], 0, 500));
    }
}
