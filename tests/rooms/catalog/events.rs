//! The event log: what is recorded, and that a row that was altered or removed is noticed.

use std::net::IpAddr;

use rstest::rstest;
use rusqlite::Connection;

use super::fixture::*;
use super::*;
use coffer::domain::{
    Action, Actor, BackupId, Origin, Outcome, ParentChoice, QuotaResource, Recorded,
};

/// The newest events of a project.
fn newest(rows: u32) -> EventFilter {
    let (object, action, who, before) = Default::default();
    EventFilter { all_projects: false, object, action, who, before, rows }
}

fn all(catalog: &Catalog) -> Vec<Recorded> {
    catalog.events(&admin(), &EventFilter { all_projects: true, ..newest(1000) }).unwrap().events
}

/// Who did what to what, oldest first.
fn told(catalog: &Catalog) -> Vec<(String, Action, Option<String>)> {
    let all = all(catalog).into_iter().rev();
    all.map(|it| (it.event.who, it.event.action, it.event.object)).collect()
}

fn faults(catalog: &Catalog) -> Vec<String> {
    catalog.check_events().unwrap().1
}

/// A catalog with six events.
fn fixture() -> (Fixture, BackupId) {
    let fixture = Fixture::new();
    let id = fixture.completed(ParentChoice::None);
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let scope = member("a").with_origin(Origin::Address(address));
    for pinned in [true, true, false] {
        fixture.catalog.pin_backup(&scope, id, pinned).wait().unwrap();
    }
    let limits = vec![(QuotaResource::Backups, 7)];
    fixture.catalog.set_quotas(&admin(), &project("a"), limits).wait().unwrap();
    fixture.catalog.delete_backup(&scope, id).wait().unwrap();
    fixture.catalog.trashed(fixture.removal()).wait().unwrap();
    fixture.catalog.undeleted(vec![id], id, Actor::command_line()).wait().unwrap();
    (fixture, id)
}

#[test]
fn what_changes_something_is_recorded_with_who_did_it_and_from_where() {
    let (fixture, id) = fixture();
    let by = |who: &str, action, object: Option<BackupId>| {
        (who.to_owned(), action, object.map(|id| id.to_string()))
    };
    let expected = [
        by("tester", Action::BackupCreate, Some(id)),
        by("tester", Action::BackupPin, Some(id)),
        by("tester", Action::BackupUnpin, Some(id)),
        by("tester", Action::QuotaSet, None),
        by("tester", Action::BackupDelete, Some(id)),
        by("command line", Action::BackupUndelete, Some(id)),
    ];
    assert_eq!(told(&fixture.catalog), expected, "what is pinned already is not pinned again");
    let recorded = all(&fixture.catalog);
    let origins: Vec<_> = recorded.iter().map(|it| it.event.origin.as_str()).collect();
    let from = "192.0.2.7";
    assert_eq!(origins, ["command line", from, "server", from, from, "server"]);
    assert_eq!(recorded[2].event.detail, "backups = 7");
    assert_eq!((recorded[0].number, fixture.catalog.check_events().unwrap()), (6, (6, Vec::new())));
    let refused = fixture.delete(BackupId::generate()).unwrap_err();
    assert!(refused.is_not_found());
    assert_eq!(all(&fixture.catalog), recorded, "what was not done is not recorded as done");
}

#[test]
fn a_project_sees_its_own_events_only_and_pages_go_back_in_time() {
    let (fixture, id) = fixture();
    fixture.completed_of(configured("b", "shop").id, ParentChoice::None);
    let filter = |object: Option<BackupId>, before, rows| EventFilter {
        object: object.map(|it| it.to_string()),
        before,
        ..newest(rows)
    };
    let numbers = |of: &str, filter: EventFilter| -> Vec<u64> {
        let found = fixture.catalog.events(&member(of), &filter).unwrap();
        found.events.into_iter().map(|it| it.number).collect()
    };
    assert_eq!(numbers("a", filter(None, None, 4)), [6, 5, 4, 3]);
    assert_eq!(numbers("a", filter(None, Some(3), 4)), [2, 1]);
    assert_eq!(numbers("a", filter(Some(id), None, 9)), [6, 5, 3, 2, 1]);
    assert_eq!(numbers("b", filter(None, None, 9)), [7]);
    assert_eq!(numbers("b", filter(Some(id), None, 9)), [0; 0]);
    let every = EventFilter { all_projects: true, ..filter(None, None, 9) };
    assert!(fixture.catalog.events(&member("a"), &every).is_err());
}

#[test]
fn events_are_narrowed_to_what_was_done_and_by_whom_also_where_they_are_rare() {
    let (fixture, id) = fixture();
    let numbers = |filter: EventFilter| -> (Vec<u64>, Option<u64>) {
        let found = fixture.catalog.events(&member("a"), &filter).unwrap();
        (found.events.into_iter().map(|it| it.number).collect(), found.more_before)
    };
    let of = |action| EventFilter { action: Some(action), ..newest(9) };
    let by = |who: &str| EventFilter { who: Some(who.to_owned()), ..newest(9) };
    assert_eq!(numbers(of(Action::BackupDelete)), (vec![5], None));
    assert_eq!(numbers(by("command line")), (vec![6], None));
    assert_eq!(numbers(by("nobody")), (vec![], None));
    let both = EventFilter { who: Some("tester".to_owned()), ..of(Action::BackupPin) };
    assert_eq!(numbers(EventFilter { object: Some(id.to_string()), ..both }), (vec![2], None));
    // Far behind many others: a page ends before it, and says that there may be more.
    let pin = |number: u32| fixture.catalog.pin_backup(&member("a"), id, number.is_multiple_of(2));
    let pins: Vec<_> = (0..6000).map(pin).collect();
    for pinned in pins {
        pinned.wait().unwrap();
    }
    let (found, more) = numbers(of(Action::QuotaSet));
    assert_eq!((found, more), (vec![], Some(1007)));
    assert_eq!(numbers(EventFilter { before: more, ..of(Action::QuotaSet) }), (vec![4], None));
    let all = fixture.catalog.every_event(&of(Action::QuotaSet)).unwrap();
    assert_eq!(all.iter().map(|it| it.number).collect::<Vec<_>>(), [4]);
}

