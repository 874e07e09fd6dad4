//! Schedules: what is due begins in the transaction that records it, so that no run is lost or made twice.

use crate::domain::{
    Action, Actor, Backup, BackupId, Caller, Event, Instance, InstanceId, InstanceStatus,
    NewBackup, ParentChoice, ProjectId, Role, Status, Timestamp,
};
use crate::policy::{ProofTimes, Retry, Timetable, Turn};
use crate::store::{Records, ScheduleRecord};

use super::rules::{Rules, visible_instance};
use super::{Catalog, CatalogError, Forbidden, Read, Reply, Result, Scope, Write, lineage};

/// The name of the caller that asks for what is due.
const CALLER: &str = "schedule";

/// How much of an instance's name stands in those of its backups.
const NAME_LENGTH: usize = 200;

/// When to look at a schedule again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    At(Timestamp),
    /// When the backup of the instance that runs now has ended.
    AfterBackup,
    /// It has no schedule, or cannot be backed up.
    Never,
}

/// What there is to do for a schedule.
enum Step {
    Nothing(Look),
    /// It is seen for the first time, or the clock was put far back: it begins now, and nothing was missed.
    Enrol,
    /// A backup for the run of this instant.
    Begin {
        run: Timestamp,
        attempt: u32,
    },
}

/// An instance for which something is done by a schedule: backups, drills, or restores into staging.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    pub instance: Instance,
    /// `None`: backups are made only when somebody asks.
    pub timetable: Option<Timetable>,
    /// When its next backup begins.
    pub next: Option<Timestamp>,
    /// The last backup that was made for the schedule.
    pub last: Option<BackupId>,
    /// Since when a backup is overdue.
    pub overdue: Option<Timestamp>,
    /// Why no backup could be begun for the last run, if so.
    pub refused: Option<String>,
    pub proof: ProofTimes,
    /// Whether it was set through the API.
    pub set_through_api: bool,
}

impl Catalog {
    /// The instances that have a schedule.
    pub fn scheduled(&self) -> Vec<InstanceId> {
        let all = self.rules.policies.read();
        all.iter().filter(|(_, policy)| policy.timetable.is_some()).map(|(id, _)| *id).collect()
    }

    /// When to look at a schedule again; `None`: there is something to do now, with [`Self::advance_schedule`].
    pub fn look_at_schedule(&self, id: InstanceId) -> Result<Option<Look>> {
        Ok(match self.store.read(|db| self.rules.step(db, id))? {
            Step::Nothing(look) => Some(look),
            Step::Enrol | Step::Begin { .. } => None,
        })
    }

    /// Does what there is to do for a schedule, and says when to look again.
    pub fn advance_schedule(&self, id: InstanceId) -> Reply<Look> {
        self.write_and_wake(move |db, rules| rules.advance(db, id))
    }

    /// The instances of the scope's project for which something is scheduled, or of every project for an administrator.
    pub fn schedules(&self, scope: &Scope<Read>, every_project: bool) -> Result<Vec<Scheduled>> {
        if every_project && !scope.caller().is_admin() {
            return Err(Forbidden::AllProjects.into());
        }
        let mut found = self.every_schedule()?;
        found.retain(|it| every_project || it.instance.project == *scope.project());
        Ok(found)
    }

    /// What is scheduled for an instance, if anything is.
    pub fn schedule(&self, scope: &Scope<Read>, id: InstanceId) -> Result<Option<Scheduled>> {
        self.store.read(|db| self.rules.scheduled(db, visible_instance(db, scope, id)?))
    }

    /// Every instance for which something is scheduled, without a check of access.
    pub fn every_schedule(&self) -> Result<Vec<Scheduled>> {
        self.store.read(|db| {
            let mut found = Vec::new();
            for record in db.instances_of_all(None, u32::MAX)? {
                found.extend(self.rules.scheduled(db, record.instance)?);
            }
            Ok(found)
        })
    }
}

