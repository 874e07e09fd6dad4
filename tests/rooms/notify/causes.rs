//! Each kind of alert from what causes it, as the rooms that find it out say it to the catalog, to a receiver by HTTP and
//! one by mail; and that it is over once the cause is gone. A new kind does not compile until it is here.

use coffer::catalog::{ConfiguredPlace, FleetRules, Job, Lane, Notice, Recurring};
use coffer::domain::{
    ArchiveFacts, BackupId, CopyProof, DiskRoom, Failure, FailureCode, FleetArchive, Kind, LeftOut,
    Location, ParentChoice, RunEnd, RunNumbers, RunResult,
};
use coffer::notify::{Email, Security};
use coffer::policy::{
    HealthLimits, Keep, Policy, ProblemKind, StagingPlan, StagingTarget, Tier, Timetable,
};
use jiff::tz::TimeZone;
use uuid::Builder;

use super::*;
use crate::catalog::fixture::{facts, member, new_backup, project};
use crate::policy::daily;
use crate::receivers::MailReceiver;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The place that copies go to, and the one of a fleet.
const NAS: &str = "nas";

const WHY: &str = "as the test wants";

fn why() -> String {
    WHY.to_owned()
}

fn failure() -> Failure {
    Failure::new(FailureCode::SourceDenied, WHY)
}

/// Nothing is made by itself, and everything is kept.
fn policy(limits: HealthLimits) -> Policy {
    let (timetable, keep, drill, staging) = Default::default();
    Policy { zone: TimeZone::UTC, timetable, keep, drill, staging, health: limits }
}

/// A backup that holds enough for its size to mean something.
fn usual(facts: ArchiveFacts) -> ArchiveFacts {
    ArchiveFacts { source_bytes: 4 << 20, ..facts }
}

/// One that could not read a file.
fn without_a_file(facts: ArchiveFacts) -> ArchiveFacts {
    ArchiveFacts { left_out: vec![LeftOut::new("secret", "it cannot be read")], ..facts }
}

fn took(minutes: u64) -> RunNumbers {
    RunNumbers { took_ms: Some(minutes * 60_000), ..RunNumbers::default() }
}

impl House {
    fn later(&self, by: Duration) {
        self.clock.0.store(self.clock.now().plus(by).as_micros(), Ordering::SeqCst);
    }

    fn set_policy(&self, policy: Policy) {
        self.catalog.set_policies(HashMap::from([(shop(), policy)]));
    }

    /// A full backup that is being made.
    fn begun(&self) -> BackupId {
        let new = new_backup(shop(), ParentChoice::None);
        let id = self.catalog.create_backup(&member("a"), new).wait().unwrap().id;
        let Some(Job::Backup(_)) = self.catalog.claim(Lane::Work).unwrap() else { panic!() };
        id
    }

    fn made_with(
        &self,
        change: impl Fn(ArchiveFacts) -> ArchiveFacts,
        numbers: RunNumbers,
    ) -> BackupId {
        let id = self.begun();
        self.catalog.saving(id, self.clock.now()).wait().unwrap();
        self.catalog.complete(id, change(facts(id)), "unknown", numbers).wait().unwrap();
        self.later(MINUTE);
        id
    }

    fn made(&self) -> BackupId {
        self.made_with(usual, RunNumbers::default())
    }

    fn newest(&self) -> BackupId {
        self.catalog.every_backup().unwrap().last().unwrap().id
    }

    /// A drill of the newest backup that passed and counted so many rows.
    fn drilled(&self, rows: u64) {
        let mut end = RunEnd::new(self.clock.now(), RunResult::Done);
        end.numbers.rows_by_table = [("orders".to_owned(), rows)].into();
        self.catalog.end_drill(self.newest(), end, None).wait().unwrap();
        self.later(MINUTE);
    }

