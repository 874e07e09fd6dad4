//! How soon somebody hears of it: of a failure, and of a backup that was not made. On the clock of the test; the
//! notifier says itself when it looks again, and the thread that runs it waits until then or until the bell rings.

use coffer::catalog::{Job, Lane};
use coffer::domain::{Failure, FailureCode, ParentChoice};
use coffer::policy::{HealthLimits, Policy, ProblemKind};
use jiff::tz::TimeZone;

use super::*;
use crate::catalog::fixture::{member, new_backup};
use crate::policy::daily;

const GRACE: Duration = Duration::from_secs(2 * 3600);

impl House {
    /// What is wrong is what the catalog says.
    pub(super) fn watching_the_catalog(channels: Vec<Channel>) -> Self {
        let mut house = Self::new(channels);
        let catalog = Arc::clone(&house.catalog);
        house.notifier = Notifier::new(
            Arc::clone(&catalog),
            Arc::<SetClock>::clone(&house.clock),
            Arc::new(Channels::new(house.channels.clone())),
            Arc::clone(&house.bell),
            Box::new(move || catalog.problems()),
        );
        house.tick_after(A_WHILE);
        house
    }

    /// Looks whenever the notifier wants to, until a message about this is sent; how long that takes.
    fn waited_for(&mut self, kind: ProblemKind) -> Duration {
        let began = self.clock.now();
        loop {
            let next = self.notifier.tick();
            if self.catalog.open_alerts().unwrap().iter().any(|it| it.kind == kind) {
                return began.until(self.clock.now());
            }
            assert!(began.until(next) < Duration::from_secs(24 * 3600), "no message is sent");
            self.clock.0.store(next.as_micros(), Ordering::SeqCst);
        }
    }
}

#[test]
fn a_failure_wakes_the_notifier_which_tells_of_it_within_two_seconds() {
    let receiver = HttpReceiver::start();
    let mut house = House::watching_the_catalog(vec![webhook(&receiver)]);
    let new = new_backup(shop(), ParentChoice::None);
    let id = house.catalog.create_backup(&member("a"), new).wait().unwrap().id;
    let Some(Job::Backup(_)) = house.catalog.claim(Lane::Work).unwrap() else { panic!() };
    house.notifier.tick();
    let rung = house.bell.count();
    let failure = Failure::new(FailureCode::SourceMissing, "there is no such file");
    house.catalog.fail(id, failure).wait().unwrap();
    assert_ne!(house.bell.count(), rung, "the thread does not wait any longer");
    // Somebody looked just before.
    assert!(house.waited_for(ProblemKind::Failed) <= Duration::from_secs(2));
    house.delivered();
    assert_eq!(events(&receiver), ["began failed"]);
}

#[test]
fn a_backup_that_is_not_made_is_reported_half_a_minute_after_its_grace_at_the_latest() {
    let receiver = HttpReceiver::start();
    let mut house = House::watching_the_catalog(vec![webhook(&receiver)]);
    let timetable = daily();
    let policy = Policy {
        zone: TimeZone::UTC,
        timetable: Some(timetable),
        keep: None,
        drill: None,
        staging: None,
        health: HealthLimits::default(),
    };
    house.catalog.set_policies(HashMap::from([(shop(), policy)]));
    // The schedule is followed from now on, and then nobody follows it.
    house.catalog.advance_schedule(shop()).wait().unwrap();
    let due = START.plus(Duration::from_secs(9000));
    let waited = house.clock.now().plus(house.waited_for(ProblemKind::Missed));
    assert!(waited > due.plus(GRACE), "{waited}: too early");
    assert!(waited <= due.plus(GRACE).plus(Duration::from_secs(30)), "{waited}");
    house.delivered();
    assert_eq!(events(&receiver), ["began missed"]);
}
