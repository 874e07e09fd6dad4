//! What the catalog says is wrong, over a real catalog and days that pass.

use std::time::Duration;

use coffer::catalog::Notice;
use coffer::domain::{
    ArchiveFacts, BackupId, DiskRoom, Failure, FailureCode, LeftOut, RunEnd, RunNumbers, RunResult,
};
use coffer::policy::{ProblemKind, SafetyState};
use coffer::wire::InstanceHealthView;

use super::*;

impl House {
    #[track_caller]
    fn assert_wrong(&self, expected: &[ProblemKind]) {
        let problems = self.catalog.problems().unwrap();
        let kinds: Vec<_> = problems.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, expected, "{problems:#?}");
    }

    fn report(&self) -> coffer::catalog::InstanceReport {
        self.catalog.health(&member("a"), false).unwrap().instances.remove(0)
    }

    fn damage(&self, id: BackupId) {
        let failure = Failure::new(FailureCode::ArchiveDamaged, "a bit is wrong");
        self.catalog.report_damage(id, failure).wait().unwrap();
    }
}

#[test]
fn days_of_backups_are_safe_and_a_night_without_one_is_not() {
    let mut house = House::new(daily());
    assert_eq!(house.report().health.state, SafetyState::NotBackedUp);
    let made = house.made_on_days(0..4);
    house.set(half_past_two(3).plus(Duration::from_secs(3600)));
    house.assert_wrong(&[]);
    let report = house.report();
    let facts = &report.health.facts;
    assert_eq!((report.health.state, facts.restore_points), (SafetyState::Safe, 4));
    assert_eq!(facts.last_good.map(|it| it.id), made.last().copied());
    assert_eq!(facts.stored_bytes, 4000);
    assert_eq!(report.health.next_run, Some(half_past_two(4)));
    house.set(half_past_two(4).plus(Duration::from_secs(2 * 3600 + 1)));
    house.assert_wrong(&[ProblemKind::Missed]);
    assert_eq!(house.catalog.problems().unwrap()[0].since, half_past_two(4));
}

#[test]
fn failures_in_a_row_are_one_problem_that_a_good_backup_ends() {
    let mut house = House::new(daily());
    house.made_on_days(0..1);
    for day in 1..4 {
        house.tick_at(half_past_two(day));
        let id = house.claim().unwrap().id;
        house.assert_wrong(if day == 1 { &[] } else { &[ProblemKind::Failed] });
        house.fail(id, FailureCode::SourceDenied);
        house.assert_wrong(&[ProblemKind::Failed]);
    }
    assert_eq!(house.catalog.problems().unwrap()[0].since, half_past_two(1));
    house.made_on_days(4..5);
    house.assert_wrong(&[]);
}

#[test]
fn a_damaged_backup_takes_what_is_built_on_it_from_the_restore_points() {
    let mut house = House::new(daily());
    // The first of January 2026 is a Thursday: a full one then, and one on the Monday.
    let made = house.made_on_days(0..6);
    assert_eq!(house.report().health.facts.last_good.map(|it| it.id), Some(made[5]));
    house.damage(made[4]);
    house.assert_wrong(&[ProblemKind::Damaged]);
    let facts = house.report().health.facts;
    assert_eq!((facts.restore_points, facts.bad.len()), (4, 1));
    assert_eq!(facts.last_good.map(|it| it.id), Some(made[3]));
    house.damage(made[0]);
    let health = house.report().health;
    assert_eq!(health.facts.restore_points, 0);
    assert_eq!(health.problems.len(), 2, "{health:#?}");
    house.assert_wrong(&[ProblemKind::Damaged, ProblemKind::NoBackup]);
    house.catalog.delete_backup(&member("a"), made[0]).wait().unwrap();
    house.catalog.delete_backup(&member("a"), made[4]).wait().unwrap();
    house.assert_wrong(&[]);
}

