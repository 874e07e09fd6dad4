//! How many connections are open, and which one ends when another wants in.
//!
//! When as many as may be are open, the one that has been of no use for longest is closed for the new one: one
//! that waits for a request, sends one without end, or does not take its answer. One whose request is being
//! answered is never closed. If all are busy, those that have been open for longest end with their next answer, so that
//! clients which ask without end do not keep others out; and a few more are let into a reserve, for the health check, or to wait
//! there for a place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use parking_lot::Mutex;

pub(super) use self::member::{Member, Place};
use crate::api::{Connection, Entrance, Reserve};

mod member;
mod reserve;

/// Connections over the limit.
const RESERVE: usize = 8;
/// How often, and how many times, a connection that found no room tries again.
const WAIT: Duration = Duration::from_millis(50);
const WAITS: u32 = 20;
/// After how many times it may get into the reserve: those that are of no use have made room by then, also if all came at
/// once and were answered first.
const WAITS_FOR_ROOM: u32 = 14;

#[derive(Debug, Clone, Copy)]
pub(super) struct GateSettings {
    pub(super) entrance: Entrance,
    /// Connections at once.
    pub(super) most: usize,
    /// Of those, connections from one address.
    pub(super) per_address: usize,
}

/// Lets connections in.
#[derive(Debug)]
pub(super) struct Gate {
    settings: GateSettings,
    started: Instant,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Member>>>,
    /// The connections so far that had to wait for room.
    tickets: AtomicUsize,
    /// The connections of the reserve that wait for a place with a request.
    leaving: AtomicUsize,
    /// Bytes that were received and that no request has taken yet, of all connections.
    waiting_bytes: AtomicUsize,
}

impl Gate {
    pub(super) fn new(settings: GateSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            started: Instant::now(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            tickets: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
        })
    }

    /// Whether nobody is in.
    pub(super) fn is_empty(&self) -> bool {
        self.open.lock().is_empty()
    }

    /// Lets a connection in as soon as there is room or room can be made. It waits for that, but not for long, and
    /// not if as many came after it as may be open: each holds a file descriptor.
    pub(super) async fn wait_to_enter(
        self: &Arc<Self>,
        from: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) -> Option<Place> {
        if let Some(place) = self.enter(from, local, false) {
            return Some(place);
        }
        let ticket = self.tickets.fetch_add(1, Ordering::AcqRel);
        for again in 0..WAITS {
            sleep(WAIT).await;
            if self.newer_than(ticket) >= self.settings.most {
                return None;
            }
            if let Some(place) = self.enter(from, local, again >= WAITS_FOR_ROOM) {
                return Some(place);
            }
        }
        None
    }

    /// Lets a connection in, if there is room or room can be made, or else into the reserve if it `may_reserve`.
    fn enter(
        self: &Arc<Self>,
        from: Option<SocketAddr>,
        local: Option<SocketAddr>,
        may_reserve: bool,
    ) -> Option<Place> {
        let from = from.map(|it| network(it.ip()));
        let mut open = self.open.lock();
        let entrance = self.settings.entrance;
        let reserve: Option<Arc<dyn Reserve>> = if self.makes_room(&open, from) {
            None
        } else if may_reserve && self.makes_room_in_reserve(&open) {
            Some(Arc::<Self>::clone(self))
        } else {
            return None;
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(number, entrance, reserve, local);
        let member = Arc::new(Member::new(connection, from, self.now_ms()));
        open.insert(number, Arc::clone(&member));
        drop(open);
        Some(Place { gate: Arc::clone(self), member })
    }

    /// Whether there is room for a connection from this address, or was made.
    fn makes_room(&self, open: &HashMap<u64, Arc<Member>>, from: Option<IpAddr>) -> bool {
        let GateSettings { most, per_address, .. } = self.settings;
        let counted = || present(open).filter(|it| !it.is_in_reserve());
        let same_address = |it: &&Arc<Member>| it.from == from;
        if !self.holds_another(open) {
            false
        } else if from.is_some() && counted().filter(same_address).count() >= per_address {
            self.end_one_of(counted().filter(same_address))
        } else {
            counted().count() < most || self.end_one_of(counted())
        }
    }

    fn makes_room_in_reserve(&self, open: &HashMap<u64, Arc<Member>>) -> bool {
        let reserved = || present(open).filter(|it| it.is_in_reserve());
        self.holds_another(open) && (reserved().count() < RESERVE || self.end_idlest(reserved()))
    }

    /// Whether one more may be there: those that have to end do so within a moment, but hold a file descriptor until then.
    fn holds_another(&self, open: &HashMap<u64, Arc<Member>>) -> bool {
        open.len() < self.settings.most.saturating_mul(2).saturating_add(RESERVE)
    }

    /// Ends the connection that has been of no use for longest; or, if all are of use, lets the one that has been open for
    /// longest end with its next answer. Returns whether there is room now.
    fn end_one_of<'m>(&self, members: impl Iterator<Item = &'m Arc<Member>> + Clone) -> bool {
        let made_room = self.end_idlest(members.clone());
        if !made_room {
            let busy = members.filter(|it| !it.connection.ends_with_answer());
            if let Some(first) = busy.min_by_key(|it| it.connection.number()) {
                first.connection.end_with_answer();
            }
        }
        made_room
    }

    /// Ends the connection that has been of no use for longest, if one may be ended.
    fn end_idlest<'m>(&self, members: impl Iterator<Item = &'m Arc<Member>>) -> bool {
        let now = self.now_ms();
        let idlest = members
            .filter(|it| it.may_end(now))
            .min_by_key(|it| it.progress_ms.load(Ordering::Relaxed));
        idlest.map(|it| it.end()).is_some()
    }

    /// How many have had to wait since the one with this ticket.
    fn newer_than(&self, ticket: usize) -> usize {
        self.tickets.load(Ordering::Acquire).wrapping_sub(ticket).saturating_sub(1)
    }

    fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

