//! Connections of the reserve get a place among the others as soon as there is one, if their request waits for that.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::rt::time::sleep;

use super::{Gate, RESERVE, WAIT};
use crate::api::Reserve;

/// How many may wait for a place with a request; the rest of the reserve is for the health check.
const LEAVING: usize = RESERVE / 2;
/// How many times a request tries to get a place: it is refused within a second after its connection came.
const TRIES: u32 = 5;

impl Reserve for Gate {
    fn leave(&self, number: u64) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(self.wait_to_leave_reserve(number))
    }
}

impl Gate {
    /// Gives a connection of the reserve a place, if there is room or room can be made.
    fn leave_reserve_now(&self, number: u64) -> bool {
        let open = self.open.lock();
        let Some(member) = open.get(&number).filter(|it| !it.must_end()) else { return false };
        let made_room = self.makes_room(&open, member.from);
        if made_room {
            member.connection.take_place();
        }
        made_room
    }

    async fn wait_to_leave_reserve(&self, number: u64) -> bool {
        let leaving = Leaving::begin(&self.leaving);
        if leaving.others >= LEAVING {
            return false;
        }
        for _again in 0..TRIES {
            if self.leave_reserve_now(number) {
                return true;
            }
            sleep(WAIT).await;
        }
        false
    }
}

/// A connection of the reserve that waits for a place; counted until it is dropped.
#[derive(Debug)]
struct Leaving<'g> {
    count: &'g AtomicUsize,
    /// How many did so before.
    others: usize,
}

impl<'g> Leaving<'g> {
    fn begin(count: &'g AtomicUsize) -> Self {
        Self { count, others: count.fetch_add(1, Ordering::AcqRel) }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::super::{Client, GateSettings, HeldBytes, Place};
    use super::*;
    use crate::api::Entrance;
    use crate::api::RequestBody;

    /// A gate for one connection.
    fn small_gate() -> Arc<Gate> {
        let entrance = Entrance::Port;
        let settings = GateSettings { entrance, most: 1, per_address: 1, is_tls: false };
        Gate::new(settings, HeldBytes::default())
    }

    fn enter(gate: &Arc<Gate>) -> Place {
        gate.enter(Some(Client::at(Ipv4Addr::LOCALHOST.into())), None, true).unwrap()
    }

    #[actix_web::test]
    async fn a_request_in_the_reserve_gets_the_place_that_becomes_free() {
        let gate = small_gate();
        let busy = enter(&gate);
        let request = Arc::clone(&busy.member.connection).begin(RequestBody::Sized(0));
        let waits = enter(&gate);
        let connection = &waits.member.connection;
        assert_eq!(connection.entrance(), Entrance::Reserve);
        assert!(!connection.wait_for_place().await && connection.ends_with_answer());
        drop((request, busy));
        assert!(connection.wait_for_place().await && !connection.ends_with_answer());
        assert_eq!(connection.entrance(), Entrance::Port);
    }

    #[actix_web::test]
    async fn half_of_the_reserve_stays_for_health_checks() {
        let gate = small_gate();
        let busy = enter(&gate);
        let request = Arc::clone(&busy.member.connection).begin(RequestBody::Sized(0));
        let waits = enter(&gate);
        drop((request, busy));
        let others: Vec<_> = (0..LEAVING).map(|_other| Leaving::begin(&gate.leaving)).collect();
        assert!(!waits.member.connection.wait_for_place().await);
        drop(others);
        assert!(waits.member.connection.wait_for_place().await);
    }
}