    /// A restore into staging that its schedule asked for.
    fn staged(&self, result: RunResult) {
        self.later(DAY);
        self.catalog.begin_recurring(Recurring::Staging, shop()).wait().unwrap();
        let Some(Job::Stage(job)) = self.catalog.claim(Lane::Drills).unwrap() else { panic!() };
        self.catalog.end_staging(job.id, RunEnd::new(self.clock.now(), result)).wait().unwrap();
    }

    fn set_places(&self, names: &[&str]) {
        let names = || names.iter().map(|it| (*it).to_owned());
        let keep = Some(Keep::new([(Tier::Last, 99)]));
        let place = |name| ConfiguredPlace { name, keep: keep.clone(), readable: true };
        self.catalog.set_copies(HashMap::from([(shop(), names().collect())]));
        self.catalog.set_places(names().map(place).collect());
    }

    /// A backup that is to be copied.
    fn made_for_a_place(&self) {
        self.set_places(&[NAS]);
        self.made();
    }

    fn end_copy(&self, proven: bool) {
        let job = self.catalog.claim_copy(NAS).unwrap().unwrap();
        let end = RunEnd::new(self.clock.now(), RunResult::Done);
        let ended = if proven {
            self.catalog.copy_proven(job.backup.id, NAS, (CopyProof::ReadBack, 1000), end)
        } else {
            self.catalog.copy_failed(job.backup.id, NAS, (failure(), Duration::ZERO), end)
        };
        ended.wait().unwrap();
    }

    /// What the fleet has is the daily backups of a device, the newest of an hour ago.
    fn read_fleet(&self) {
        let rules = FleetRules { place: NAS.to_owned(), silent_after: None, retired: Vec::new() };
        self.catalog.set_fleets(vec![rules]);
        let now = self.clock.now().minus(HOUR);
        let archives = (0..4).rev().map(|day| archive(now.minus(DAY * day))).collect();
        let number = self.catalog.begin_fleet_reading(NAS).wait().unwrap();
        let added = self.catalog.add_fleet_page(NAS, (number, true), archives).wait().unwrap();
        self.catalog.end_fleet_reading(NAS, (number, true), added.left_out).unwrap();
    }

    fn set_limits(&self, change: impl FnOnce(&mut HealthLimits)) {
        let mut limits = HealthLimits::default();
        change(&mut limits);
        self.set_policy(policy(limits));
    }

    /// Its schedule is followed from now on, and then nobody follows it.
    fn miss(&self) {
        let policy = policy(HealthLimits::default());
        self.set_policy(Policy { timetable: Some(daily()), ..policy });
        self.catalog.advance_schedule(shop()).wait().unwrap();
        self.later(HOUR * 5);
    }

    fn fail_staging(&self) {
        let to = StagingTarget::Path("/srv/staging/shop.db".into());
        let staging = Some(StagingPlan { to, timetable: Timetable { retries: 0, ..daily() } });
        self.set_policy(Policy { staging, ..policy(HealthLimits::default()) });
        self.made();
        self.staged(RunResult::Failed(failure()));
    }

    /// The older one of two backups goes from the data directory, as retention wants it, and the place that holds its copy
    /// cannot be used.
    fn leave_and_lose_sight(&self) {
        self.set_places(&[NAS]);
        let keep = Some(Keep::new([(Tier::Last, 1)]));
        self.set_policy(Policy { keep, ..policy(HealthLimits::default()) });
        for _backup in 0..2 {
            self.made();
            self.end_copy(true);
        }
        self.catalog.expire(shop()).wait().unwrap();
        let leaving = self.catalog.next_leaving().unwrap().unwrap().id;
        self.catalog.left(leaving, None).wait().unwrap();
        self.catalog.note_place(NAS, Some(why())).unwrap();
    }

    fn note_room(&self, free_bytes: u64) {
        let room = DiskRoom { free_bytes, total_bytes: 1 << 40, headroom_bytes: 0 };
        self.catalog.note_room(room, 3);
    }
}

