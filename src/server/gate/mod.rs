//! How many connections are open, and which one ends when another wants in.
//!
//! When as many as may be are open, the one that has been of no use for longest is closed for the new one: one
//! that waits for a request, sends one without end, or does not take its answer. One whose request is being
//! answered is never closed. An address that has more than another one has to make room for it at once, also with a
//! connection that is not idle yet. If all are busy, those that have been open for longest end with their next answer, so that
//! clients which ask without end do not keep others out; the first connection of a few more addresses gets in; and a few
//! more are let into a reserve, for the health check, or to wait there for a place.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use parking_lot::Mutex;

pub(super) use self::client::Client;
pub(super) use self::member::{Member, Place};
use self::queue::Queue;
use crate::api::{Connection, Entrance, Reserve};

mod client;
mod member;
mod queue;
mod reserve;

/// Connections over the limit.
const RESERVE: usize = 8;
/// Connections over the limit of addresses that have no other one.
const FIRSTS: usize = 16;
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
    /// Whether they are by TLS.
    pub(super) is_tls: bool,
}

/// Lets connections in.
#[derive(Debug)]
pub(super) struct Gate {
    settings: GateSettings,
    started: Instant,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Member>>>,
    /// Those that wait for room.
    queue: Queue,
    /// The connections of the reserve that wait for a place with a request.
    leaving: AtomicUsize,
    held_bytes: HeldBytes,
}

/// The bytes that the buffers of all connections hold, at the port and at the socket.
pub(super) type HeldBytes = Arc<AtomicUsize>;