#[test]
fn what_a_drill_counted_and_how_long_it_took_are_remembered() {
    let mut house = House::new(daily());
    let made = house.made_on_days(0..2);
    for (id, rows) in [(made[0], 900), (made[1], 100)] {
        let mut end = RunEnd::new(house.clock.now(), RunResult::Done);
        end.numbers.took_ms = Some(90_000);
        end.numbers.rows_by_table = [("orders".to_owned(), rows)].into();
        house.catalog.end_drill(id, end, None).wait().unwrap();
        house.set(house.clock.now().plus(Duration::from_secs(60)));
    }
    house.assert_wrong(&[ProblemKind::RowsFell]);
    let facts = house.report().health.facts;
    assert_eq!(facts.passed_drills[0].took, Duration::from_secs(90));
    assert_eq!(facts.last_drill.map(|it| it.backup), Some(made[1]));
}

#[test]
fn a_drill_of_a_backup_that_was_deleted_since_is_no_proof_of_what_there_is() {
    let mut house = House::new(daily());
    // Each is a full one of its own.
    let made: Vec<_> = [0, 7, 14].map(|day| house.made_on_days(day..day + 1)[0]).into();
    let mut passed = Vec::new();
    for id in &made[..2] {
        house.set(house.clock.now().plus(Duration::from_secs(60)));
        passed.push(house.clock.now());
        let end = RunEnd::new(house.clock.now(), RunResult::Done);
        house.catalog.end_drill(*id, end, None).wait().unwrap();
    }
    let shown = |house: &House| {
        let report = house.report();
        let view = InstanceHealthView::new(report.instance, report.health);
        (view.last_passed_drill, view.last_drill.unwrap().backup_deleted)
    };
    assert_eq!(shown(&house), (Some(passed[1].into()), false));
    house.catalog.delete_backup(&member("a"), made[1]).wait().unwrap();
    assert_eq!(shown(&house), (Some(passed[0].into()), true));
    house.catalog.delete_backup(&member("a"), made[0]).wait().unwrap();
    assert_eq!(shown(&house), (None, true));
    // That drills are made is as true as before.
    assert_eq!(house.report().health.facts.passed_drills.len(), 2);
}

#[test]
fn what_the_newest_backup_leaves_out_is_compared_with_the_one_before() {
    let mut house = House::new(daily());
    house.made_on_days(0..1);
    house.tick_at(half_past_two(1));
    let id = house.claim().unwrap().id;
    let left_out = vec![LeftOut::new("secret", "it cannot be read")];
    house.complete_with(ArchiveFacts { left_out, ..facts(id) });
    house.assert_wrong(&[ProblemKind::LeftOut]);
}

#[test]
fn how_long_backups_take_comes_from_their_runs() {
    let mut house = House::new(daily());
    for (day, seconds) in [(0, 5), (1, 7), (2, 9)] {
        house.tick_at(half_past_two(day));
        let id = house.claim().unwrap().id;
        let numbers = RunNumbers { took_ms: Some(seconds * 1000), ..RunNumbers::default() };
        house.catalog.saving(id, house.clock.now()).wait().unwrap();
        house.catalog.complete(id, facts(id), "unknown", numbers).wait().unwrap();
    }
    let took = |it: &coffer::domain::CompletedBackup| it.took.map(|it| it.as_secs());
    let completed = house.report().health.facts.completed;
    assert_eq!(completed.iter().map(took).collect::<Vec<_>>(), [Some(9), Some(7), Some(5)]);
}

#[test]
fn an_instance_that_left_the_configuration_misses_nothing() {
    let mut house = House::new(daily());
    let made = house.made_on_days(0..2);
    house.catalog.sync_instances(Vec::new()).wait().unwrap();
    house.catalog.set_policies(HashMap::new());
    house.set(half_past_two(30));
    house.assert_wrong(&[]);
    assert_eq!(house.report().instance.name, "shop", "its backups are still there");
    house.damage(made[1]);
    house.assert_wrong(&[ProblemKind::Damaged]);
}