/// An archive of a device, made at this time.
fn archive(made: Timestamp) -> FleetArchive {
    let millis = u64::try_from(made.as_micros() / 1000).unwrap();
    let id = Builder::from_unix_timestamp_millis(millis, &[1; 10]).into_uuid();
    let id = BackupId::from_uuid(id);
    let location = Location::of(&project("a"), None, blog(), id, Kind::Full);
    FleetArchive::parse(&format!("shop-1/archives/{location}"), 1000).unwrap()
}

/// Makes that happen of which this kind tells.
fn begin(house: &House, kind: ProblemKind) {
    let catalog = &house.catalog;
    match kind {
        ProblemKind::Failed => catalog.fail(house.begun(), failure()).wait().unwrap(),
        ProblemKind::Missed => house.miss(),
        ProblemKind::CannotStart => catalog.note_cannot_start(shop(), Some(why())),
        ProblemKind::NoBackup => {
            house.set_limits(|it| it.max_age = Some(Span::days(1)));
            house.later(DAY * 2);
        }
        ProblemKind::Smaller => {
            for _before in 0..6 {
                house.made();
            }
            house.made_with(|it| ArchiveFacts { source_bytes: 1 << 20, ..it }, took(1));
        }
        ProblemKind::Slower => {
            for minutes in [1, 1, 1, 1, 1, 1, 30] {
                house.made_with(usual, took(minutes));
            }
        }
        ProblemKind::ProofOld => {
            house.set_limits(|it| it.proof_max_age = Some(Span::days(1)));
            house.made();
            house.later(DAY * 2);
        }
        ProblemKind::Damaged => {
            let id = house.made();
            house.made();
            catalog.report_damage(id, failure()).wait().unwrap();
        }
        ProblemKind::LeftOut => {
            house.made();
            house.made_with(without_a_file, took(1));
        }
        ProblemKind::RowsFell => {
            house.made();
            house.drilled(1000);
            house.drilled(10);
        }
        ProblemKind::StagingFailed => house.fail_staging(),
        ProblemKind::CopyFailed
        | ProblemKind::CopiesLate
        | ProblemKind::PlaceUnreachable
        | ProblemKind::PlaceNotConfigured
        | ProblemKind::OutOfReach => begin_of_place(house, kind),
        ProblemKind::DeviceSilent
        | ProblemKind::FleetUnread
        | ProblemKind::RoomLow
        | ProblemKind::DiskFailing
        | ProblemKind::ClockJumped
        | ProblemKind::KeyUntried
        | ProblemKind::KeyUnusable
        | ProblemKind::CertificateEnds
        | ProblemKind::ServerStopped => begin_of_server(house, kind),
    }
}

/// The same of copies and their places.
fn begin_of_place(house: &House, kind: ProblemKind) {
    let catalog = &house.catalog;
    if kind == ProblemKind::CopyFailed {
        house.made_for_a_place();
        for _attempt in 0..3 {
            house.end_copy(false);
        }
    } else if kind == ProblemKind::CopiesLate {
        house.made_for_a_place();
        house.later(HOUR * 25);
    } else if kind == ProblemKind::PlaceUnreachable {
        house.set_places(&[NAS]);
        catalog.note_place(NAS, Some(why())).unwrap();
        house.later(MINUTE * 11);
    } else if kind == ProblemKind::PlaceNotConfigured {
        house.made_for_a_place();
        house.end_copy(true);
        house.set_places(&[]);
        catalog.settle_places().unwrap();
    } else {
        house.leave_and_lose_sight();
    }
}

/// The same of fleets, and of the server as a whole.
fn begin_of_server(house: &House, kind: ProblemKind) {
    let catalog = &house.catalog;
    if kind == ProblemKind::DeviceSilent {
        house.read_fleet();
        house.later(DAY * 2);
    } else if kind == ProblemKind::FleetUnread {
        house.read_fleet();
        catalog.fleet_unread(NAS, why()).wait().unwrap();
        house.later(MINUTE * 11);
    } else if kind == ProblemKind::RoomLow {
        house.made();
        house.note_room(1);
    } else {
        catalog.set_notice(notice(kind), Some(why()));
    }
}