/// Those that need not end.
fn present(open: &HashMap<u64, Arc<Member>>) -> impl Iterator<Item = &Arc<Member>> + Clone {
    open.values().filter(|it| !it.must_end())
}

/// What counts as one address: for IPv6 the network of 64 bits, of which a host may take any address.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RequestBody;

    fn gate(most: usize, per_address: usize) -> Arc<Gate> {
        Gate::new(GateSettings { entrance: Entrance::Port, most, per_address })
    }

    /// A connection that stays new, however slow the test is.
    fn enter(gate: &Arc<Gate>, ip: &str) -> Option<Place> {
        let place = gate.enter(Some(SocketAddr::new(ip.parse().unwrap(), 1)), None, true)?;
        place.member.progress_ms.store(u64::MAX, Ordering::Relaxed);
        Some(place)
    }

    /// Makes a connection one that has not sent anything for long.
    fn make_old(gate: &Gate, place: &Place) {
        let ago = gate.now_ms().saturating_sub(60_000);
        place.member.progress_ms.store(ago, Ordering::Relaxed);
    }

    /// A gate that has been open for longer than any patience.
    fn old(gate: Arc<Gate>) -> Arc<Gate> {
        let mut gate = Arc::into_inner(gate).unwrap();
        gate.started = gate.started.checked_sub(Duration::from_secs(3600)).unwrap_or(gate.started);
        Arc::new(gate)
    }

    #[test]
    fn the_idlest_connection_makes_room_and_a_new_one_does_not() {
        let gate = old(gate(2, 2));
        let first = enter(&gate, "192.0.2.1").unwrap();
        let second = enter(&gate, "192.0.2.2").unwrap();
        make_old(&gate, &second);
        let third = enter(&gate, "192.0.2.3").unwrap();
        assert_eq!(third.member.connection.entrance(), Entrance::Port);
        assert!(second.member.must_end() && !first.member.must_end());
        // The first and the third came just now.
        let fourth = enter(&gate, "192.0.2.4").unwrap();
        assert_eq!(fourth.member.connection.entrance(), Entrance::Reserve);
        assert!(!first.member.must_end() && !third.member.must_end());
    }

    #[test]
    fn a_busy_connection_is_not_ended_and_the_reserve_has_an_end() {
        let gate = old(gate(1, 1));
        let busy = enter(&gate, "192.0.2.1").unwrap();
        make_old(&gate, &busy);
        let request = Arc::clone(&busy.member.connection).begin(RequestBody::Sized(0));
        let reserve: Vec<_> =
            (0..RESERVE).map(|_more| enter(&gate, "192.0.2.2").unwrap()).collect();
        assert!(enter(&gate, "192.0.2.2").is_none());
        assert!(!busy.member.must_end());
        drop(request);
        assert!(reserve.iter().all(|it| it.member.connection.entrance() == Entrance::Reserve));
        assert_eq!(enter(&gate, "192.0.2.2").unwrap().member.connection.entrance(), Entrance::Port);
        assert!(busy.member.must_end());
    }

    #[test]
    fn the_longest_open_of_busy_connections_ends_with_its_answer() {
        let gate = old(gate(2, 2));
        let busy = ["192.0.2.1", "192.0.2.2"].map(|ip| enter(&gate, ip).unwrap());
        let requests = busy
            .each_ref()
            .map(|it| Arc::clone(&it.member.connection).begin(RequestBody::Sized(0)));
        let ends = || busy.each_ref().map(|it| it.member.connection.ends_with_answer());
        assert_eq!(ends(), [false, false]);
        let third = gate.enter(Some("192.0.2.3:1".parse().unwrap()), None, false);
        assert!(third.is_none());
        assert_eq!(ends(), [true, false]);
        assert!(gate.enter(Some("192.0.2.3:1".parse().unwrap()), None, false).is_none());
        assert_eq!(ends(), [true, true]);
        assert!(busy.iter().all(|it| !it.member.must_end()));
        drop((requests, busy));
        assert!(enter(&gate, "192.0.2.3").is_some());
    }

    #[test]
    fn an_address_at_its_limit_makes_room_among_its_own_only() {
        let gate = old(gate(10, 2));
        let other = enter(&gate, "198.51.100.1").unwrap();
        make_old(&gate, &other);
        let first = enter(&gate, "2001:db8::1").unwrap();
        let _second = enter(&gate, "2001:db8::ffff").unwrap();
        let third = enter(&gate, "2001:db8::2").unwrap();
        assert_eq!(third.member.connection.entrance(), Entrance::Reserve);
        make_old(&gate, &first);
        let fourth = enter(&gate, "2001:db8::2").unwrap();
        assert_eq!(fourth.member.connection.entrance(), Entrance::Port);
        assert!(first.member.must_end() && !other.member.must_end());
    }

    #[test]
    fn the_idlest_of_the_reserve_makes_room_for_the_next_health_check() {
        let gate = old(gate(1, 1));
        let busy = enter(&gate, "192.0.2.1").unwrap();
        let _request = Arc::clone(&busy.member.connection).begin(RequestBody::Sized(0));
        let reserve: Vec<_> =
            (0..RESERVE).map(|_more| enter(&gate, "192.0.2.2").unwrap()).collect();
        make_old(&gate, &reserve[3]);
        let next = enter(&gate, "192.0.2.2").unwrap();
        assert_eq!(next.member.connection.entrance(), Entrance::Reserve);
        assert!(reserve[3].member.must_end() && !busy.member.must_end());
    }

    #[actix_web::test]
    async fn a_connection_waits_for_room_but_not_for_long() {
        let gate = gate(1, 1);
        let busy: Vec<_> = (0..=RESERVE)
            .map(|_more| enter(&gate, "192.0.2.1").unwrap())
            .map(|it| (Arc::clone(&it.member.connection).begin(RequestBody::Sized(0)), it))
            .collect();
        let from = Some("192.0.2.1:1".parse().unwrap());
        assert!(gate.wait_to_enter(from, None).await.is_none());
        drop(busy);
        assert!(gate.wait_to_enter(from, None).await.is_some());
    }

    #[test]
    fn who_waits_counts_those_that_came_later() {
        let gate = gate(1, 1);
        let tickets: Vec<_> =
            (0..3).map(|_one| gate.tickets.fetch_add(1, Ordering::AcqRel)).collect();
        let newer: Vec<_> = tickets.into_iter().map(|it| gate.newer_than(it)).collect();
        assert_eq!(newer, [2, 1, 0]);
    }

    #[test]
    fn a_closed_connection_is_not_counted() {
        let gate = gate(1, 1);
        drop(enter(&gate, "192.0.2.1").unwrap());
        let place = enter(&gate, "192.0.2.1").unwrap();
        assert_eq!(place.member.connection.entrance(), Entrance::Port);
        place.add_waiting(5);
        assert_eq!(place.add_waiting(2), 7);
    }
}
