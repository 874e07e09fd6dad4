//! Copies: which are asked for, in which order they are handed out, and what becomes of them.

use std::collections::HashMap;
use std::time::Duration;

use coffer::policy::{HealthLimits, Keep, Policy, Tier};

use super::fixture::*;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A catalog whose backups of `shop` are copied to `nas`.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.catalog.set_copies(HashMap::from([(shop(), vec!["nas".to_owned()])]));
    fixture
}

fn nas(keep: Option<Keep>) -> ConfiguredPlace {
    ConfiguredPlace { name: "nas".to_owned(), keep, readable: true }
}

fn copies(fixture: &Fixture, id: BackupId) -> Vec<BackupCopy> {
    fixture.catalog.find(id).unwrap().copies
}

fn claimed(catalog: &Catalog) -> Option<BackupId> {
    catalog.claim_copy("nas").unwrap().map(|job| job.backup.id)
}

fn end() -> RunEnd {
    RunEnd::new(START, RunResult::Done)
}

fn prove(fixture: &Fixture, id: BackupId) {
    assert_eq!(claimed(&fixture.catalog), Some(id));
    let proof = (CopyProof::ReadBack, 1000);
    fixture.catalog.copy_proven(id, "nas", proof, end()).wait().unwrap();
}

fn part(number: u32) -> SentPart {
    SentPart { number, tag: format!("tag {number}"), sha256: [7; 32] }
}

#[test]
fn what_a_backup_is_built_on_is_copied_before_it() {
    let fixture = fixture();
    let full = fixture.completed(ParentChoice::None);
    let incremental = fixture.completed(ParentChoice::Newest);
    let next = fixture.completed(ParentChoice::Newest);
    let states = |id| copies(&fixture, id)[0].state;
    assert_eq!([full, incremental, next].map(states), [CopyState::Waiting; 3]);
    assert_eq!(claimed(&fixture.catalog), Some(full));
    assert_eq!(states(full), CopyState::Copying);
    assert_eq!(claimed(&fixture.catalog), None, "the others wait for it");
    let (no, failed) = (failure("no"), end());
    fixture.catalog.copy_failed(full, "nas", (no.clone(), HOUR), failed).wait().unwrap();
    let copy = copies(&fixture, full).remove(0);
    assert_eq!((copy.state, copy.failure, copy.attempts), (CopyState::Failed, Some(no), 1));
    assert_eq!(claimed(&fixture.catalog), None, "another attempt is due in an hour");
    fixture.catalog.retry_copies(vec!["nas".to_owned()]).wait().unwrap();
    for id in [full, incremental, next] {
        prove(&fixture, id);
    }
    let copy = copies(&fixture, full).remove(0);
    assert_eq!(
        (copy.sent, copy.failure, copy.proven.unwrap().1),
        (1000, None, CopyProof::ReadBack)
    );
    assert_eq!(claimed(&fixture.catalog), None);
    let results: Vec<_> = fixture.catalog.runs_of_backup(full).unwrap().into_iter().collect();
    let of_copies = results.iter().filter(|it| it.kind == RunKind::Copy);
    let results: Vec<_> = of_copies.map(|it| it.end.as_ref().unwrap().result.as_str()).collect();
    assert_eq!(results, ["failed", "done"]);
}

#[test]
fn backups_from_before_a_place_was_named_are_copied_too_and_other_instances_are_not() {
    let fixture = Fixture::new();
    let (full, other) = (
        fixture.completed(ParentChoice::None),
        fixture.completed_of(configured("a", "web").id, ParentChoice::None),
    );
    assert_eq!(copies(&fixture, full), []);
    fixture.catalog.set_copies(HashMap::from([(shop(), vec!["nas".to_owned()])]));
    assert_eq!(fixture.catalog.ask_for_copies().wait().unwrap(), 1);
    assert_eq!(fixture.catalog.ask_for_copies().wait().unwrap(), 0, "once");
    assert_eq!(copies(&fixture, other), []);
    prove(&fixture, full);
}