impl Rules {
    fn scheduled(&self, db: Records<'_>, instance: Instance) -> Result<Option<Scheduled>> {
        let Some(policy) = self.policy(instance.id) else { return Ok(None) };
        let timetable = policy.timetable.clone();
        if timetable.is_none() && policy.drill.is_none() && policy.staging.is_none() {
            return Ok(None);
        }
        let (record, now) = (db.schedule(instance.id)?.filter(|_| timetable.is_some()), self.now());
        let handled = record.as_ref().map(|it| it.handled);
        let next = match &timetable {
            Some(table) => self.next_run(db, instance.id, table, handled)?,
            None => None,
        };
        let last = record.as_ref().and_then(|it| it.last).map(|(backup, _attempt)| backup);
        let own = self.source.read().as_ref().map(|it| it.own_keys(instance.id));
        let set_through_api =
            own.is_none_or(|own| own.schedule.is_none()) && db.has_policy(instance.id)?;
        let refused = record.as_ref().and_then(|it| it.refused.clone());
        let attached = record.filter(|_| instance.status != InstanceStatus::Detached);
        let overdue = match timetable.as_ref().zip(attached) {
            None => None,
            Some((table, record)) => {
                let good = lineage::newest_good(db, &instance, self.latest_plausible())?;
                let since = good.map_or(record.since, |(_, good)| good.max(record.since));
                table.overdue_since(instance.id, since, now)
            }
        };
        let proof = self.proof_times(db, &instance)?;
        Ok(Some(Scheduled {
            instance,
            timetable,
            next,
            last,
            overdue,
            refused,
            proof,
            set_through_api,
        }))
    }

    /// When the next backup of an instance begins by its schedule.
    pub(super) fn next_run(
        &self,
        db: Records<'_>,
        id: InstanceId,
        table: &Timetable,
        handled: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        Ok(match self.step(db, id)? {
            Step::Nothing(Look::At(at)) => Some(at),
            Step::Nothing(Look::Never) => None,
            _ => {
                let now = self.now();
                table.next_start(id, handled.unwrap_or(now).max(now))
            }
        })
    }

    fn step(&self, db: Records<'_>, id: InstanceId) -> Result<Step> {
        let nothing = |look| Ok(Step::Nothing(look));
        let policy = self.policy(id);
        let Some(table) = policy.as_ref().and_then(|it| it.timetable.as_ref()) else {
            return nothing(Look::Never);
        };
        let instance = db.instance(id)?.filter(|it| it.removal.is_none()).map(|it| it.instance);
        match instance.map(|it| it.status) {
            Some(InstanceStatus::Active) => {}
            Some(InstanceStatus::Backup) => return nothing(Look::AfterBackup),
            Some(InstanceStatus::Build | InstanceStatus::Error | InstanceStatus::Detached)
            | None => return nothing(Look::Never),
        }
        let Some(done) = db.schedule(id)? else { return Ok(Step::Enrol) };
        let now = self.now();
        let next = match table.turn(id, done.handled, now) {
            Turn::Due(run) => return Ok(Step::Begin { run, attempt: 1 }),
            Turn::Reset => return Ok(Step::Enrol),
            Turn::Wait(at) => Look::At(at),
            Turn::Never => Look::Never,
        };
        match (retry(db, table, &done, self.latest_plausible())?, next) {
            (Some((at, attempt)), _) if at <= now => {
                Ok(Step::Begin { run: done.handled, attempt: attempt.saturating_add(1) })
            }
            (Some((at, _)), Look::At(next)) => nothing(Look::At(at.min(next))),
            (Some((at, _)), _) => nothing(Look::At(at)),
            (None, next) => nothing(next),
        }
    }

    fn advance(&self, db: Records<'_>, id: InstanceId) -> Result<Look> {
        match self.step(db, id)? {
            Step::Nothing(look) => return Ok(look),
            Step::Enrol => {
                let now = self.now();
                let (last, refused) = (None, None);
                db.put_schedule(id, &ScheduleRecord { since: now, handled: now, last, refused })?;
            }
            Step::Begin { run, attempt } => {
                let (last, refused) = match self.begin_scheduled(db, id, run) {
                    Ok(backup) => (Some((backup.id, attempt)), None),
                    Err(error @ CatalogError::Store(_)) => return Err(error),
                    Err(refused) => {
                        let refused = refused.to_string();
                        self.note_refused(db, id, run, &refused)?;
                        (None, Some(refused))
                    }
                };
                let since = db.schedule(id)?.map_or(run, |it| it.since);
                db.put_schedule(id, &ScheduleRecord { since, handled: run, last, refused })?;
            }
        }
        Ok(match self.step(db, id)? {
            Step::Nothing(look) => look,
            Step::Enrol | Step::Begin { .. } => Look::At(self.now()),
        })
    }

