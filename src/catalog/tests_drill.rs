//! Drills: who may ask, who makes them and when, and what becomes of what they find.

use std::time::Duration;

use super::tests_house::*;
use super::*;
use crate::domain::{
    Backup, BackupId, Caller, Cancel, Drill, DrillFacts, DrillTurn, Failure, FailureCode, Instance,
    ParentChoice, Role, RowsByTable, Status, Verify, VerifyLevel,
};

const END: DrillEnd = DrillEnd { at: START, took: Duration::from_millis(1500) };

fn drilled_facts() -> DrillFacts {
    let check = "integrity_check".to_owned();
    DrillFacts { version: "3.51".to_owned(), check, tables: 2, rows: 7 }
}

impl House {
    /// A house whose `shop` in project `a` has every backup drilled.
    fn drilling() -> Self {
        let house = Self::new();
        let shop = Instance { verify: Verify::Restore, ..configured("a", "shop") };
        house.catalog.sync_instances(vec![shop, configured("a", "web")]).wait().unwrap();
        house
    }

    fn ask_drill(&self, id: BackupId) -> Result<Backup, CatalogError> {
        self.catalog.ask_drill(&member("a"), id).wait()
    }

    fn drill_of(&self, id: BackupId) -> Drill {
        self.catalog.find(id).unwrap().drill
    }

    fn claim_drill(&self) -> DrillJob {
        match self.catalog.claim().unwrap() {
            Some(Job::Drill(job)) => *job,
            other => panic!("not a drill: {other:?}"),
        }
    }

    fn pass(&self, id: BackupId) {
        let rows = RowsByTable::from([("orders".to_owned(), 7)]);
        self.catalog.drill_passed(id, END, drilled_facts(), rows).wait().unwrap();
    }

    fn find_damage(&self, id: BackupId) {
        let failure = Failure::new(FailureCode::ArchiveDamaged, "an index is torn");
        let damaged = Some((id, failure.clone(), true));
        self.catalog.drill_failed(id, END, failure, damaged).wait().unwrap();
    }
}

#[test]
fn a_completed_backup_waits_for_its_drill_where_the_instance_says_so_and_behind_backups() {
    let house = House::drilling();
    let root = house.completed(ParentChoice::None);
    let other = house.completed_of_web_behind_its_back();
    let id = house.completed(ParentChoice::This(root));
    for (backup, next) in [(root, Some(DrillTurn::Asked)), (other, None)] {
        assert_eq!(house.drill_of(backup), Drill { next, last: None });
    }
    let waits = house.ask(shop(), ParentChoice::Newest).unwrap().id;
    assert_eq!(house.claim_backup().backup.id, waits);
    let job = house.claim_drill();
    assert_eq!((job.id, job.chain.len()), (root, 1));
    assert_eq!(job.source, Some(configured("a", "shop").source));
    assert_eq!(house.drill_of(root).next, Some(DrillTurn::Claimed));
    let job = house.claim_drill();
    assert_eq!(job.chain.iter().map(|it| it.id).collect::<Vec<_>>(), [root, id]);
    assert_eq!(house.catalog.claim().unwrap(), None);
}

impl House {
    fn completed_of_web_behind_its_back(&self) -> BackupId {
        let id = self.ask(configured("a", "web").id, ParentChoice::None).unwrap().id;
        assert_eq!(self.claim_backup().backup.id, id);
        self.catalog.saving(id).wait().unwrap();
        self.catalog.complete(id, facts(id), "3.51").wait().unwrap();
        id
    }
}

#[test]
fn an_adopted_backup_waits_for_its_drill_too() {
    let house = House::drilling();
    let id = house.ask(shop(), ParentChoice::None).unwrap().id;
    house.claim_backup();
    house.catalog.adopt(id, facts(id), "3.51").wait().unwrap();
    assert_eq!(house.claim_drill().id, id);
}

