//! What is wrong with a fleet: devices that went silent, and what cannot be read of it.

use std::time::Duration;

use crate::domain::{FleetInstance, FleetReading, Timestamp};
use crate::policy::{Problem, ProblemKind};

/// From so many backups on they show how far apart they are made.
const ENOUGH: usize = 3;
/// When one is expected of a device of which fewer are known.
const AT_FIRST: Duration = Duration::from_secs(7 * 24 * 3600);
/// A device may be late by half of its usual time, and by this much in any case: it restarts, its line is down.
const SHORTEST_GRACE: Duration = Duration::from_secs(3600);

/// How long a fleet may be out of reach.
const UNREAD_GRACE: Duration = Duration::from_secs(10 * 60);

/// How many devices a sentence names.
pub const NAMED: u32 = 3;

/// By when a device should have another backup: after the longest time that lay between its last ones, which `made` has
/// with the newest first, and half of that again; or after `within` if the configuration says it. `None`: it has none.
pub fn expected_next(made: &[Timestamp], within: Option<Duration>) -> Option<Timestamp> {
    let newest = *made.first()?;
    if let Some(within) = within {
        return Some(newest.plus(within));
    }
    if made.len() < ENOUGH {
        return Some(newest.plus(AT_FIRST));
    }
    let gaps = made.windows(2).filter_map(|pair| match pair {
        [later, earlier] => Some(earlier.until(*later)),
        _ => None,
    });
    let longest = gaps.max().unwrap_or(AT_FIRST);
    Some(newest.plus(longest).plus((longest / 2).max(SHORTEST_GRACE)))
}

/// What is wrong if so many instances are silent, since this time; `first` are some of them.
pub fn silent_problem(count: u32, since: Timestamp, first: &[FleetInstance]) -> Problem {
    let said = first.iter().map(|it| {
        let newest = it.newest_at.map_or_else(String::new, |at| format!(" ({} UTC)", at.to_wire()));
        format!("{}{newest}", it.title())
    });
    let more = count.saturating_sub(u32::try_from(first.len()).unwrap_or(u32::MAX));
    let more = (more > 0).then(|| format!("{more} more"));
    let names: Vec<_> = said.chain(more).collect();
    Problem {
        kind: ProblemKind::DeviceSilent,
        instance: None,
        since,
        message: format!(
            "there is no new backup of {count} in the fleet, although there should be by now; the newest of: {}",
            names.join(", ")
        ),
        advice: "see on the device whether it runs, makes backups and copies them (coffer status there); coffer fleet --silent \
                 lists them, and `retired` in its [[places]] names devices of which none is expected any more"
            .to_owned(),
    }
}

/// What is wrong with the readings of fleets themselves.
pub fn fleet_problem(readings: &[FleetReading], now: Timestamp) -> Option<Problem> {
    let lasting = |it: &FleetReading| {
        let (since, why) = it.failing.as_ref().filter(|it| it.0.plus(UNREAD_GRACE) <= now)?;
        let place = &it.place;
        Some((
            *since,
            format!(
                "the fleet in {place} cannot be read, so nobody sees which devices are silent: {why}"
            ),
        ))
    };
    let crowded = |it: &FleetReading| {
        let (since, count, place) = (it.read?, it.left_out, &it.place);
        let said = format!(
            "{count} archives in {place} are not in the list: a device has too many instances or backups"
        );
        (count > 0).then_some((since, said))
    };
    let found: Vec<_> =
        readings.iter().flat_map(|it| [lasting(it), crowded(it)]).flatten().collect();
    let since = found.iter().map(|it| it.0).min()?;
    Some(Problem {
        kind: ProblemKind::FleetUnread,
        instance: None,
        since,
        message: found.into_iter().map(|it| it.1).collect::<Vec<_>>().join("; "),
        advice: "mend what is said: the bucket, the credentials or the mount; it is read again by itself".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn hours(ago: &[u32]) -> Vec<Timestamp> {
        let now = Timestamp::EARLIEST.plus(HOUR * 10_000);
        ago.iter().map(|it| now.minus(HOUR * *it)).collect()
    }

    #[test]
    fn a_backup_is_expected_after_the_longest_usual_time_and_half_of_it() {
        let expected = |ago: &[u32], within| {
            let made = hours(ago);
            expected_next(&made, within).map(|it| made[0].until(it))
        };
        assert_eq!(expected(&[], None), None);
        assert_eq!(expected(&[5], None), Some(HOUR * 168), "one backup promises nothing yet");
        assert_eq!(expected(&[0, 24, 48], None), Some(HOUR * 36));
        // Not on weekends.
        assert_eq!(expected(&[0, 24, 96, 120], None), Some(HOUR * 108));
        assert_eq!(expected(&[0, 1, 2, 3], None), Some(HOUR * 2), "at least an hour of grace");
        assert_eq!(expected(&[0, 24, 48], Some(HOUR * 5)), Some(HOUR * 5));
    }

    #[test]
    fn a_fleet_that_was_out_of_reach_for_a_moment_is_no_problem() {
        let since = Timestamp::EARLIEST;
        let reading = FleetReading {
            place: "all".to_owned(),
            failing: Some((since, "no route".to_owned())),
            ..FleetReading::default()
        };
        assert_eq!(fleet_problem(std::slice::from_ref(&reading), since.plus(HOUR / 10)), None);
        let found = fleet_problem(&[reading], since.plus(HOUR)).unwrap();
        assert!(found.message.contains("all cannot be read") && found.message.contains("no route"));
        let crowded = FleetReading { left_out: 2, read: Some(since), ..FleetReading::default() };
        assert!(fleet_problem(&[crowded], since).unwrap().message.starts_with("2 archives"));
    }
}
