//! What is wrong, with the server and with each instance.

use std::cmp::Reverse;
use std::time::Duration;

use crate::domain::{
    CompletedBackup, DiskRoom, Instance, InstanceId, InstanceOrigin, InstanceStatus, Kind,
    PlaceCopies, PlaceTrouble, ProjectId, Queues, Timestamp,
};
use crate::policy::{
    self, HealthFacts, HealthLimits, InstanceHealth, Problem, ProblemKind, examine,
};
use crate::store::{LastDrills, Records, ScheduleRecord};

use super::rules::Rules;
use super::{Catalog, Forbidden, Notice, Read, Result, Scope};

/// How everything is.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// All that is wrong, the worst first.
    pub problems: Vec<Problem>,
    /// What a person should know of the server besides, in sentences.
    pub notices: Vec<String>,
    /// Those that have problems first, the worst first.
    pub instances: Vec<InstanceReport>,
    /// The disk, if it was looked at.
    pub room: Option<DiskRoom>,
    /// The places that copies go to.
    pub places: Vec<PlaceCopies>,
}

/// How one instance is.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceReport {
    pub instance: Instance,
    pub health: InstanceHealth,
}

impl Catalog {
    /// Tells how much room the disk has, and for how many more backups of every instance there should be some.
    pub fn note_room(&self, room: DiskRoom, backups: u32) {
        *self.observed.room.write() = Some((room, backups));
    }

    /// How much room the disk has, as it was reported last.
    pub fn room(&self) -> Option<DiskRoom> {
        self.observed.room.read().map(|(room, _backups)| room)
    }

    /// How many jobs wait for a worker.
    pub fn queues(&self) -> Result<Queues> {
        self.store.read(|db| Ok(db.queues()?))
    }

    /// Whether nothing is begun for now, for a reason that a notice says.
    pub fn is_stopped(&self) -> bool {
        let mut notices = self.notices.all().into_iter();
        notices.any(|(it, ..)| kind_of(it) == Some(ProblemKind::ServerStopped))
    }

    /// All that is wrong, with the server and every instance; the worst first.
    pub fn problems(&self) -> Result<Vec<Problem>> {
        Ok(self.health_of_all()?.problems)
    }

    /// How the instances of the scope's project are, or those of every project for an administrator.
    pub fn health(&self, scope: &Scope<Read>, every_project: bool) -> Result<Health> {
        if every_project && !scope.caller().is_admin() {
            return Err(Forbidden::AllProjects.into());
        }
        self.look_at((!every_project).then(|| scope.project()))
    }

    /// How everything is, without a check of access. Reads for a while where there are thousands of instances that
    /// changed: not on an event loop.
    pub fn health_of_all(&self) -> Result<Health> {
        self.look_at(None)
    }

    /// The instances whose totals are not what a count of their backups gives: none, unless somebody changed the
    /// catalog past Coffer.
    pub fn wrong_totals(&self) -> Result<Vec<InstanceId>> {
        self.store.read(|db| Ok(db.wrong_totals()?))
    }

    fn look_at(&self, project: Option<&ProjectId>) -> Result<Health> {
        // Before what is said of each instance, which depends on it.
        let removed = self.store.read(|db| self.rules.removed_places(db))?;
        let known = self.known_facts(|it| project.is_none_or(|project| *project == it.project))?;
        // After them: what is known then is no older.
        let troubles = self.store.read(|db| self.rules.place_troubles(db))?;
        let mut instances = Vec::new();
        for (instance, known) in known {
            let health = self.judged(known.facts.clone(), known.next_run, &troubles);
            let is_shown = instance.status != InstanceStatus::Detached
                || health.facts.stored_bytes > 0
                || !health.problems.is_empty();
            if is_shown {
                instances.push(InstanceReport { instance, health });
            }
        }
        instances.sort_by_key(|it| Reverse(it.health.state));
        let mut problems = self.server_problems();
        problems.extend(policy::place_problem(&troubles, self.rules.now()));
        problems.extend(policy::removed_problem(&removed));
        // They are of no project.
        if project.is_none() {
            problems.extend(self.fleet_problems()?);
        }
        let room = *self.observed.room.read();
        problems.extend(self.room_problem(room, &instances));
        problems.extend(instances.iter().flat_map(|it| it.health.problems.iter().cloned()));
        problems.sort_by_key(|it| Reverse(it.kind.severity()));
        let remarks = self.notices.all().into_iter().filter(|(it, ..)| kind_of(*it).is_none());
        let notices = remarks.map(|(_, _, text)| text).collect();
        let room = room.map(|(room, _)| room);
        // They hold the copies of every project.
        let places = if project.is_none() { self.places()? } else { Vec::new() };
        Ok(Health { problems, notices, instances, room, places })
    }

