//! What is called wrong with an instance, and what is not.

use std::sync::Arc;
use std::time::Duration;

use coffer::domain::{
    BackupId, BadBackup, CompletedBackup, DrillRun, FailedAttempt, FailingCopy, Failure,
    FailureCode, Holding, InstanceCopies, InstanceId, Kind, LeftOut, PassedDrill, PlaceTrouble,
    RowsByTable, Timestamp, Verdict, Verify, VerifyLevel,
};
use coffer::policy::{
    HealthFacts, HealthLimits, InstanceHealth, ProblemKind, SafetyState, Span, examine,
    place_problem,
};

use super::daily;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A Friday afternoon.
fn now() -> Timestamp {
    at("2026-11-27T15:00:00Z")
}

/// One that was made `days` ago at half past two.
fn made(days: u32) -> CompletedBackup {
    let created = at("2026-11-27T02:30:00Z").minus(DAY * days);
    CompletedBackup {
        id: BackupId::generate(),
        kind: Kind::Full,
        created,
        stored_bytes: 1 << 20,
        source_bytes: 4 << 20,
        verified_at: created,
        verify_level: VerifyLevel::Checked,
        took: Some(Duration::from_secs(60)),
    }
}

/// An instance that is backed up every night.
fn sound() -> HealthFacts {
    let completed: Arc<[_]> = (0..10).map(made).collect();
    HealthFacts {
        instance: InstanceId::generate(),
        name: "shop".to_owned(),
        configured: true,
        first_seen: at("2026-01-01T00:00:00Z"),
        verify: Verify::Archive,
        drill_interval: None,
        scheduled_since: Some(at("2026-01-01T00:00:00Z")),
        begun_until: None,
        cannot_start: None,
        running: None,
        failed: None,
        last_good: completed.first().copied(),
        completed,
        staging: None,
        copies: Vec::new(),
        troubles: Vec::new(),
        holdings: Vec::new(),
        left_out: Default::default(),
        bad: Vec::new(),
        restore_points: 10,
        stored_bytes: 10 << 20,
        last_drill: None,
        passed_drills: Vec::new(),
        proven_by_drill: None,
    }
}

fn look_at(facts: HealthFacts, now: Timestamp) -> InstanceHealth {
    examine(facts, Some(&daily()), &HealthLimits::default(), now)
}

fn kinds(health: &InstanceHealth) -> Vec<ProblemKind> {
    health.problems.iter().map(|it| it.kind).collect()
}

#[track_caller]
fn assert_wrong(facts: &HealthFacts, expected: &[ProblemKind]) {
    let health = look_at(facts.clone(), now());
    assert_eq!(kinds(&health), expected, "{:#?}", health.problems);
}

fn failed(asked: &str, code: FailureCode) -> FailedAttempt {
    let asked = at(asked);
    FailedAttempt {
        id: BackupId::generate(),
        asked,
        ended: asked.plus(Duration::from_secs(5)),
        since: asked,
        failure: Failure::new(code, "as the test wants"),
    }
}

#[test]
fn an_instance_that_is_backed_up_every_night_is_safe() {
    let health = look_at(sound(), now());
    assert_eq!((health.state, health.problems.len()), (SafetyState::Safe, 0));
    let trend = health.trend.unwrap();
    assert_eq!((trend.size_percent, trend.duration_percent), (100, Some(100)));
}

#[test]
fn a_backup_that_failed_is_a_problem_from_the_first_failure_on() {
    let facts = HealthFacts {
        failed: Some(failed("2026-11-27T14:00:00Z", FailureCode::SourceLocked)),
        ..sound()
    };
    assert_wrong(&facts, &[ProblemKind::Failed]);
    let health = look_at(facts, now());
    assert_eq!(health.state, SafetyState::Critical);
    assert_eq!(health.problems[0].since, at("2026-11-27T14:00:00Z"));
    assert!(health.problems[0].message.contains("2026-11-27T02:30:00 UTC"), "{health:#?}");
}