#[test]
fn an_upload_that_a_crash_interrupted_is_handed_out_with_what_has_arrived() {
    let fixture = fixture();
    let id = fixture.completed(ParentChoice::None);
    assert_eq!(claimed(&fixture.catalog), Some(id));
    let upload = Some(("an upload".to_owned(), 400));
    fixture.catalog.begin_upload(id, "nas", upload.clone()).wait().unwrap();
    fixture.catalog.part_sent(id, "nas", part(1), 400).wait().unwrap();
    fixture.catalog.part_sent(id, "nas", part(2), 800).wait().unwrap();
    let again = fixture.reopened();
    assert_eq!(
        again.claim_copy("nas").unwrap(),
        None,
        "as long as nobody says that it was interrupted"
    );
    assert_eq!(again.reopen_copies().wait().unwrap(), 1);
    let job = again.claim_copy("nas").unwrap().unwrap();
    assert_eq!((job.backup.id, job.upload, job.copy.sent), (id, upload, 800));
    assert_eq!(job.parts, [part(1), part(2)]);
    // A new upload knows nothing of the parts of an earlier one.
    again.begin_upload(id, "nas", Some(("another".to_owned(), 400))).wait().unwrap();
    again.copy_interrupted(id, "nas").wait().unwrap();
    let job = again.claim_copy("nas").unwrap().unwrap();
    assert_eq!((job.parts.len(), job.copy.sent), (0, 0));
}

