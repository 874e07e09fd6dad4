//! Places: where backups lie, those that the configuration does not name any more, and what is accepted as lost.

use std::collections::HashMap;

use coffer::policy::{HealthLimits, Keep, Policy, ProblemKind, SafetyState, Tier};

use super::fixture::*;
use super::*;

fn place(name: &str, keep: Option<Keep>) -> ConfiguredPlace {
    ConfiguredPlace { name: name.to_owned(), keep, readable: true }
}

/// A catalog whose backups of `shop` are copied to these places, which keep them for long.
fn fixture(places: &[&str]) -> Fixture {
    let fixture = Fixture::new();
    let names = places.iter().map(|it| (*it).to_owned()).collect();
    fixture.catalog.set_copies(HashMap::from([(shop(), names)]));
    let keep = || Some(Keep::new([(Tier::Last, 99)]));
    fixture.catalog.set_places(places.iter().map(|it| place(it, keep())).collect());
    let policy = Policy {
        zone: jiff::tz::TimeZone::UTC,
        timetable: None,
        keep: Some(Keep::new([(Tier::Last, 1)])),
        drill: None,
        staging: None,
        health: HealthLimits::default(),
    };
    fixture.catalog.set_policies(HashMap::from([(shop(), policy)]));
    fixture
}

fn prove(fixture: &Fixture, id: BackupId, place: &str) {
    let job = fixture.catalog.claim_copy(place).unwrap().unwrap();
    assert_eq!(job.backup.id, id);
    let (proof, end) = ((CopyProof::ReadBack, 1000), RunEnd::new(START, RunResult::Done));
    fixture.catalog.copy_proven(id, place, proof, end).wait().unwrap();
}

/// Two backups with copies in each place, of which the older one went from the data directory.
fn left(places: &[&str]) -> (Fixture, BackupId, BackupId) {
    let fixture = fixture(places);
    let (old, new) = (fixture.completed(ParentChoice::None), fixture.completed(ParentChoice::None));
    for place in places {
        prove(&fixture, old, place);
        prove(&fixture, new, place);
    }
    assert_eq!(fixture.catalog.expire(shop()).wait().unwrap(), []);
    assert_eq!(fixture.catalog.next_leaving().unwrap().unwrap().id, old);
    fixture.catalog.left(old, None).wait().unwrap();
    (fixture, old, new)
}

fn problems(catalog: &Catalog) -> Vec<ProblemKind> {
    catalog.problems().unwrap().into_iter().map(|it| it.kind).collect()
}

fn message(catalog: &Catalog, kind: ProblemKind) -> String {
    let found = catalog.problems().unwrap().into_iter().find(|it| it.kind == kind).unwrap();
    format!("{} {}", found.message, found.advice)
}

/// What the triggers keep, and what a count of the rows gives.
fn assert_sums(fixture: &Fixture) {
    let db = rusqlite::Connection::open(&fixture.path).unwrap();
    let rows = |sql: &str| {
        let mut found = db.prepare(sql).unwrap();
        let rows = found.query_map([], |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        });
        rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let counted = rows(
        "WITH held AS (
             SELECT here <> 'no' AS here, (SELECT json_group_array(place) FROM (
                 SELECT place FROM copies WHERE backup = backups.id AND state = 'proven' AND orphaned IS NULL
                 ORDER BY place)) AS held_in
             FROM backups WHERE status = 'COMPLETED' AND removal IS NULL)
         SELECT here, held_in, count(*) FROM held WHERE NOT here OR held_in <> '[]' GROUP BY 1, 2 ORDER BY 1, 2",
    );
    let kept = rows("SELECT here, held_in, backups FROM holdings ORDER BY 1, 2");
    assert_eq!(kept, counted);
}

#[test]
fn backups_that_lie_only_in_a_place_that_cannot_be_used_are_at_risk_and_second_copies_are_not() {
    let (fixture, ..) = left(&["nas", "offsite"]);
    assert_eq!(problems(&fixture.catalog), []);
    fixture.catalog.note_place("nas", Some("it is not mounted".to_owned())).unwrap();
    assert_eq!(
        problems(&fixture.catalog),
        [],
        "the other place has all, and this one may be back in minutes"
    );
    fixture.catalog.note_place("offsite", Some("the key is wrong".to_owned())).unwrap();
    assert_eq!(problems(&fixture.catalog), [ProblemKind::OutOfReach]);
    let said = message(&fixture.catalog, ProblemKind::OutOfReach);
    assert!(said.contains("1 of the backups of shop lie only in nas, offsite"), "{said}");
    assert!(said.contains("nas: it is not mounted; offsite: the key is wrong"), "{said}");
    let health = fixture.catalog.health_of_all().unwrap();
    let shop = health.instances.iter().find(|it| it.instance.id == shop()).unwrap();
    assert_eq!((shop.health.state, shop.health.facts.out_of_reach()), (SafetyState::Critical, 1));
    fixture.catalog.note_place("nas", None).unwrap();
    assert_eq!(problems(&fixture.catalog), []);
}