#[test]
fn a_backup_that_a_stop_of_the_server_ended_is_made_again_before_it_counts_as_failed() {
    let interrupted =
        |asked| HealthFacts { failed: Some(failed(asked, FailureCode::Interrupted)), ..sound() };
    assert_wrong(&interrupted("2026-11-27T14:00:00Z"), &[]);
    assert_wrong(&interrupted("2026-11-27T12:00:00Z"), &[ProblemKind::Failed]);
    // Nobody makes it again where there is no schedule.
    let facts = interrupted("2026-11-27T14:00:00Z");
    let health = examine(facts, None, &HealthLimits::default(), now());
    assert_eq!(kinds(&health), [ProblemKind::Failed]);
}

#[test]
fn a_backup_is_missed_after_its_time_and_the_grace_unless_one_runs() {
    let due = at("2026-11-28T02:30:00Z");
    let overdue = due.plus(2 * HOUR).plus(Duration::from_secs(1));
    assert_eq!(kinds(&look_at(sound(), due.plus(2 * HOUR))), []);
    let health = look_at(sound(), overdue);
    assert_eq!(kinds(&health), [ProblemKind::Missed]);
    assert_eq!(health.problems[0].since, due);
    let runs = HealthFacts { running: Some(due), ..sound() };
    assert_eq!(kinds(&look_at(runs, overdue)), []);
    // An attempt that failed is a failure, and was not missed.
    let facts = HealthFacts {
        failed: Some(failed("2026-11-28T02:30:00Z", FailureCode::SourceDenied)),
        ..sound()
    };
    assert_eq!(kinds(&look_at(facts, overdue)), [ProblemKind::Failed]);
    // One that was begun was not missed, whatever became of it since.
    let begun = HealthFacts { begun_until: Some(due), ..sound() };
    assert_eq!(kinds(&look_at(begun, overdue)), []);
    let patient = HealthLimits { grace: Span::days(1), ..HealthLimits::default() };
    assert_eq!(kinds(&examine(sound(), Some(&daily()), &patient, overdue)), []);
}

#[test]
fn what_was_due_before_the_schedule_was_seen_is_not_missed() {
    let facts = HealthFacts {
        completed: Arc::default(),
        last_good: None,
        scheduled_since: Some(at("2026-11-27T14:00:00Z")),
        ..sound()
    };
    let health = look_at(facts, now());
    assert_eq!((health.state, kinds(&health)), (SafetyState::NotBackedUp, vec![]));
}

#[test]
fn without_a_schedule_only_a_limit_of_age_makes_a_missing_backup_a_problem() {
    let look = |facts, max_age| {
        let limits = HealthLimits { max_age, ..HealthLimits::default() };
        kinds(&examine(facts, None, &limits, now().plus(30 * DAY)))
    };
    let never = HealthFacts { completed: Arc::default(), last_good: None, ..sound() };
    assert_eq!(look(sound(), None), []);
    assert_eq!(look(never.clone(), None), []);
    let limit = Some(Span::days(2));
    assert_eq!(look(sound(), limit), [ProblemKind::Missed]);
    assert_eq!(look(never.clone(), limit), [ProblemKind::NoBackup]);
    assert_eq!(look(HealthFacts { running: Some(now()), ..never }, limit), []);
}

#[test]
fn a_name_of_several_words_is_one_word_of_the_command_to_type() {
    let mut facts = sound();
    facts.name = "the shop's orders".to_owned();
    facts.last_good = None;
    let health = look_at(facts, now().plus(Duration::from_secs(40 * 86_400)));
    let advice: Vec<&str> = health.problems.iter().map(|it| it.advice.as_str()).collect();
    let command = r"coffer backup 'the shop'\''s orders' --wait";
    assert!(advice.iter().any(|it| it.contains(command)), "{advice:?}");
}