#[test]
fn a_copy_is_to_be_removed_when_its_backup_has_been_gone_for_the_trash_window() {
    let fixture = fixture();
    let (id, kept) = (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    prove(&fixture, id);
    fixture.delete(id).unwrap();
    assert_eq!(claimed(&fixture.catalog), Some(kept));
    assert_eq!(fixture.removal(), [id]);
    let to_remove = |window| fixture.catalog.copy_to_remove("nas", window).unwrap();
    assert_eq!(to_remove(Duration::ZERO), None, "its backup is not gone yet");
    fixture.catalog.removed(vec![id]).wait().unwrap();
    assert_eq!(to_remove(HOUR), None, "it went without a time in the trash");
    let (copy, upload) = to_remove(Duration::ZERO).unwrap();
    assert_eq!((copy.backup, copy.state, upload), (id, CopyState::Proven, None));
    fixture.catalog.postpone_removal(&copy, HOUR, Duration::ZERO).wait().unwrap();
    assert_eq!(to_remove(Duration::ZERO), None, "it is tried again in an hour");
    let was_last = fixture.catalog.forget_copy(&copy, true).wait().unwrap();
    assert!(was_last, "it was the last proven one");
    assert_eq!(to_remove(Duration::ZERO), None);
}

#[test]
fn a_deleted_backup_is_not_copied_and_one_that_is_brought_back_is() {
    let fixture = fixture();
    let id = fixture.completed(ParentChoice::None);
    fixture.delete(id).unwrap();
    assert_eq!(claimed(&fixture.catalog), None);
    assert_eq!(fixture.removal(), [id]);
    fixture.catalog.trashed(vec![id]).wait().unwrap();
    assert_eq!(claimed(&fixture.catalog), None);
    fixture.catalog.undeleted(vec![id], id, Actor::command_line()).wait().unwrap();
    prove(&fixture, id);
}

#[test]
fn a_place_is_remembered_by_the_disk_that_it_was() {
    let fixture = Fixture::new();
    assert_eq!(fixture.catalog.place_identity("nas").unwrap(), None);
    fixture.catalog.remember_place("nas", "one").wait().unwrap();
    let again = fixture.reopened();
    assert_eq!(again.place_identity("nas").unwrap().as_deref(), Some("one"));
    assert_eq!(again.place_identity("offsite").unwrap(), None);
}

#[test]
fn what_becomes_of_copies_is_in_the_event_log_and_a_failure_is_said_once() {
    let fixture = fixture();
    let id = fixture.completed(ParentChoice::None);
    for _again in 0..3 {
        assert_eq!(claimed(&fixture.catalog), Some(id));
        let failed = (failure("no"), Duration::ZERO);
        fixture.catalog.copy_failed(id, "nas", failed, end()).wait().unwrap();
    }
    prove(&fixture, id);
    let copy = copies(&fixture, id).remove(0);
    fixture.catalog.forget_copy(&copy, true).wait().unwrap();
    let filter = EventFilter {
        all_projects: false,
        object: Some(id.to_string()),
        before: None,
        rows: 50,
        who: None,
        action: None,
    };
    let events = fixture.catalog.events(&member("a"), &filter).unwrap().events;
    let actions: Vec<_> = events.iter().map(|it| it.event.action).collect();
    let expected =
        [Action::CopyRemoved, Action::CopyProven, Action::CopyFailed, Action::BackupCreate];
    assert_eq!(actions, expected);
    assert_eq!(events[2].event.detail, "in nas: no");
}

#[test]
fn a_place_out_of_reach_is_remembered_over_a_restart_since_when_and_until_it_answers() {
    let fixture = fixture();
    fixture.catalog.set_places(vec![nas(None)]);
    let trouble = |catalog: &Catalog| catalog.places().unwrap().remove(0).trouble;
    fixture.catalog.note_place("nas", Some("one".to_owned())).unwrap();
    let since = trouble(&fixture.catalog).unwrap().since;
    fixture.catalog.note_place("nas", Some("two".to_owned())).unwrap();
    let again = fixture.reopened();
    again.set_places(vec![nas(None)]);
    let known = trouble(&again).unwrap();
    assert_eq!((known.since, known.why.as_str()), (since, "two"));
    again.note_place("nas", None).unwrap();
    assert_eq!(trouble(&again), None);
}

#[test]
fn a_copy_that_its_place_keeps_no_longer_is_not_asked_for_again_but_for_what_is_built_on_it() {
    let fixture = fixture();
    let keep = Keep::new([(Tier::Last, 1)]);
    fixture.catalog.set_places(vec![nas(Some(keep))]);
    fixture.catalog.set_policies(HashMap::from([(shop(), policy())]));
    let (old, new) = (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    prove(&fixture, old);
    fixture.catalog.expire(shop()).wait().unwrap();
    assert!(!copies(&fixture, old)[0].leaving, "it is the newest that is proven there");
    prove(&fixture, new);
    fixture.catalog.expire(shop()).wait().unwrap();
    assert!(copies(&fixture, old)[0].leaving && !copies(&fixture, new)[0].leaving);
    let window = Duration::ZERO;
    let (copy, _) = fixture.catalog.copy_to_remove("nas", window).unwrap().unwrap();
    assert_eq!(copy.backup, old);
    fixture
        .catalog
        .copies_locked("nas", vec![(old, Timestamp::from_micros(i64::MAX))])
        .wait()
        .unwrap();
    assert_eq!(fixture.catalog.copy_to_remove("nas", window).unwrap(), None, "it is locked");
    fixture.catalog.forget_copy(&copy, true).wait().unwrap();
    let state = |id| copies(&fixture, id)[0].state;
    assert_eq!((state(old), state(new)), (CopyState::Expired, CopyState::Proven));
    assert_eq!(fixture.catalog.ask_for_copies().wait().unwrap(), 0);
    let child = fixture.completed(ParentChoice::This(old));
    assert_eq!((state(old), state(child)), (CopyState::Waiting, CopyState::Waiting));
    prove(&fixture, old);
    prove(&fixture, child);
}

#[test]
fn an_archive_goes_from_the_data_directory_once_a_place_that_keeps_it_has_it() {
    let fixture = fixture();
    fixture.catalog.set_places(vec![nas(Some(Keep::new([(Tier::Last, 9)])))]);
    let keep = Some(Keep::new([(Tier::Last, 1)]));
    fixture.catalog.set_policies(HashMap::from([(shop(), Policy { keep, ..policy() })]));
    let (old, new) = (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    assert_eq!(fixture.catalog.expire(shop()).wait().unwrap(), []);
    assert_eq!(fixture.catalog.next_leaving().unwrap(), None, "its copy is not proven");
    prove(&fixture, old);
    assert_eq!(fixture.catalog.expire(shop()).wait().unwrap(), []);
    let leaving = fixture.catalog.next_leaving().unwrap().unwrap();
    assert_eq!((leaving.id, leaving.here, leaving.copies.len()), (old, Here::Leaving, 1));
    fixture.catalog.left(old, None).wait().unwrap();
    let here = |id| fixture.catalog.find(id).unwrap().here;
    assert_eq!((here(old), here(new)), (Here::No, Here::Yes));
    // When the place keeps it no longer either, nothing does.
    fixture.catalog.set_places(vec![nas(Some(Keep::new([(Tier::Last, 1)])))]);
    assert_eq!(fixture.catalog.expire(shop()).wait().unwrap(), [], "it is the newest there");
    prove(&fixture, new);
    assert_eq!(fixture.catalog.expire(shop()).wait().unwrap(), [old]);
}

/// Without a schedule; everything is kept.
fn policy() -> Policy {
    Policy {
        zone: jiff::tz::TimeZone::UTC,
        timetable: None,
        keep: None,
        drill: None,
        staging: None,
        health: HealthLimits::default(),
    }
}
