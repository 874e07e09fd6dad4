//! Connections that found no room and wait for it: each holds a file descriptor, so not all of a crowd may. Addresses share the
//! room to wait, so that those which come again and again keep out nobody else.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Client;

/// So many of an address may wait, however many addresses do.
const LEAST: usize = 4;

/// Those that wait.
#[derive(Debug)]
pub(super) struct Queue {
    /// How many may wait, unless very many addresses do.
    most: usize,
    lanes: Mutex<HashMap<Option<Client>, Lane>>,
}

/// Those of one address.
#[derive(Debug, Default)]
struct Lane {
    /// How many came since somebody of the address has been waiting.
    came: usize,
    waiting: usize,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self { most, lanes: Mutex::default() }
    }

    /// One more waits, until the result is dropped.
    pub(super) fn join(&self, from: Option<Client>) -> Waiter<'_> {
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry(from).or_default();
        lane.waiting = lane.waiting.saturating_add(1);
        lane.came = lane.came.saturating_add(1);
        Waiter { queue: self, from, number: lane.came }
    }
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiter<'q> {
    queue: &'q Queue,
    from: Option<Client>,
    number: usize,
}

impl Waiter<'_> {
    /// Whether as many of its address came after it as may wait: the newest is the one whose client is still there.
    pub(super) fn must_leave(&self) -> bool {
        let lanes = self.queue.lanes.lock();
        let share = self.queue.most.checked_div(lanes.len()).unwrap_or(self.queue.most).max(LEAST);
        lanes.get(&self.from).is_some_and(|it| it.came.saturating_sub(self.number) >= share)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut lanes = self.queue.lanes.lock();
        if let Some(lane) = lanes.get_mut(&self.from) {
            lane.waiting = lane.waiting.saturating_sub(1);
            if lane.waiting == 0 {
                lanes.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(last: u8) -> Client {
        Client::at(Ipv4Addr::new(192, 0, 2, last).into())
    }

    #[test]
    fn who_came_first_of_an_address_leaves_when_too_many_wait() {
        let queue = Queue::new(8);
        let waiters: Vec<_> = (0..9).map(|_one| queue.join(Some(address(1)))).collect();
        let leave: Vec<_> = waiters.iter().map(Waiter::must_leave).collect();
        assert_eq!(leave.iter().filter(|it| **it).count(), 1);
        assert!(leave[0]);
    }

    #[test]
    fn a_crowd_does_not_send_away_who_waits_at_another_address() {
        let queue = Queue::new(16);
        let alone = queue.join(Some(address(1)));
        let crowd: Vec<_> = (2..4)
            .flat_map(|last| (0..50).map(move |_one| last))
            .map(|last| queue.join(Some(address(last))))
            .collect();
        assert!(!alone.must_leave());
        // Each of three addresses has a share.
        let left = crowd.iter().filter(|it| !it.must_leave()).count();
        assert_eq!(left, 2 * (16 / 3));
        drop(crowd);
        drop(alone);
        assert!(queue.lanes.lock().is_empty());
    }
}
