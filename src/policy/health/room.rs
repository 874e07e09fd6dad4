//! Whether the disk has room for the next backups.

use crate::domain::{DiskRoom, Timestamp};
use crate::policy::{Problem, ProblemKind};

/// What is wrong if `count` more backups of every instance do not fit. `usual` has the mean and the largest size of the
/// recent archives of each.
pub fn room_problem(
    room: DiskRoom,
    usual: &[(u64, u64)],
    count: u32,
    now: Timestamp,
) -> Option<Problem> {
    let needed = |mean: u64, largest: u64| mean.saturating_mul(count.into()).max(largest);
    let needed = usual
        .iter()
        .fold(0, |sum: u64, (mean, largest)| sum.saturating_add(needed(*mean, *largest)));
    let free = room.free_bytes.saturating_sub(room.headroom_bytes);
    if count == 0 || needed == 0 || free >= needed {
        return None;
    }
    Some(Problem {
        kind: ProblemKind::RoomLow,
        instance: None,
        since: now,
        message: format!(
            "the disk has {} left for backups, and {count} more of every instance need about {}",
            shown(free),
            shown(needed)
        ),
        advice: "make room on the disk of data_dir, or keep less (`keep` in the configuration)"
            .to_owned(),
    })
}

fn shown(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_low_when_the_next_backups_do_not_fit() {
        let now = Timestamp::EARLIEST;
        let room = |free| DiskRoom { free_bytes: free, total_bytes: 1000, headroom_bytes: 100 };
        let usual = [(10, 100), (50, 50)];
        // 100 for the largest of one, and three times 50.
        assert_eq!(room_problem(room(350), &usual, 3, now), None);
        let low = room_problem(room(349), &usual, 3, now).unwrap();
        assert_eq!((low.kind, low.instance), (ProblemKind::RoomLow, None));
        assert_eq!(room_problem(room(0), &[], 3, now), None, "nothing is known of the sizes");
        assert_eq!(room_problem(room(0), &usual, 0, now), None);
    }

    #[test]
    fn sizes_are_shown_in_a_unit_of_which_there_is_one() {
        assert_eq!(shown(512), "512 bytes");
        assert_eq!(shown(1536), "1.5 KiB");
        assert_eq!(shown(5 << 30), "5.0 GiB");
    }
}
