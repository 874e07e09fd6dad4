//! The totals of an instance, which triggers keep, beside a count of its backups, whatever happened to them.

use std::collections::BTreeMap;

use fastrand::Rng;
use rusqlite::Connection;

use super::fixture::*;
use super::*;

/// What there is of each instance: how many completed backups, and how many bytes they take.
type Totals = BTreeMap<String, (i64, i64)>;

fn totals(db: &Connection, sql: &str) -> Totals {
    let mut rows = db.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

const KNOWN: &str = "SELECT instance, backups, stored_bytes FROM instance_totals WHERE backups > 0";
const COUNTED: &str = "SELECT instance, count(*), sum(size) FROM backups
     WHERE status = 'COMPLETED' AND removal IS NULL AND instance IS NOT NULL GROUP BY instance";

impl Fixture {
    fn make(&self, random: &mut Rng) -> Option<BackupId> {
        let instance = configured("a", if random.bool() { "shop" } else { "web" }).id;
        let parent = if random.bool() { ParentChoice::None } else { ParentChoice::Newest };
        let id = self.ask(instance, parent).ok()?.id;
        let Some(Job::Backup(_)) = self.catalog.claim(Lane::Work).unwrap() else { panic!() };
        if random.u32(..5) == 0 {
            self.catalog.fail(id, failure("no")).wait().unwrap();
            return Some(id);
        }
        self.catalog.saving(id, START).wait().unwrap();
        let facts = ArchiveFacts { stored_bytes: random.u64(..1 << 30), ..facts(id) };
        self.catalog.complete(id, facts, "unknown", RunNumbers::default()).wait().unwrap();
        Some(id)
    }

    /// What was deleted goes, into the trash or for good, or cannot go.
    fn remove(&self, random: &mut Rng) {
        let Some(Job::Remove(job)) = self.catalog.claim(Lane::Removals).unwrap() else { return };
        let catalog = &self.catalog;
        for id in job.backups.iter().map(|it| it.id) {
            match random.u32(..3) {
                0 => drop(catalog.removal_failed(id, failure("busy")).wait()),
                1 => drop(catalog.removed(vec![id]).wait()),
                _ => drop(catalog.trashed(vec![id]).wait()),
            }
        }
    }

    /// Something happens to a backup, or there is one more. What is refused changes nothing.
    pub(super) fn step(&self, random: &mut Rng, all: &mut Vec<BackupId>) {
        let Some(some) = random.choice(all.as_slice()).copied() else {
            return all.extend(self.make(random));
        };
        let (catalog, by) = (&self.catalog, Actor::command_line());
        match random.u32(..10) {
            0..=4 => all.extend(self.make(random)),
            5 => drop(self.delete(some)),
            6 => self.remove(random),
            7 => drop(catalog.undeleted(vec![some], some, by).wait()),
            8 => drop(catalog.report_damage(some, failure("rot")).wait()),
            _ => drop(catalog.adopt(some, facts(some), "unknown").wait()),
        }
    }
}

#[test]
fn the_totals_of_an_instance_are_those_of_its_backups_whatever_happened_to_them() {
    let mut backups = 0;
    for seed in 0..6 {
        let (house, mut random, mut all) = (Fixture::new(), Rng::with_seed(seed), Vec::new());
        let db = Connection::open(&house.path).unwrap();
        for step in 0..40 {
            house.step(&mut random, &mut all);
            let (known, counted) = (totals(&db, KNOWN), totals(&db, COUNTED));
            assert_eq!(known, counted, "history {seed}, step {step}");
            backups += counted.values().map(|(count, _)| count).sum::<i64>();
        }
        assert_eq!(house.catalog.wrong_totals().unwrap(), []);
    }
    assert!(backups > 500, "the histories show little: {backups}");
}

#[test]
fn totals_that_somebody_changed_are_found() {
    let house = Fixture::new();
    house.completed(ParentChoice::None);
    assert_eq!(house.catalog.wrong_totals().unwrap(), []);
    let db = Connection::open(&house.path).unwrap();
    let change = |sql: &str| db.execute(sql, []).unwrap();
    change("UPDATE instance_totals SET stored_bytes = stored_bytes - 1");
    assert_eq!(house.catalog.wrong_totals().unwrap(), [shop()]);
    change("DELETE FROM instance_totals");
    assert_eq!(house.catalog.wrong_totals().unwrap(), [shop()]);
}
