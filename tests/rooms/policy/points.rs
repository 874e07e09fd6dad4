//! Proven backups for tests that go case by case.

use coffer::domain::{BackupId, Timestamp};
use coffer::policy::{Point, PointState};
use uuid::Uuid;

pub(super) const DAY: i64 = 24 * 3600 * 1_000_000;
pub(super) const FIRST: i64 = 1_767_571_200_000_000;

pub(super) fn id(number: u128) -> BackupId {
    BackupId::from_uuid(Uuid::from_u128(number))
}

/// Made on the day of its number.
pub(super) fn point(number: u8, parent: Option<u128>) -> Point {
    Point {
        id: id(number.into()),
        parent: parent.map(id),
        created: Timestamp::from_micros(FIRST + i64::from(number) * DAY),
        state: PointState::Proven,
        pinned: false,
        stored_bytes: 100,
        source_bytes: 1000,
    }
}