#[rstest]
#[case("UPDATE events SET detail = 'backups = 8' WHERE seq = 4", "event 4 was altered")]
#[case("UPDATE events SET at = at + 1 WHERE seq = 1", "event 1 was altered")]
#[case("UPDATE events SET outcome = 'refused' WHERE seq = 6", "event 6 was altered")]
#[case("UPDATE events SET action = 'nothing' WHERE seq = 2", "event 2 cannot be read")]
#[case("DELETE FROM events WHERE seq = 3", "event 3 was removed")]
#[case("DELETE FROM events WHERE seq BETWEEN 1 AND 2", "events 1 to 2 were removed")]
#[case("DELETE FROM events WHERE seq > 4", "events 5 to 6 were removed")]
fn a_row_that_was_altered_or_removed_is_named(#[case] harm: &str, #[case] fault: &str) {
    let (fixture, _id) = fixture();
    let db = Connection::open(&fixture.path).unwrap();
    let refused = db.execute(harm, []).unwrap_err().to_string();
    assert!(refused.contains("an event is"), "{refused}");
    db.execute_batch("DROP TRIGGER events_stay; DROP TRIGGER events_stay_as_they_are").unwrap();
    assert!(db.execute(harm, []).unwrap() > 0);
    let found = faults(&fixture.catalog);
    assert!(found.len() == 1 && found[0].starts_with(fault), "{found:?}");
    // The log goes on, and the fault stays.
    fixture.completed(ParentChoice::None);
    assert_eq!(faults(&fixture.catalog), found);
}

#[test]
fn old_events_are_trimmed_and_the_chain_of_the_others_still_holds() {
    let settings = Settings { events_days: 1, ..settings() };
    let fixture = Fixture::with(settings);
    let id = fixture.completed(ParentChoice::None);
    fixture.catalog.trim_events().wait().unwrap();
    assert_eq!(fixture.catalog.check_events().unwrap(), (1, Vec::new()), "it is young");
    // Of the day before yesterday.
    let db = Connection::open(&fixture.path).unwrap();
    let old = START.as_micros() - 2 * 86_400_000_000;
    db.execute_batch(&format!(
        "DROP TRIGGER events_stay_as_they_are; UPDATE events SET at = {old}"
    ))
    .unwrap();
    for pinned in [true, false] {
        fixture.catalog.pin_backup(&member("a"), id, pinned).wait().unwrap();
    }
    assert_eq!(faults(&fixture.catalog).len(), 1, "it was altered");
    fixture.catalog.note_clock(true).wait().unwrap();
    fixture.catalog.trim_events().wait().unwrap();
    assert_eq!(fixture.catalog.check_events().unwrap().0, 3, "the clock may be wrong");
    db.execute("UPDATE clock SET jumped = NULL", []).unwrap();
    fixture.catalog.trim_events().wait().unwrap();
    assert_eq!(fixture.catalog.check_events().unwrap(), (2, Vec::new()));
    let numbers: Vec<_> = all(&fixture.catalog).iter().map(|it| it.number).collect();
    assert_eq!(numbers, [3, 2]);
}

#[test]
fn what_anybody_could_cause_without_end_is_counted_and_written_as_one() {
    let fixture = Fixture::new();
    let address = |last: u8| Origin::Address(IpAddr::from([192, 0, 2, last]));
    let wrong = |last| Counted {
        action: Action::SignIn,
        actor: Actor { who: "unknown".to_owned(), origin: address(last) },
        project: None,
        object: None,
        refused: true,
    };
    for last in 0..100 {
        for _attempt in 0..10 {
            fixture.catalog.count_event(wrong(last));
        }
    }
    fixture.catalog.write_counted(false).map_or(Ok(()), Reply::wait).unwrap();
    let first = all(&fixture.catalog);
    assert_eq!(first.len(), 65, "the first 64, and the others as one");
    assert!(first.iter().all(|it| it.event.outcome == Outcome::Refused));
    assert_eq!(
        (first[0].event.who.as_str(), first[0].event.detail.as_str()),
        ("others", "360 times")
    );
    assert_eq!(first[1].event.detail, "10 times");
    fixture.catalog.count_event(wrong(1));
    fixture.catalog.write_counted(false).map_or(Ok(()), Reply::wait).unwrap();
    assert_eq!(all(&fixture.catalog).len(), 65, "not again within ten minutes");
    fixture.catalog.write_counted(true).map_or(Ok(()), Reply::wait).unwrap();
    assert_eq!(all(&fixture.catalog).len(), 66, "but at the end of the process");
}