impl Gate {
    pub(super) fn new(settings: GateSettings, held_bytes: HeldBytes) -> Arc<Self> {
        Arc::new(Self {
            settings,
            started: Instant::now(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            queue: Queue::new(settings.most),
            leaving: AtomicUsize::new(0),
            held_bytes,
        })
    }

    /// Whether nobody is in.
    pub(super) fn is_empty(&self) -> bool {
        self.open.lock().is_empty()
    }

    /// Lets a connection in as soon as there is room or room can be made. It waits for that, but not for long, and
    /// not if too many of its address came after it.
    pub(super) async fn wait_to_enter(
        self: &Arc<Self>,
        from: Option<Client>,
        local: Option<SocketAddr>,
    ) -> Option<Place> {
        if let Some(place) = self.enter(from, local, false) {
            return Some(place);
        }
        let waiter = self.queue.join(from);
        for again in 0..WAITS {
            sleep(WAIT).await;
            if waiter.must_leave() {
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
        from: Option<Client>,
        local: Option<SocketAddr>,
        may_reserve: bool,
    ) -> Option<Place> {
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
        let connection =
            Connection::new(number, entrance, reserve, local).by_tls(self.settings.is_tls);
        let member = Arc::new(Member::new(connection, from, self.now_ms()));
        open.insert(number, Arc::clone(&member));
        drop(open);
        Some(Place { gate: Arc::clone(self), member })
    }

    /// Whether there is room for a connection from this address, or was made.
    fn makes_room(&self, open: &HashMap<u64, Arc<Member>>, from: Option<Client>) -> bool {
        let GateSettings { most, per_address, .. } = self.settings;
        let counted = || present(open).filter(|it| !it.is_in_reserve());
        let of = |address: Option<Client>| counted().filter(move |it| it.from == address);
        let own = of(from).count();
        let is_first = from.is_some() && own == 0;
        if !self.holds_another(open, is_first) {
            false
        } else if from.is_some() && own >= per_address {
            self.end_one_of(of(from))
        } else if counted().count() < most {
            true
        } else {
            self.makes_room_of(counted(), own, is_first)
        }
    }

    /// Makes room among these, which are as many as may be, for one of an address that has so many of its `own`.
    fn makes_room_of<'m>(
        &self,
        counted: impl Iterator<Item = &'m Arc<Member>> + Clone,
        own: usize,
        is_first: bool,
    ) -> bool {
        let counts = count_addresses(counted.clone());
        let count = |it: &&Arc<Member>| counts.get(&it.from).copied().unwrap_or_default();
        // Nobody makes room for an address that has more, however long a busy server has not read what was sent.
        let with_as_many = counted.clone().filter(|it| count(it) >= own);
        if self.end_idlest(with_as_many.clone(), true) {
            return true;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        if most <= own.saturating_add(1) {
            return self.end_one_of(with_as_many);
        }
        let crowd = counted.clone().filter(|it| count(it) == most);
        self.end_idlest(crowd.clone(), false)
            || is_first && counted.count() < self.settings.most.saturating_add(FIRSTS)
            || self.end_one_of(crowd)
    }

    fn makes_room_in_reserve(&self, open: &HashMap<u64, Arc<Member>>) -> bool {
        let reserved = || present(open).filter(|it| it.is_in_reserve());
        self.holds_another(open, false)
            && (reserved().count() < RESERVE || self.end_idlest(reserved(), true))
    }

    /// Whether one more may be there, the `first` of its address or not: those that have to end do so within a moment, but hold
    /// a file descriptor until then.
    fn holds_another(&self, open: &HashMap<u64, Arc<Member>>, first: bool) -> bool {
        let most = self.settings.most.saturating_mul(2).saturating_add(RESERVE);
        open.len() < if first { most.saturating_add(FIRSTS) } else { most }
    }

    /// Ends the connection that has been of no use for longest; or, if all are of use, lets the one that has been open for
    /// longest end with its next answer. Returns whether there is room now.
    fn end_one_of<'m>(&self, members: impl Iterator<Item = &'m Arc<Member>> + Clone) -> bool {
        let made_room = self.end_idlest(members.clone(), true);
        if !made_room {
            let busy = members.filter(|it| !it.connection.ends_with_answer());
            if let Some(first) = busy.min_by_key(|it| it.connection.number()) {
                first.connection.end_with_answer();
            }
        }
        made_room
    }

    /// Ends the connection that has been of no use for longest, if one may be ended; with `patience` only one that is idle.
    fn end_idlest<'m>(
        &self,
        members: impl Iterator<Item = &'m Arc<Member>>,
        patience: bool,
    ) -> bool {
        let now = self.now_ms();
        let idlest = members
            .filter(|it| if patience { it.may_end(now) } else { !it.connection.is_busy() })
            .min_by_key(|it| it.progress_ms.load(Ordering::Relaxed));
        idlest.map(|it| it.end()).is_some()
    }

    fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }
}

/// Those that need not end.
fn present(open: &HashMap<u64, Arc<Member>>) -> impl Iterator<Item = &Arc<Member>> + Clone {
    open.values().filter(|it| !it.must_end())
}