#[test]
fn a_place_that_left_the_configuration_is_named_with_what_lies_there() {
    let (fixture, ..) = left(&["nas"]);
    let catalog = &fixture.catalog;
    assert_eq!(catalog.settle_places().unwrap(), []);
    catalog.await_places();
    catalog.set_places(vec![place("attic", None)]);
    assert_eq!(problems(catalog), [], "it may only have another name");
    assert_eq!(catalog.settle_places().unwrap().len(), 1);
    assert_eq!(problems(catalog), [ProblemKind::OutOfReach, ProblemKind::PlaceNotConfigured]);
    let said = message(catalog, ProblemKind::PlaceNotConfigured);
    assert!(
        said.starts_with(
            "place nas is no longer configured; 2 backups have copies there, 1 have no other archive"
        ),
        "{said}"
    );
    assert!(said.contains("accept-loss --place"), "{said}");
    let since = catalog.settle_places().unwrap()[0].since;
    assert_eq!(catalog.settle_places().unwrap()[0].since, since, "since it was found first");
    let shown = catalog.places().unwrap();
    let shown: Vec<_> = shown.iter().map(|it| (it.place.as_str(), it.configured)).collect();
    assert_eq!(shown, [("attic", true), ("nas", false)]);
    catalog.set_places(vec![place("nas", None)]);
    assert_eq!(problems(catalog), []);
}

#[test]
fn a_place_with_another_name_has_its_copies_still() {
    let (fixture, old, new) = left(&["nas"]);
    let catalog = &fixture.catalog;
    catalog.remember_place("nas", "disk 1").wait().unwrap();
    catalog.set_copies(HashMap::from([(shop(), vec!["attic".to_owned()])]));
    catalog.set_places(vec![place("attic", None)]);
    assert_eq!(catalog.ask_for_copies().wait().unwrap(), 2, "it is not known yet");
    assert_eq!(catalog.other_names("attic", "disk 1").unwrap(), ["nas"]);
    catalog.rename_place("nas", "attic", "disk 1").wait().unwrap();
    for id in [old, new] {
        let copies = catalog.find(id).unwrap().copies;
        let copies: Vec<_> = copies.iter().map(|it| (it.place.as_str(), it.state)).collect();
        assert_eq!(copies, [("attic", CopyState::Proven)]);
    }
    assert_eq!(catalog.place_identity("attic").unwrap().as_deref(), Some("disk 1"));
    assert_eq!(catalog.place_identity("nas").unwrap(), None);
    assert_eq!((problems(catalog), catalog.settle_places().unwrap()), (vec![], vec![]));
    assert_sums(&fixture);
}

#[test]
fn the_loss_of_a_place_is_accepted_and_what_lay_only_there_is_missing() {
    let (fixture, old, new) = left(&["nas"]);
    let catalog = &fixture.catalog;
    catalog.remember_place("nas", "disk 1").wait().unwrap();
    catalog.set_places(Vec::new());
    catalog.settle_places().unwrap();
    assert_eq!(catalog.accept_loss_of("nas").wait().unwrap(), [old]);
    let failure = catalog.find(old).unwrap().failure.unwrap();
    assert_eq!(failure.code, FailureCode::ArchiveMissing);
    assert!(failure.message.contains("lay in the place nas alone"), "{failure}");
    assert_eq!(catalog.find(new).unwrap().failure, None);
    assert_eq!(catalog.find(new).unwrap().copies, []);
    assert_eq!(catalog.place_identity("nas").unwrap(), None);
    assert_eq!(catalog.settle_places().unwrap(), []);
    assert_sums(&fixture);
    // Deleted, it is missed no more.
    catalog.delete_backup(&member("a"), old).wait().unwrap();
    assert_eq!(problems(catalog), []);
}

#[test]
fn the_sums_of_where_backups_lie_are_what_a_count_gives_whatever_happens_to_them() {
    let (fixture, old, new) = left(&["nas", "offsite"]);
    assert_sums(&fixture);
    let catalog = &fixture.catalog;
    catalog.copy_lost(new, "nas").wait().unwrap();
    assert_sums(&fixture);
    catalog.delete_backup(&member("a"), new).wait().unwrap();
    assert_sums(&fixture);
    assert_eq!(fixture.removal(), [new]);
    catalog.trashed(vec![new]).wait().unwrap();
    catalog.undeleted(vec![new], new, Actor::command_line()).wait().unwrap();
    assert_sums(&fixture);
    catalog.copy_lost(old, "nas").wait().unwrap();
    catalog.copy_lost(old, "offsite").wait().unwrap();
    assert_sums(&fixture);
    let said = message(catalog, ProblemKind::OutOfReach);
    assert!(said.contains("1 of the backups of shop lie nowhere any more"), "{said}");
}