    /// What is wrong with the server as a whole, as its notices say.
    fn server_problems(&self) -> Vec<Problem> {
        let mut found: Vec<Problem> = Vec::new();
        for (notice, since, text) in self.notices.all() {
            let Some(kind) = kind_of(notice) else { continue };
            match found.iter_mut().find(|it| it.kind == kind) {
                Some(known) => {
                    known.since = known.since.min(since);
                    known.message = format!("{}; {text}", known.message);
                }
                None => found.push(Problem {
                    kind,
                    instance: None,
                    since,
                    message: text,
                    advice: advice_for(notice).to_owned(),
                }),
            }
        }
        found
    }

    fn room_problem(
        &self,
        room: Option<(DiskRoom, u32)>,
        instances: &[InstanceReport],
    ) -> Option<Problem> {
        let (room, count) = room?;
        let configured = instances.iter().filter(|it| it.health.facts.configured);
        let usual: Vec<_> = configured.map(|it| usual_room(&it.health.facts.completed)).collect();
        let now = self.rules.now();
        let found = policy::room_problem(room, &usual, count, now);
        let mut low_since = self.observed.low_since.write();
        let since = low_since.unwrap_or(now);
        *low_since = found.as_ref().map(|_low| since);
        found.map(|it| Problem { since, ..it })
    }

    /// How an instance is, read now.
    pub(super) fn instance_health(
        &self,
        db: Records<'_>,
        instance: &Instance,
    ) -> Result<InstanceHealth> {
        let known = self.facts_of(db, instance)?;
        Ok(self.judged(known.facts, known.next_run, &self.rules.place_troubles(db)?))
    }

    /// How an instance is now, by what was read of it. `troubles` are those of the places, which are the same for every
    /// instance.
    fn judged(
        &self,
        mut facts: HealthFacts,
        next_run: Option<Timestamp>,
        troubles: &[PlaceTrouble],
    ) -> InstanceHealth {
        let id = facts.instance;
        facts.cannot_start = self.observed.cannot_start(&facts);
        facts.troubles = troubles.to_vec();
        facts.drill_interval = self.rules.drill_interval(id);
        let (policy, default) = (self.rules.policy(id), HealthLimits::default());
        let timetable = policy.as_ref().and_then(|it| it.timetable.as_ref());
        let limits = policy.as_ref().map_or(&default, |it| &it.health);
        let health = examine(facts, timetable, limits, self.rules.now());
        InstanceHealth { next_run, ..health }
    }
}

impl Rules {
    /// How far apart the drills of an instance are by their schedule.
    fn drill_interval(&self, id: InstanceId) -> Option<Duration> {
        self.policy(id)?.drill.as_ref()?.interval(self.now())
    }