    fn begin_scheduled(&self, db: Records<'_>, id: InstanceId, run: Timestamp) -> Result<Backup> {
        let record = db.instance(id)?.ok_or(CatalogError::NoSuchInstance { id })?;
        let (instance, policy) = (record.instance, self.policy(id));
        let Some(table) = policy.as_ref().and_then(|it| it.timetable.as_ref()) else {
            return Err(CatalogError::NoSuchInstance { id });
        };
        let full = self.is_full_due(db, &instance, table)?;
        let name: String = instance.name.chars().take(NAME_LENGTH).collect();
        let new = NewBackup {
            name: format!("{name} {} UTC", at_minute(run)),
            description: Some(format!("By the schedule \"{}\".", table.schedule)),
            instance: id,
            parent: if full { ParentChoice::None } else { ParentChoice::Newest },
            container: None,
        };
        let backup = self.accept_backup(db, &scope(instance.project)?, new)?;
        log::info!("backup {} of instance {} is due by its schedule", backup.id, instance.name);
        Ok(backup)
    }

    /// No backup could be begun for a run.
    fn note_refused(
        &self,
        db: Records<'_>,
        id: InstanceId,
        run: Timestamp,
        why: &str,
    ) -> Result<()> {
        let due = at_minute(run);
        log::error!("the backup of instance {id} that was due at {due} UTC is not made: {why}");
        let Some(record) = db.instance(id)? else { return Ok(()) };
        let event = Event::done(self.now(), &Actor::server(CALLER), Action::BackupCreate).refused();
        let event = event.in_project(&record.instance.project).of(id);
        Ok(db.add_event(&event.with_detail(format!("due at {due} UTC: {why}")))?)
    }

    fn is_full_due(&self, db: Records<'_>, instance: &Instance, table: &Timetable) -> Result<bool> {
        let until = self.latest_plausible();
        let Some(newest) = db.newest_completed(&instance.project, instance.id, until)? else {
            return Ok(true);
        };
        let chain = lineage::chain(db, &instance.project, newest.backup.id)?;
        let Some(root) = chain.ok().and_then(|chain| chain.into_iter().next()) else {
            return Ok(true);
        };
        let since = db.count_completed_since(instance.id, root.created)?;
        let since = u32::try_from(since).unwrap_or(u32::MAX);
        Ok(table.full_every.is_due(&table.zone, root.created, since, self.now()))
    }
}

/// `2026-11-27 01:30`. In UTC, as everywhere else: the clocks of a zone show some times twice.
fn at_minute(at: Timestamp) -> String {
    let shown = at.to_wire().replace('T', " ");
    shown.get(..16).unwrap_or_default().to_owned()
}

/// When the last run of a schedule is attempted again, and how many attempts it has had.
fn retry(
    db: Records<'_>,
    table: &Timetable,
    done: &ScheduleRecord,
    until: Timestamp,
) -> Result<Option<(Timestamp, u32)>> {
    let Some((id, attempt)) = done.last else { return Ok(None) };
    let Some(record) = db.backup(id)?.filter(|it| !it.is_deleted()) else { return Ok(None) };
    let backup = record.backup;
    let (Status::Failed, Some(failure)) = (backup.status, &backup.failure) else {
        return Ok(None);
    };
    // Somebody asked for another one meanwhile, and that was made.
    if let Some(instance) = backup.instance
        && let Some(newest) = db.newest_completed(&backup.project, instance, until)?
        && newest.backup.created > backup.created
    {
        return Ok(None);
    }
    Ok(match table.after_failure(failure.code, attempt, backup.updated) {
        Retry::At(at) => Some((at, attempt)),
        Retry::No => None,
    })
}

/// Schedules ask for backups like a member of the project.
fn scope(project: ProjectId) -> Result<Scope<Write>> {
    let (name, roles) = (CALLER.to_owned(), vec![Role::Member]);
    Scope::enter(Caller { name, project: Some(project.clone()), roles }, project)
}
