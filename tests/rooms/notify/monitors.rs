//! Monitors that hear of each backup, as Healthchecks does.

use std::collections::BTreeSet;

use coffer::catalog::{Job, Lane};
use coffer::domain::{BackupId, Failure, FailureCode, ParentChoice, RunNumbers};
use coffer::notify::Service;
use coffer::policy::ProblemKind;

use super::*;
use crate::catalog::fixture::{facts, member, new_backup};

impl House {
    fn monitored(url: &str) -> Self {
        let mut routes = routes(&[(shop(), "monitor"), (blog(), "monitor")]);
        routes.pinged = BTreeSet::from(["monitor".to_owned()]);
        Self::with_routes(vec![channel("monitor", Service::Healthchecks, url)], routes)
    }

    fn begin(&mut self, instance: InstanceId) -> BackupId {
        let new = new_backup(instance, ParentChoice::None);
        self.catalog.create_backup(&member("a"), new).wait().unwrap();
        let Some(Job::Backup(job)) = self.catalog.claim(Lane::Work).unwrap() else { panic!() };
        self.look();
        job.backup.id
    }

    fn succeed(&mut self, id: BackupId) {
        self.catalog.saving(id, self.clock.now()).wait().unwrap();
        self.catalog.complete(id, facts(id), "unknown", RunNumbers::default()).wait().unwrap();
        self.look();
    }

    fn fail(&mut self, id: BackupId) {
        let failure = Failure::new(FailureCode::SourceMissing, "there is no such file");
        self.catalog.fail(id, failure).wait().unwrap();
        self.look();
    }

    fn look(&mut self) {
        self.tick_after(A_WHILE);
        self.delivered();
    }
}

fn paths(receiver: &HttpReceiver) -> Vec<String> {
    receiver.received().into_iter().map(|it| it.path).collect()
}

#[test]
fn a_monitor_hears_when_each_backup_begins_succeeds_and_fails() {
    let receiver = HttpReceiver::start();
    let mut house = House::monitored(&receiver.url("/ping/{instance}?create=1"));
    let good = house.begin(shop());
    house.succeed(good);
    let bad = house.begin(blog());
    house.fail(bad);
    let expected = ["shop/start", "shop", "blog/start", "blog/fail"];
    assert_eq!(paths(&receiver), expected.map(|it| format!("/ping/{it}?create=1")));
    let failed = &receiver.received()[3].body;
    assert!(failed.starts_with("blog: a backup failed\nthere is no such file"), "{failed}");
}

#[test]
fn one_success_does_not_make_a_shared_check_well_while_another_instance_has_a_critical_alert() {
    let receiver = HttpReceiver::start();
    let mut house = House::monitored(&receiver.url("/ping"));
    house.set_problems(&[problem(ProblemKind::Missed, Some(blog()))]);
    house.look();
    let id = house.begin(shop());
    house.succeed(id);
    let id = house.begin(blog());
    house.set_problems(&[]);
    house.succeed(id);
    let expected = ["/ping/fail", "/ping/start", "/ping/fail", "/ping/start", "/ping"];
    assert_eq!(paths(&receiver), expected);
}

#[test]
fn damage_makes_the_check_bad_until_it_is_over_whatever_backups_succeed() {
    let receiver = HttpReceiver::start();
    let mut house = House::monitored(&receiver.url("/{instance}"));
    house.set_problems(&[problem(ProblemKind::Damaged, Some(shop()))]);
    house.look();
    let id = house.begin(shop());
    house.succeed(id);
    let id = house.begin(blog());
    house.succeed(id);
    house.set_problems(&[]);
    house.look();
    let expected = ["/shop/fail", "/shop/start", "/shop/fail", "/blog/start", "/blog", "/shop"];
    assert_eq!(paths(&receiver), expected);
}

#[test]
fn a_warning_is_no_news_for_a_monitor_and_a_check_that_does_not_exist_is_a_failure() {
    let receiver = HttpReceiver::start();
    let mut house = House::monitored(&receiver.url("/ping"));
    house.set_problems(&[problem(ProblemKind::ProofOld, Some(shop()))]);
    house.look();
    assert_eq!(paths(&receiver), [""; 0]);
    receiver.answer_next(200, "OK (not found)");
    house.set_problems(&[problem(ProblemKind::Damaged, Some(shop()))]);
    house.tick_after(A_WHILE);
    assert_eq!(house.failed(1), "the monitor answered 200: OK (not found)");
}
