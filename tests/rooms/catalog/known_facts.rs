//! The health of all instances, which keeps what it read, beside that of each one, which is read from the rows: they are
//! the same at once, whatever happened and whoever did it.

use std::collections::HashMap;
use std::time::Duration;

use coffer::policy::{HealthFacts, HealthLimits, Policy, ProblemKind, SafetyState};
use fastrand::Rng;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::fixture::*;
use super::*;

/// What is known of each instance, and what follows from it.
type Healths = Vec<(Instance, HealthFacts, Option<Timestamp>, SafetyState, Vec<ProblemKind>)>;

fn of_report(it: InstanceReport) -> <Healths as IntoIterator>::Item {
    let InstanceReport { instance, health } = it;
    let kinds = health.problems.iter().map(|it| it.kind).collect();
    (instance, health.facts, health.next_run, health.state, kinds)
}

impl Fixture {
    #[track_caller]
    fn assert_known_as_it_is(&self, what: &str) {
        let all = self.catalog.health_of_all().unwrap().instances;
        let mut known: Healths = all.into_iter().map(of_report).collect();
        known.sort_by_key(|it| it.0.id);
        let read = |it: &Instance| self.catalog.instance_report(&admin(), it.id).unwrap();
        for it in &known {
            assert_eq!(*it, of_report(read(&it.0)), "{what}");
        }
        assert!(known.len() > 1, "{what}: nothing is known");
    }

    /// What the steps of the totals leave out: copies, drills, and other processes.
    fn other_step(&self, random: &mut Rng, all: &[BackupId]) {
        let Some(some) = random.choice(all).copied() else { return };
        let (catalog, end) = (&self.catalog, RunEnd::new(START, RunResult::Done));
        match random.u32(..9) {
            0 => drop(catalog.ask_for_copies().wait()),
            1 => drop(catalog.claim_copy("nas").unwrap()),
            2 => drop(catalog.copy_proven(some, "nas", (CopyProof::ReadBack, 1000), end).wait()),
            3 => {
                let no = (failure("no"), Duration::from_secs(60));
                drop(catalog.copy_failed(some, "nas", no, end).wait());
            }
            4 => {
                catalog.ask_drill(&admin(), some).wait().ok();
                drop(catalog.claim(Lane::Drills).unwrap());
                let bad = RunEnd::new(START, RunResult::from_failure(failure("no")));
                drop(catalog.end_drill(some, if random.bool() { end } else { bad }, None).wait());
            }
            5 => drop(catalog.left(some, Some("nas".to_owned())).wait()),
            6 => drop(catalog.advance_schedule(shop()).wait()),
            7 => {
                let places = if random.bool() { vec!["nas".to_owned()] } else { Vec::new() };
                catalog.set_copies(HashMap::from([(shop(), places)]));
            }
            _ => {
                // A command beside the server.
                let db = Connection::open(&self.path).unwrap();
                db.busy_timeout(Duration::from_secs(60)).unwrap();
                let sql = "UPDATE backups SET damage_code = 'archive_missing', damage_message = 'gone', damage_in = 'archive'
                     WHERE status = 'COMPLETED' AND id = ?1";
                db.execute(sql, [some.to_string()]).unwrap();
            }
        }
    }
}

fn daily() -> Policy {
    Policy {
        zone: TimeZone::UTC,
        timetable: Some(crate::policy::daily()),
        keep: None,
        drill: None,
        staging: None,
        health: HealthLimits::default(),
    }
}

#[test]
fn what_is_known_of_instances_is_what_the_rows_say_whatever_happened_and_whoever_did_it() {
    for seed in 0..4 {
        let (house, mut random, mut all) = (Fixture::new(), Rng::with_seed(seed), Vec::new());
        house.catalog.set_copies(HashMap::from([(shop(), vec!["nas".to_owned()])]));
        let nas = ConfiguredPlace { name: "nas".to_owned(), keep: None, readable: true };
        house.catalog.set_places(vec![nas]);
        house.catalog.set_policies(HashMap::from([(shop(), daily())]));
        for step in 0..60 {
            house.step(&mut random, &mut all);
            house.assert_known_as_it_is(&format!("history {seed}, step {step}"));
            house.other_step(&mut random, &all);
            house.assert_known_as_it_is(&format!("history {seed}, other step {step}"));
        }
    }
}

#[test]
fn what_the_configuration_and_the_server_say_of_an_instance_counts_at_once() {
    let house = Fixture::new();
    house.completed(ParentChoice::None);
    house.assert_known_as_it_is("at first");
    house.catalog.set_policies(HashMap::from([(shop(), daily())]));
    house.assert_known_as_it_is("with a schedule");
    house.catalog.note_cannot_start(shop(), Some("the file is gone".to_owned()));
    house.assert_known_as_it_is("it cannot begin");
    house.catalog.set_policies(HashMap::new());
    house.assert_known_as_it_is("without a schedule");
    house.catalog.sync_instances(vec![configured("a", "web")]).wait().unwrap();
    house.assert_known_as_it_is("without the instance");
    let renamed = Instance { name: "other".to_owned(), ..configured("a", "web") };
    house.catalog.sync_instances(vec![renamed]).wait().unwrap();
    house.assert_known_as_it_is("with another name");
}
