//! The bell that wakes workers.

use std::time::Duration;

use coffer::bell::Bell;

#[test]
fn a_ring_between_checking_for_work_and_waiting_is_not_lost() {
    let bell = Bell::default();
    let seen = bell.count();
    bell.ring();
    assert!(bell.wait_past(seen, Duration::ZERO));
    assert!(!bell.wait_past(bell.count(), Duration::ZERO));
}