#[test]
fn a_server_that_has_stopped_work_is_a_problem_since_it_has() {
    let house = House::new(daily());
    let began = house.clock.now();
    house.catalog.set_notice(Notice::ArchivesMissing, Some("they are gone".to_owned()));
    house.catalog.set_notice(Notice::CatalogRebuilt, Some("it was rebuilt".to_owned()));
    house.set(began.plus(Duration::from_secs(60)));
    house.catalog.set_notice(Notice::ArchivesMissing, Some("they are still gone".to_owned()));
    let health = house.catalog.health_of_all().unwrap();
    let [problem] = health.problems.as_slice() else { panic!("{health:#?}") };
    assert_eq!((problem.kind, problem.since), (ProblemKind::ServerStopped, began));
    assert_eq!(problem.message, "they are still gone");
    assert_eq!(health.notices, ["it was rebuilt"]);
    house.catalog.set_notice(Notice::ArchivesMissing, None);
    house.assert_wrong(&[]);
}

#[test]
fn room_for_few_more_backups_is_a_problem_since_there_is_so_little() {
    let mut house = House::new(daily());
    house.made_on_days(0..2);
    let room = |free_bytes| DiskRoom { free_bytes, total_bytes: 1 << 30, headroom_bytes: 0 };
    house.catalog.note_room(room(3000), 3);
    house.assert_wrong(&[]);
    house.catalog.note_room(room(2999), 3);
    let began = house.clock.now();
    house.assert_wrong(&[ProblemKind::RoomLow]);
    house.set(began.plus(Duration::from_secs(600)));
    assert_eq!(house.catalog.problems().unwrap()[0].since, began);
}

#[test]
fn a_backup_that_cannot_begin_is_a_problem_until_it_can() {
    let mut house = House::new(daily());
    house.made_on_days(0..1);
    house.catalog.note_cannot_start(shop(), Some("its engine is missing".to_owned()));
    house.assert_wrong(&[ProblemKind::CannotStart]);
    house.catalog.note_cannot_start(shop(), None);
    house.assert_wrong(&[]);
    house.catalog.note_cannot_start(shop(), Some("its source is missing".to_owned()));
    house.assert_wrong(&[ProblemKind::CannotStart]);
    house.made_on_days(1..2);
    house.assert_wrong(&[]);
}

#[test]
fn a_backup_that_cannot_begin_is_a_problem_also_for_the_next_process_until_it_can() {
    let mut house = House::new(daily());
    house.made_on_days(0..1);
    house.set(half_past_two(0).plus(Duration::from_secs(3600)));
    house.catalog.note_still_cannot_start(shop(), "it is too early to say".to_owned());
    house.assert_wrong(&[]);
    house.catalog.note_cannot_start(shop(), Some("its source is missing".to_owned()));
    let began = house.clock.now();
    for _process in 0..3 {
        // It is recorded as it is said now.
        let problems = house.catalog.problems().unwrap();
        house.catalog.update_alerts(Vec::new(), true).unwrap();
        house.catalog.update_alerts(problems, true).unwrap();
        house.restart();
        let [problem] = house.catalog.problems().unwrap().try_into().unwrap();
        assert_eq!((problem.kind, problem.since), (ProblemKind::CannotStart, began));
        let why = "its source is missing (found earlier, and not tried again yet)";
        assert_eq!(problem.message, format!("a backup of shop cannot begin: {why}"));
    }
    house.catalog.note_still_cannot_start(shop(), "its source is locked".to_owned());
    let [problem] = house.catalog.problems().unwrap().try_into().unwrap();
    assert_eq!(
        (problem.since, problem.message.as_str()),
        (began, "a backup of shop cannot begin: its source is locked")
    );
    house.catalog.note_cannot_start(shop(), None);
    house.assert_wrong(&[]);
}

#[test]
fn a_project_is_not_told_of_the_instances_of_another() {
    let house = House::new(daily());
    assert_eq!(house.catalog.health(&member("b"), false).unwrap().instances, []);
    assert!(house.catalog.health(&member("b"), true).is_err());
}