#[test]
fn damage_counts_also_where_the_configuration_names_the_instance_no_more() {
    let found = at("2026-11-20T00:00:00Z");
    let failure = Failure::new(FailureCode::ArchiveDamaged, "its bytes are wrong");
    let bad = vec![BadBackup { id: BackupId::generate(), found, failure }];
    assert_wrong(&HealthFacts { bad: bad.clone(), ..sound() }, &[ProblemKind::Damaged]);
    let gone = HealthFacts {
        configured: false,
        bad: bad.clone(),
        failed: Some(failed("2026-11-27T14:00:00Z", FailureCode::Tool)),
        ..sound()
    };
    assert_wrong(&gone, &[ProblemKind::Damaged]);
    let only = HealthFacts { bad, last_good: None, completed: Arc::default(), ..sound() };
    let only = HealthFacts { scheduled_since: Some(now()), ..only };
    assert_wrong(&only, &[ProblemKind::Damaged, ProblemKind::NoBackup]);
    // A failure says already that there is no good one.
    let failed = Some(failed("2026-11-27T14:00:00Z", FailureCode::Tool));
    assert_wrong(&HealthFacts { failed, ..only }, &[ProblemKind::Damaged, ProblemKind::Failed]);
}

#[test]
fn a_backup_that_holds_much_less_than_usual_is_a_problem() {
    let with = |source_bytes: u64, before: u32| {
        let newest = CompletedBackup { source_bytes, ..made(0) };
        let completed = std::iter::once(newest).chain((1..=before).map(made)).collect();
        HealthFacts { completed, ..sound() }
    };
    assert_wrong(&with((2 << 20) - 1, 5), &[ProblemKind::Smaller]);
    assert_wrong(&with(2 << 20, 5), &[]);
    assert_wrong(&with(0, 4), &[]);
    let mut small = with(0, 9);
    let all = small.completed.iter();
    small.completed =
        all.map(|it| CompletedBackup { source_bytes: it.source_bytes / 100, ..*it }).collect();
    assert_wrong(&small, &[]);
}

#[test]
fn a_backup_that_takes_much_longer_than_its_kind_is_a_problem() {
    let with = |took: u64, stored_bytes: u64, kind: Kind| {
        let took = Some(Duration::from_secs(took));
        let newest = CompletedBackup { took, stored_bytes, kind, ..made(0) };
        let completed = std::iter::once(newest).chain((1..8).map(made)).collect();
        HealthFacts { completed, ..sound() }
    };
    assert_wrong(&with(661, 1 << 20, Kind::Full), &[ProblemKind::Slower]);
    assert_wrong(&with(660, 1 << 20, Kind::Full), &[]);
    // There is so much more of it.
    assert_wrong(&with(661, 8 << 20, Kind::Full), &[]);
    assert_wrong(&with(661, 1 << 20, Kind::Incremental), &[]);
}

#[test]
fn what_is_left_out_is_a_problem_only_if_the_backup_before_held_it() {
    let left = |names: &[&str]| -> Vec<LeftOut> {
        names.iter().map(|it| LeftOut::new(*it, "it cannot be read")).collect()
    };
    let facts = |now: &[&str], before: &[&str]| HealthFacts {
        left_out: (left(now), left(before)),
        ..sound()
    };
    assert_wrong(&facts(&["a", "b"], &["a"]), &[ProblemKind::LeftOut]);
    assert_wrong(&facts(&["a", "13 more"], &["a", "12 more"]), &[]);
    assert_wrong(&facts(&["a"], &["a", "b"]), &[]);
    let first = HealthFacts { completed: [made(0)].into(), ..facts(&["a"], &[]) };
    assert_wrong(&first, &[]);
}

fn drilled(days: u32, rows: &[(&str, u64)]) -> PassedDrill {
    let rows: RowsByTable = rows.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect();
    let ended = now().minus(DAY * days);
    PassedDrill { backup: BackupId::generate(), ended, took: HOUR, rows }
}

