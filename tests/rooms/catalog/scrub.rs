//! Archives that are read again: the one whose proof is oldest first, of whatever instance.

use std::time::Duration;

use super::fixture::*;
use super::*;
use coffer::domain::{
    ArchiveFacts, BackupId, Failure, FailureCode, InstanceId, ParentChoice, RunEnd, RunNumbers,
    RunResult, Timestamp, VerifyLevel,
};

fn days_before(days: u64) -> Timestamp {
    START.minus(Duration::from_secs(days * 24 * 3600))
}

/// Archives are read again a month after they were proven.
fn fixture() -> Fixture {
    let after = Some(Duration::from_secs(30 * 24 * 3600));
    Fixture::with(Settings { scrub_after: after, ..settings() })
}

impl Fixture {
    /// A backup that was proven so many days ago.
    fn proven(&self, instance: InstanceId, days: u64) -> BackupId {
        let id = self.ask(instance, ParentChoice::None).unwrap().id;
        assert_eq!(self.claim_backup().backup.id, id);
        self.catalog.saving(id, START).wait().unwrap();
        let facts = ArchiveFacts { verified_at: days_before(days), ..facts(id) };
        self.catalog.complete(id, facts, "unknown", RunNumbers::default()).wait().unwrap();
        id
    }

    fn next(&self) -> Option<BackupId> {
        self.catalog.next_scrub().unwrap().map(|it| it.id)
    }

    fn read_again(&self, id: BackupId, result: RunResult) {
        let end = RunEnd::new(START, result);
        self.catalog.end_scrub(id, end, VerifyLevel::Bytes, None).wait().unwrap();
    }
}

#[test]
fn the_oldest_proof_comes_first_whatever_was_made_first_and_of_whatever_instance() {
    let fixture = fixture();
    let web = configured("a", "web").id;
    let third = fixture.proven(shop(), 40);
    let _young = fixture.proven(shop(), 29);
    let first = fixture.proven(web, 60);
    let second = fixture.proven(configured("b", "shop").id, 50);
    let last = fixture.proven(web, 31);
    for id in [first, second, third, last] {
        assert_eq!(fixture.next(), Some(id));
        fixture.read_again(id, RunResult::Done);
    }
    assert_eq!(fixture.next(), None, "a month has not passed since the proof of the others");
}

#[test]
fn one_that_could_not_be_read_holds_up_no_other() {
    let fixture = fixture();
    let (oldest, other) = (fixture.proven(shop(), 60), fixture.proven(shop(), 40));
    fixture.read_again(oldest, RunResult::Failed(Failure::new(FailureCode::Storage, "no disk")));
    assert_eq!(fixture.next(), Some(other));
    fixture.read_again(other, RunResult::Done);
    assert_eq!(fixture.next(), None, "it is tried again a day later");
}

#[test]
fn nothing_is_read_again_where_nobody_wants_it() {
    let fixture = Fixture::new();
    fixture.proven(shop(), 4000);
    assert_eq!(fixture.next(), None);
}