#[test]
fn members_and_admins_ask_for_a_drill_once_and_only_of_what_is_finished() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    let rings = house.bell.count();
    for ask in [house.ask_drill(id), house.catalog.ask_drill(&admin(), id).wait()] {
        assert_eq!(ask.unwrap().drill.next, Some(DrillTurn::Asked));
    }
    assert!(house.bell.count() > rings);
    assert_eq!(house.claim_drill().id, id);
    assert_eq!(house.ask_drill(id).unwrap().drill.next, Some(DrillTurn::Claimed));
    assert_eq!(house.catalog.claim().unwrap(), None);

    let runs = house.ask(shop(), ParentChoice::None).unwrap().id;
    assert!(matches!(house.ask_drill(runs), Err(CatalogError::NotNow { .. })));
    let stranger = house.catalog.ask_drill(&member("b"), id).wait();
    assert!(matches!(stranger, Err(CatalogError::NoSuchBackup { .. })));
    let unknown = house.ask_drill(BackupId::generate());
    assert!(matches!(unknown, Err(CatalogError::NoSuchBackup { .. })));
    house.delete(id).unwrap();
    assert!(matches!(house.ask_drill(id), Err(CatalogError::NotNow { .. })));
    let reader =
        Caller { name: "r".to_owned(), project: Some(project("a")), roles: vec![Role::Reader] };
    let refused = Scope::<Write>::enter(reader, project("a")).unwrap_err();
    assert!(matches!(refused, CatalogError::Forbidden { .. }));
}

#[test]
fn a_drill_that_passed_is_the_strongest_proof_and_says_what_it_counted() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    assert!(house.catalog.drill_rows(&member("a"), id).unwrap().is_empty());
    house.ask_drill(id).unwrap();
    house.claim_drill();
    house.pass(id);
    let row = house.catalog.find(id).unwrap();
    let proof = row.facts.unwrap();
    assert_eq!((proof.verify_level, proof.verified_at), (VerifyLevel::Restored, START));
    let last = row.drill.last.unwrap();
    assert_eq!((row.drill.next, last.at, last.took), (None, END.at, END.took));
    assert_eq!(last.found, Ok(drilled_facts()));
    assert_eq!(house.catalog.drill_rows(&member("a"), id).unwrap()["orders"], 7);
    let stranger = house.catalog.drill_rows(&member("b"), id);
    assert!(matches!(stranger, Err(CatalogError::NoSuchBackup { .. })));
    // A look at the bytes alone does not take the level away.
    house.catalog.report_verified(id, START, VerifyLevel::Bytes).wait().unwrap();
    let again = house.catalog.find(id).unwrap().facts.unwrap();
    assert_eq!(again.verify_level, VerifyLevel::Restored);
}

#[test]
fn nothing_is_built_on_what_a_drill_found_damaged_until_another_drill_passes() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    house.find_damage(id);
    let row = house.catalog.find(id).unwrap();
    assert_eq!(
        (row.status, row.failure.unwrap().message),
        (Status::Completed, "an index is torn".into())
    );
    assert!(matches!(house.catalog.chain(id), Err(CatalogError::ChainBroken { .. })));
    // Its bytes are as they were read: that proves nothing of the data.
    house.catalog.report_verified(id, START, VerifyLevel::Bytes).wait().unwrap();
    assert!(house.catalog.chain(id).is_err());
    // Nor does a drill that could not be made.
    let failure = Failure::new(FailureCode::DiskFull, "no room");
    house.catalog.drill_failed(id, END, failure.clone(), None).wait().unwrap();
    assert_eq!(house.drill_of(id).last.unwrap().found, Err(failure));
    assert!(house.catalog.chain(id).is_err());
    house.ask_drill(id).unwrap();
    assert_eq!(house.claim_drill().id, id);
    house.pass(id);
    assert!(house.catalog.chain(id).is_ok());
    assert_eq!(house.catalog.find(id).unwrap().failure, None);
}

#[test]
fn a_drill_takes_back_no_damage_of_the_archives_bytes() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    house.catalog.report_damage(id, failure("bits rot")).wait().unwrap();
    house.pass(id);
    assert!(house.catalog.chain(id).is_err());
    house.catalog.report_verified(id, START, VerifyLevel::Bytes).wait().unwrap();
    assert!(house.catalog.chain(id).is_ok());
}

#[test]
fn a_drill_that_could_not_be_made_damages_nothing() {
    let house = House::new();
    let id = house.completed(ParentChoice::None);
    let failure = Failure::new(FailureCode::Tool, "mariadbd is missing");
    house.catalog.drill_failed(id, END, failure.clone(), None).wait().unwrap();
    let row = house.catalog.find(id).unwrap();
    assert_eq!((row.failure, row.drill.last.unwrap().found), (None, Err(failure)));
    assert_eq!(row.facts.unwrap().verify_level, VerifyLevel::Checked);
    assert!(house.catalog.chain(id).is_ok());
}