#[test]
fn a_proof_is_too_old_only_where_drills_are_expected() {
    let facts = |passed: &[u32]| HealthFacts {
        passed_drills: passed.iter().map(|days| drilled(*days, &[])).collect(),
        ..sound()
    };
    assert_wrong(&facts(&[300]), &[]);
    // Each backup is to be drilled, within a day.
    let each = |passed: &[u32]| HealthFacts { verify: Verify::Restore, ..facts(passed) };
    assert_wrong(&each(&[0]), &[]);
    assert_wrong(&each(&[1]), &[]);
    assert_wrong(&each(&[2]), &[ProblemKind::ProofOld]);
    let weekly = |passed: &[u32]| HealthFacts { drill_interval: Some(7 * DAY), ..facts(passed) };
    assert_wrong(&weekly(&[14]), &[]);
    assert_wrong(&weekly(&[16]), &[ProblemKind::ProofOld]);
    assert_wrong(&weekly(&[]), &[]);
    let limits = HealthLimits { proof_max_age: Some(Span::days(3)), ..HealthLimits::default() };
    let stopped = HealthFacts {
        last_drill: Some(DrillRun {
            backup: BackupId::generate(),
            deleted: false,
            ended: now(),
            verdict: Verdict::Inconclusive(Failure::new(FailureCode::Tool, "pg_ctl is missing")),
        }),
        ..facts(&[4])
    };
    let health = examine(stopped, Some(&daily()), &limits, now());
    assert_eq!(kinds(&health), [ProblemKind::ProofOld]);
    let message = &health.problems[0].message;
    assert!(message.contains("inconclusive: pg_ctl is missing"), "{message}");
}

#[test]
fn a_table_that_lost_most_of_its_rows_is_named_with_the_backup_that_has_them() {
    let (new, old) = (drilled(0, &[("orders", 10)]), drilled(7, &[("orders", 1000)]));
    let holder = old.backup;
    let facts = HealthFacts { passed_drills: vec![new, old], ..sound() };
    let health = look_at(facts, now());
    assert_eq!(kinds(&health), [ProblemKind::RowsFell]);
    let problem = &health.problems[0];
    assert!(problem.message.contains("orders from 1000 to 10"), "{}", problem.message);
    assert!(problem.advice.contains(&holder.to_string()), "{}", problem.advice);
}

#[test]
fn the_worst_comes_first() {
    let left_out = (vec![LeftOut::new("a", "b")], Vec::new());
    let failed = Some(failed("2026-11-27T14:00:00Z", FailureCode::Tool));
    let cannot_start = Some((now(), "mariadb-backup is missing".to_owned()));
    let facts = HealthFacts { left_out, failed, cannot_start, ..sound() };
    let expected = [ProblemKind::Failed, ProblemKind::CannotStart, ProblemKind::LeftOut];
    assert_wrong(&facts, &expected);
}

fn copies(place: &str) -> InstanceCopies {
    let newest = Some(made(0).created);
    InstanceCopies {
        place: place.to_owned(),
        proven: 10,
        missing: 0,
        missing_since: None,
        newest,
        failing: None,
    }
}

#[test]
fn copies_are_late_only_after_the_time_that_they_may_take() {
    let missing = |hours: u32| InstanceCopies {
        missing: 2,
        missing_since: Some(now().minus(HOUR * hours)),
        newest: Some(made(1).created),
        ..copies("offsite")
    };
    let with = |hours| HealthFacts { copies: vec![copies("nas"), missing(hours)], ..sound() };
    assert_wrong(&with(24), &[]);
    assert_wrong(&with(25), &[ProblemKind::CopiesLate]);
    let problem = look_at(with(25), now()).problems.remove(0);
    assert_eq!(problem.since, now().minus(HOUR));
    assert!(problem.message.contains("2 backups of shop are not in offsite"), "{problem:?}");
    assert!(problem.message.contains("the newest that is there is of 2026-11-26T02:30:00"));
    assert!(!problem.message.contains("nas"), "{problem:?}");
}

