//! Many at once: what only one may have, only one gets.

use std::thread;

use super::fixture::*;
use super::*;
use coffer::domain::{Instance, ParentChoice};

/// Runs it on many threads at once and counts how often it worked.
fn at_once(many: usize, act: impl Fn(usize) -> bool + Sync) -> usize {
    let start = std::sync::Barrier::new(many);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..many)
            .map(|at| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(at)
                })
            })
            .collect();
        threads.into_iter().map(|it| usize::from(it.join().unwrap())).sum()
    })
}

#[test]
fn of_racing_backups_of_one_instance_exactly_one_is_accepted() {
    let fixture = Fixture::new();
    assert_eq!(at_once(16, |_| fixture.ask(shop(), ParentChoice::Newest).is_ok()), 1);
}

#[test]
fn racing_backups_never_overrun_a_quota() {
    let fixture = Fixture::with(Settings { max_backups: 5, ..settings() });
    let instances: Vec<Instance> = (0..16).map(|at| configured("a", &format!("i{at}"))).collect();
    fixture.catalog.sync_instances(instances.clone()).wait().unwrap();
    let accepted = at_once(16, |at| fixture.ask(instances[at].id, ParentChoice::None).is_ok());
    assert_eq!(accepted, 5);
}

#[test]
fn racing_restores_never_overrun_a_quota() {
    let fixture = Fixture::with(Settings { max_instances: 3, ..settings() });
    let backup = fixture.completed(ParentChoice::None);
    assert_eq!(at_once(16, |_| fixture.restore_of(backup).is_ok()), 3);
}

#[test]
fn racing_workers_never_claim_the_same_job() {
    let fixture = Fixture::new();
    let instances: Vec<Instance> = (0..8).map(|at| configured("a", &format!("i{at}"))).collect();
    fixture.catalog.sync_instances(instances.clone()).wait().unwrap();
    for instance in &instances {
        fixture.ask(instance.id, ParentChoice::None).unwrap();
    }
    assert_eq!(at_once(16, |_| fixture.catalog.claim_any().unwrap().is_some()), 8);
    assert_eq!(fixture.catalog.interrupted().unwrap().len(), 8);
}

#[test]
fn a_delete_and_an_incremental_on_the_same_backup_never_both_happen() {
    for _ in 0..20 {
        let fixture = Fixture::new();
        let root = fixture.completed(ParentChoice::None);
        let won = at_once(2, |at| match at {
            0 => fixture.delete(root).is_ok(),
            _ => fixture.ask(shop(), ParentChoice::This(root)).is_ok(),
        });
        assert_eq!(won, 1);
    }
}