/// How many of these connections each address has.
fn count_addresses<'m>(
    members: impl Iterator<Item = &'m Arc<Member>>,
) -> HashMap<Option<Client>, usize> {
    let mut counts: HashMap<Option<Client>, usize> = HashMap::new();
    for member in members {
        let count = counts.entry(member.from).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RequestBody;

    fn gate(most: usize, per_address: usize) -> Arc<Gate> {
        Gate::new(
            GateSettings { entrance: Entrance::Port, most, per_address, is_tls: false },
            HeldBytes::default(),
        )
    }

    /// A connection that stays new, however slow the test is.
    fn enter(gate: &Arc<Gate>, ip: &str) -> Option<Place> {
        enter_at(gate, ip, true)
    }

    fn enter_at(gate: &Arc<Gate>, ip: &str, may_reserve: bool) -> Option<Place> {
        let place = gate.enter(Some(Client::at(ip.parse().unwrap())), None, may_reserve)?;
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
        let third = gate.enter(Some(Client::at([192, 0, 2, 3].into())), None, false);
        assert!(third.is_none());
        assert_eq!(ends(), [true, false]);
        assert!(gate.enter(Some(Client::at([192, 0, 2, 3].into())), None, false).is_none());
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
        let from = Some(Client::at([192, 0, 2, 1].into()));
        assert!(gate.wait_to_enter(from, None).await.is_none());
        drop(busy);
        assert!(gate.wait_to_enter(from, None).await.is_some());
    }

    #[test]
    fn a_busy_crowd_of_a_process_does_not_keep_out_another_one() {
        let gate = gate(2, 2);
        let enter = |pid| gate.enter(Some(Client::Process(pid)), None, false);
        let busy: Vec<_> = (0..2)
            .map(|_one| enter(1).unwrap())
            .map(|it| (Arc::clone(&it.member.connection).begin(RequestBody::Sized(0)), it))
            .collect();
        assert!(enter(1).is_none());
        assert!(enter(2).is_some());
        drop(busy);
    }

    #[test]
    fn an_address_with_fewer_connections_gets_those_of_a_crowd_at_once() {
        let gate = gate(4, 4);
        let crowd: Vec<_> = (0..4).map(|_one| enter(&gate, "192.0.2.1").unwrap()).collect();
        // They came just now, so none makes room for one more of them.
        let more = enter(&gate, "192.0.2.1").unwrap();
        assert_eq!(more.member.connection.entrance(), Entrance::Reserve);
        let others = [(); 2].map(|()| enter(&gate, "192.0.2.2").unwrap());
        assert!(others.iter().all(|it| it.member.connection.entrance() == Entrance::Port));
        assert_eq!(crowd.iter().filter(|it| it.member.must_end()).count(), 2);
        // Each has its half.
        let third = enter(&gate, "192.0.2.2").unwrap();
        assert_eq!(third.member.connection.entrance(), Entrance::Reserve);
    }

    #[test]
    fn an_idle_connection_makes_no_room_for_an_address_that_has_more() {
        let gate = old(gate(3, 3));
        let crowd: Vec<_> = (0..2).map(|_one| enter(&gate, "192.0.2.1").unwrap()).collect();
        let other = enter(&gate, "192.0.2.2").unwrap();
        make_old(&gate, &other);
        let more = enter(&gate, "192.0.2.1").unwrap();
        assert_eq!(more.member.connection.entrance(), Entrance::Reserve);
        make_old(&gate, &crowd[1]);
        let more = enter(&gate, "192.0.2.1").unwrap();
        assert_eq!(more.member.connection.entrance(), Entrance::Port);
        assert!(crowd[1].member.must_end() && !other.member.must_end());
    }

    #[test]
    fn the_first_connection_of_an_address_gets_in_beside_a_busy_crowd() {
        let gate = gate(2, 2);
        let busy: Vec<_> = (0..2)
            .map(|_one| enter(&gate, "192.0.2.1").unwrap())
            .map(|it| (Arc::clone(&it.member.connection).begin(RequestBody::Sized(0)), it))
            .collect();
        let first = enter_at(&gate, "192.0.2.2", false).unwrap();
        assert_eq!(first.member.connection.entrance(), Entrance::Port);
        assert!(enter_at(&gate, "192.0.2.1", false).is_none());
        let others: Vec<_> = (3..=FIRSTS + 3)
            .map(|last| enter_at(&gate, &format!("192.0.2.{last}"), false))
            .collect();
        assert_eq!(others.iter().flatten().count(), FIRSTS - 1);
        assert!(busy.iter().all(|(_request, it)| !it.member.must_end()));
    }

    #[test]
    fn a_closed_connection_is_not_counted() {
        let gate = gate(1, 1);
        drop(enter(&gate, "192.0.2.1").unwrap());
        let place = enter(&gate, "192.0.2.1").unwrap();
        assert_eq!(place.member.connection.entrance(), Entrance::Port);
        assert_eq!((place.change_held(0, 5), place.change_held(5, 3)), (5, 3));
        let of_others = place.change_held(0, 4);
        assert_eq!((of_others, place.change_held(3, 0)), (7, 4));
    }
}