#[test]
fn a_copy_that_fails_once_is_no_problem_and_one_whose_place_is_out_of_reach_is_that_of_the_place() {
    let failing = |attempts| InstanceCopies {
        missing: 1,
        missing_since: Some(now().minus(HOUR)),
        failing: Some(FailingCopy {
            backup: BackupId::generate(),
            since: now().minus(HOUR),
            attempts,
            why: "the archive is not what was proven".to_owned(),
        }),
        ..copies("offsite")
    };
    let with = |attempts| HealthFacts { copies: vec![failing(attempts)], ..sound() };
    assert_wrong(&with(2), &[]);
    assert_wrong(&with(3), &[ProblemKind::CopyFailed]);
    let troubles = vec![trouble("offsite", 1)];
    assert_wrong(&HealthFacts { troubles, ..with(3) }, &[]);
    let not_configured = HealthFacts { configured: false, ..with(3) };
    assert_wrong(&not_configured, &[]);
}

#[test]
fn an_instance_is_not_safe_while_a_place_that_cannot_be_used_never_held_a_copy_of_it() {
    let never = InstanceCopies {
        proven: 0,
        missing: 1,
        missing_since: Some(now().minus(HOUR)),
        newest: None,
        ..copies("offsite")
    };
    let state = |it: &InstanceCopies, minutes| {
        let (copies, troubles) = (vec![it.clone()], vec![trouble("offsite", minutes)]);
        look_at(HealthFacts { copies, troubles, ..sound() }, now()).state
    };
    assert_eq!(state(&never, 9), SafetyState::Safe, "it may only meet a bad moment");
    assert_eq!(state(&never, 10), SafetyState::Warning);
    let once = InstanceCopies { proven: 1, ..never.clone() };
    assert_eq!(state(&once, 10), SafetyState::Safe, "the trouble of the place is said once");
    assert_eq!(state(&InstanceCopies { missing: 0, ..never.clone() }, 10), SafetyState::Safe);

    let waits = HealthFacts { troubles: vec![trouble("offsite", 1)], ..sound() };
    assert_eq!(waits.why_copies_wait(&never), Some("nobody answers"));
    assert_eq!(sound().why_copies_wait(&never), None);
    assert_eq!(waits.why_copies_wait(&InstanceCopies { missing: 0, ..never }), None);
}

/// That a place has not answered for so many minutes.
fn trouble(place: &str, minutes: u64) -> PlaceTrouble {
    PlaceTrouble {
        place: place.to_owned(),
        since: now().minus(Duration::from_secs(60 * minutes)),
        why: "nobody answers".to_owned(),
        configured: true,
    }
}

#[test]
fn a_backup_that_lies_only_where_nobody_answers_is_critical_at_once_also_of_an_instance_that_left()
{
    let holding = |here, places: &[&str]| Holding {
        here,
        places: places.iter().map(|it| (*it).to_owned()).collect(),
        backups: 3,
    };
    let troubles = vec![trouble("nas", 0)];
    let with = |holdings| HealthFacts { troubles: troubles.clone(), holdings, ..sound() };
    assert_wrong(&with(vec![holding(true, &["nas"]), holding(false, &["nas", "offsite"])]), &[]);
    let risk = with(vec![holding(true, &["nas"]), holding(false, &["nas"])]);
    assert_wrong(&risk, &[ProblemKind::OutOfReach]);
    assert_eq!(
        (look_at(risk.clone(), now()).state, risk.out_of_reach()),
        (SafetyState::Critical, 3)
    );
    assert_wrong(&HealthFacts { configured: false, ..risk }, &[ProblemKind::OutOfReach]);
    assert_wrong(
        &HealthFacts { troubles: Vec::new(), ..with(vec![holding(false, &[])]) },
        &[ProblemKind::OutOfReach],
    );
}

#[test]
fn a_place_is_a_problem_when_it_has_been_out_of_reach_for_minutes() {
    assert_eq!(place_problem(&[trouble("nas", 9)], now()), None);
    let both = place_problem(&[trouble("nas", 9), trouble("offsite", 10)], now()).unwrap();
    assert_eq!((both.kind, both.instance), (ProblemKind::PlaceUnreachable, None));
    assert_eq!(both.since, now().minus(Duration::from_secs(600)));
    assert_eq!(both.message, "nothing can be copied to offsite: nobody answers");
}