    /// What the rows say of it. What is not in them is filled in when it is judged.
    pub(super) fn health_facts(&self, db: Records<'_>, instance: &Instance) -> Result<HealthFacts> {
        let (project, id, until) = (&instance.project, instance.id, self.latest_plausible());
        let completed = db.completed_history(project, id, until)?;
        let traces = db.traces_of(project, id)?;
        let bad = if traces.has_bad { db.bad_backups(project, id)? } else { Vec::new() };
        let last_good = match completed.first() {
            // A full backup is built on no other.
            Some(newest) if bad.is_empty() && newest.kind == Kind::Full => Some(*newest),
            Some(_) => db.newest_whole(project, id, until)?,
            None => None,
        };
        let newest = completed.first().map(|it| it.created);
        let attempts = db.newest_attempts(project, id, until, newest)?;
        let left_out = match completed.as_slice() {
            [newest, before, ..] => db.left_out_of(newest.id, before.id)?,
            _ => Default::default(),
        };
        let unusable = if bad.is_empty() { 0 } else { db.count_unusable(project, id)? };
        let drills = if traces.has_drills { db.last_drills(id)? } else { LastDrills::default() };
        let holdings = if traces.has_holdings { db.holdings_of(project, id)? } else { Vec::new() };
        let schedule = db.schedule(id)?;
        Ok(HealthFacts {
            instance: id,
            name: instance.name.clone(),
            configured: instance.origin == InstanceOrigin::Configured
                && instance.status != InstanceStatus::Detached,
            first_seen: instance.created,
            verify: instance.verify,
            drill_interval: None,
            staging: self.staging_problem(db, id)?,
            copies: self.copies_of_instance(db, id)?,
            troubles: Vec::new(),
            holdings,
            scheduled_since: schedule.as_ref().map(|it| it.since),
            begun_until: schedule.as_ref().map(|it| it.handled),
            cannot_start: schedule
                .and_then(refusal)
                .filter(|(at, _)| newest.is_none_or(|it| it < *at)),
            running: attempts.running,
            failed: attempts.failed,
            completed: completed.into(),
            last_good,
            left_out,
            bad,
            restore_points: traces.completed.saturating_sub(unusable),
            stored_bytes: traces.stored_bytes,
            last_drill: drills.last,
            passed_drills: drills.passed,
            proven_by_drill: drills.proven,
        })
    }
}

/// Why no backup could be begun for the last run of a schedule, and for which.
fn refusal(schedule: ScheduleRecord) -> Option<(Timestamp, String)> {
    Some((schedule.handled, schedule.refused?))
}

/// What to do about a notice.
const fn advice_for(notice: Notice) -> &'static str {
    match notice {
        Notice::KeyUntried => {
            "coffer key test FILE on this machine, with the key from where you keep it, or - for one that is typed from its \
             recovery sheet; if it is lost: coffer key new, and name the new public key in the configuration before more \
             backups are made that nobody can read"
        }
        Notice::KeyUnusable => {
            "mend the file, or take it out of encryption.identity_files if it is not needed on this machine; then restart the \
             server. coffer doctor says more"
        }
        Notice::CertificateEnds => {
            "renew it, and then systemctl reload coffer; if that happens by itself (certbot), look why it does not. coffer doctor says \
             more"
        }
        _ => "coffer doctor, run as the server's user, says more",
    }
}

/// What kind of problem a notice is; `None` if it is none.
const fn kind_of(notice: Notice) -> Option<ProblemKind> {
    match notice {
        Notice::CatalogMoved
        | Notice::CatalogDamaged
        | Notice::ReadOnly
        | Notice::DiskFull
        | Notice::ArchivesMissing
        | Notice::Unsettled => Some(ProblemKind::ServerStopped),
        Notice::DiskFailing => Some(ProblemKind::DiskFailing),
        Notice::ClockJumped => Some(ProblemKind::ClockJumped),
        Notice::KeyUntried => Some(ProblemKind::KeyUntried),
        Notice::KeyUnusable => Some(ProblemKind::KeyUnusable),
        Notice::CertificateEnds => Some(ProblemKind::CertificateEnds),
        Notice::CatalogRebuilt
        | Notice::CatalogOlder
        | Notice::CatalogWritten
        | Notice::KeystoneAway
        | Notice::UsersUnread => None,
    }
}

/// The mean and the largest size of recent archives.
fn usual_room(completed: &[CompletedBackup]) -> (u64, u64) {
    let sizes = || completed.iter().map(|it| it.stored_bytes);
    let sum = sizes().fold(0, u64::saturating_add);
    let count = u64::try_from(completed.len()).unwrap_or(u64::MAX);
    (sum.checked_div(count).unwrap_or(0), sizes().max().unwrap_or(0))
}