#[test]
fn a_delete_takes_a_waiting_drill_out_of_the_queue_and_gives_up_a_running_one() {
    let house = House::drilling();
    let (runs, waits) = (house.completed(ParentChoice::None), house.completed(ParentChoice::None));
    assert_eq!(house.claim_drill().id, runs);
    let (cancel, other) = (Cancel::default(), Cancel::default());
    assert!(house.catalog.drill_begins(runs, cancel.clone()).wait().unwrap());
    assert!(!house.catalog.drill_begins(waits, other.clone()).wait().unwrap());
    let kept = house.completed(ParentChoice::None);
    house.delete(runs).unwrap();
    house.delete(waits).unwrap();
    assert!(cancel.is_cancelled());
    assert!(!house.catalog.drill_begins(runs, other.clone()).wait().unwrap());
    house.catalog.drill_interrupted(runs).wait().unwrap();
    assert_eq!(house.drill_of(runs).next, None);
    assert_eq!(house.removal(), [runs]);
    house.catalog.removed(vec![runs]).wait().unwrap();
    // What it found comes too late, and is no error.
    house.pass(runs);
    house.find_damage(runs);
    assert_eq!(house.removal(), [waits]);
    house.catalog.removal_failed(waits, failure("no")).wait().unwrap();
    assert_eq!(house.claim_drill().id, kept);
    assert!(house.catalog.drill_begins(kept, other.clone()).wait().unwrap());
    house.delete(waits).unwrap();
    assert!(!other.is_cancelled(), "another backup was deleted");
}

#[test]
fn an_interrupted_drill_is_made_again() {
    let house = House::drilling();
    let id = house.completed(ParentChoice::None);
    house.claim_drill();
    house.catalog.drill_interrupted(id).wait().unwrap();
    assert_eq!(house.claim_drill().id, id);
    let again = house.reopened();
    assert_eq!(again.claim().unwrap(), None);
    assert_eq!(again.reopen_drills().wait().unwrap(), 1);
    assert_eq!(again.reopen_drills().wait().unwrap(), 0);
    assert!(matches!(again.claim().unwrap(), Some(Job::Drill(job)) if job.id == id));
}

#[test]
fn a_drill_whose_chain_is_no_longer_there_fails_and_says_which_link() {
    let house = House::drilling();
    let root = house.completed(ParentChoice::None);
    let child = house.completed(ParentChoice::This(root));
    house.claim_drill();
    house.forget_row(root);
    assert_eq!(house.catalog.claim().unwrap(), None);
    let Drill { next, last } = house.drill_of(child);
    let why = last.unwrap().found.unwrap_err();
    assert_eq!((next, why.code), (None, FailureCode::ChainBroken));
    assert!(why.message.contains(&root.to_string()), "{why}");
}

impl House {
    /// Takes a row out of the catalog and leaves what is built on it, as a hand might.
    fn forget_row(&self, id: BackupId) {
        let db = rusqlite::Connection::open(&self.path).unwrap();
        db.execute("DELETE FROM backups WHERE id = ?1", [id.to_string()]).unwrap();
    }
}

#[test]
fn a_backup_and_its_instance_have_the_version_that_was_read() {
    let house = House::new();
    let unknown = |name| Instance {
        datastore: crate::domain::Datastore {
            engine: "sqlite".to_owned(),
            version: "unknown".to_owned(),
        },
        ..configured("a", name)
    };
    house.catalog.sync_instances(vec![unknown("new"), configured("a", "shop")]).wait().unwrap();
    let new = configured("a", "new").id;
    let version = |id| house.catalog.find_instance(id).unwrap().datastore.version;
    let made = |told: &str| {
        let id = house.ask(new, ParentChoice::None).unwrap().id;
        house.claim_backup();
        house.catalog.saving(id).wait().unwrap();
        house.catalog.complete(id, facts(id), told).wait().unwrap();
        house.catalog.find(id).unwrap().datastore.version
    };
    assert_eq!((made("unknown"), version(new)), ("unknown".into(), "unknown".into()));
    assert_eq!((made("16.3"), version(new)), ("16.3".into(), "16.3".into()));
    assert_eq!((made(""), version(new)), ("16.3".into(), "16.3".into()));
    let seen = |engine: &str| crate::domain::Datastore {
        engine: engine.to_owned(),
        version: "17".to_owned(),
    };
    house.catalog.note_version(new, seen("vertica")).wait().unwrap();
    assert_eq!(version(new), "16.3");
    house.catalog.note_version(new, seen("sqlite")).wait().unwrap();
    assert_eq!((version(new), version(shop())), ("17".into(), "3.51".into()));
    // A start that does not reach it keeps what is known.
    house.catalog.sync_instances(vec![unknown("new")]).wait().unwrap();
    assert_eq!(version(new), "17");
}