/// What the server notices of itself.
fn notice(kind: ProblemKind) -> Notice {
    match kind {
        ProblemKind::DiskFailing => Notice::DiskFailing,
        ProblemKind::ClockJumped => Notice::ClockJumped,
        ProblemKind::KeyUntried => Notice::KeyUntried,
        ProblemKind::KeyUnusable => Notice::KeyUnusable,
        ProblemKind::CertificateEnds => Notice::CertificateEnds,
        _ => Notice::ArchivesMissing,
    }
}

/// Takes the cause away.
fn end(house: &House, kind: ProblemKind) {
    let catalog = &house.catalog;
    match kind {
        ProblemKind::Failed
        | ProblemKind::Missed
        | ProblemKind::NoBackup
        | ProblemKind::Smaller => drop(house.made()),
        ProblemKind::Slower => drop(house.made_with(usual, took(1))),
        ProblemKind::CannotStart => catalog.note_cannot_start(shop(), None),
        ProblemKind::ProofOld => house.drilled(1000),
        ProblemKind::Damaged => {
            let damaged = catalog.every_backup().unwrap()[0].id;
            catalog.delete_backup(&member("a"), damaged).wait().unwrap();
        }
        // What the newest one leaves out is known by then.
        ProblemKind::LeftOut => drop(house.made_with(without_a_file, took(1))),
        ProblemKind::RowsFell => house.drilled(10),
        ProblemKind::StagingFailed => house.staged(RunResult::Done),
        ProblemKind::CopyFailed | ProblemKind::CopiesLate => house.end_copy(true),
        ProblemKind::PlaceUnreachable | ProblemKind::OutOfReach => {
            catalog.note_place(NAS, None).unwrap();
        }
        ProblemKind::PlaceNotConfigured => {
            house.set_places(&[NAS]);
            assert_eq!(catalog.settle_places().unwrap(), []);
        }
        ProblemKind::DeviceSilent | ProblemKind::FleetUnread => house.read_fleet(),
        ProblemKind::RoomLow => house.note_room(1 << 40),
        ProblemKind::DiskFailing
        | ProblemKind::ClockJumped
        | ProblemKind::KeyUntried
        | ProblemKind::KeyUnusable
        | ProblemKind::CertificateEnds
        | ProblemKind::ServerStopped => {
            catalog.set_notice(notice(kind), None);
        }
    }
}

/// Quoted-printable text as it was.
fn decoded(text: &str) -> String {
    text.replace("=\n", "").replace("=3D", "=")
}

#[test]
fn each_kind_begins_with_its_cause_and_ends_without_it_by_http_and_by_mail() {
    for kind in ProblemKind::ALL {
        let (http, mail) = (HttpReceiver::start(), MailReceiver::start());
        let (from, to) = ("coffer@example.org", "ops@example.org");
        let email = Email::new(&mail.address(), Security::None, from, to, None).unwrap();
        let target = Target::Email(email);
        let channels = vec![webhook(&http), Channel { name: "mail".to_owned(), target }];
        let mut house = House::watching_the_catalog(channels);
        let word = kind.as_str();
        for event in ["began", "ended"] {
            if event == "began" {
                begin(&house, *kind);
            } else {
                end(&house, *kind);
            }
            for _look in 0..2 {
                house.tick_after(30);
            }
            house.delivered();
            let found = events(&http);
            assert_eq!(found.last(), Some(&format!("{event} {word}")), "{found:?}");
        }
        assert_eq!(events(&http).len(), 2, "{word}: and nothing else, {:?}", events(&http));
        let (posts, mails) = (http.received(), mail.mails());
        assert_eq!(mails.len(), 2, "{word}: {mails:?}");
        for (post, mail) in posts.iter().zip(&mails) {
            let (message, mail) = (post.json(), decoded(&mail.data));
            for part in ["text", "advice"] {
                let part = message[part].as_str().unwrap_or_default();
                assert!(mail.contains(part), "{word}: {part:?} is not in {mail}");
            }
        }
        house.catalog.close();
    }
}
