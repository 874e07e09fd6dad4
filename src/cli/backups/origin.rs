//! Where the commands get their answers: from a server, or from the catalog on this machine.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use crate::catalog::{EventFilter, Notice, Scheduled};
use crate::cli::error::{CommandError, Result};
use crate::client::Client;
use crate::config::Config;
use crate::domain::{BackupId, InstanceId, ProjectId, Timestamp};
use crate::executor::{self, Context};
use crate::policy::{Problem, ProblemKind};
use crate::server::{self, ServerError};
use crate::wire::{
    AlertList, AlertView, BackupView, DeliveryView, EventView, FleetInstanceView, HealthView,
    InstanceView, RetentionView, ScheduleView,
};

use super::connect::{Connected, Server, connect};
use super::selector::{Candidate, Selector};

/// Where answers come from, with the instances once they were asked for.
pub(super) struct Origin {
    answers: Answers,
    instances: OnceCell<Vec<Named>>,
}

enum Answers {
    Server(Server),
    /// The catalog, and why no server was asked.
    Catalog {
        context: Box<Context>,
        file: String,
        why: String,
        /// Whether a server runs all the same.
        server_runs: bool,
    },
}

/// An instance, as far as lists need it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: InstanceId,
    pub(super) name: String,
    pub(super) project: ProjectId,
}

impl Origin {
    fn new(answers: Answers) -> Self {
        Self { answers, instances: OnceCell::new() }
    }

    /// For commands that only read: the server, or the catalog if none can be asked.
    pub(super) fn open(config: &Config) -> Result<Self> {
        let (why, answers) = match connect(config)? {
            Connected::Server(server) => return Ok(Self::new(Answers::Server(server))),
            Connected::Nobody { url } => (format!("no server answers at {url}"), false),
            Connected::NoToken { why } => (why, true),
        };
        let context = server::open_existing(config).map(Box::new).map_err(|error| match error {
            ServerError::NoCatalog { .. } => CommandError::Failed(format!("{why}, and {error}")),
            _ if answers => CommandError::Failed(format!("{why}; and {error}")),
            _ => error.into(),
        })?;
        let file = config.catalog_file().display().to_string();
        Ok(Self::new(Answers::Catalog { context, file, why, server_runs: answers }))
    }

    /// For commands that change something: the server, which has to run.
    pub(super) fn running_server(config: &Config) -> Result<(Self, Client)> {
        match connect(config)? {
            Connected::Server(server) => {
                let client = server.client.clone();
                Ok((Self::new(Answers::Server(server)), client))
            }
            Connected::Nobody { url } => Err(CommandError::Failed(format!(
                "no server answers at {url}; start it (systemctl start coffer, or coffer serve)"
            ))),
            Connected::NoToken { why } => Err(CommandError::Failed(why)),
        }
    }

    /// Why the catalog was read and no server asked; `None` if one was.
    pub(super) fn without_server(&self) -> Option<&str> {
        match &self.answers {
            Answers::Server(_) => None,
            Answers::Catalog { why, .. } => Some(why),
        }
    }

    /// For errors: `the server http://…` or `the catalog /…`.
    pub(super) fn place(&self) -> String {
        match &self.answers {
            Answers::Server(server) => format!("the server {}", server.url),
            Answers::Catalog { file, .. } => format!("the catalog {file}"),
        }
    }

    /// Every backup, or those of one instance, newest first.
    pub(super) fn backups(&self, instance: Option<InstanceId>) -> Result<Vec<BackupView>> {
        match &self.answers {
            Answers::Server(server) => Ok(server.client.backups(instance, server.every_project)?),
            Answers::Catalog { context, .. } => {
                let mut rows = context.catalog.every_backup()?;
                rows.retain(|row| instance.is_none_or(|id| row.instance == Some(id)));
                context.catalog.read_copies(&mut rows)?;
                rows.reverse();
                Ok(rows.into_iter().map(|row| BackupView::new(row, &*context.local)).collect())
            }
        }
    }

    pub(super) fn backup(&self, id: BackupId) -> Result<BackupView> {
        let found = match &self.answers {
            Answers::Server(server) => server.client.backup(id).map_err(CommandError::from),
            Answers::Catalog { context, .. } => context
                .catalog
                .find(id)
                .map(|row| BackupView::new(row, &*context.local))
                .map_err(CommandError::from),
        };
        found.map_err(|error| error.not_found_in(id, &self.place()))
    }

    /// Every instance.
    pub(super) fn instances(&self) -> Result<&[Named]> {
        if let Some(known) = self.instances.get() {
            return Ok(known);
        }
        let found: Vec<_> = match &self.answers {
            Answers::Server(Server { client, every_project, .. }) => {
                let views = if *every_project {
                    client.instances_of_every_project()?
                } else {
                    client.instances()?
                };
                views.into_iter().map(|it| Named::of_view(it, client.project())).collect()
            }
            Answers::Catalog { context, .. } => context
                .catalog
                .every_instance()?
                .into_iter()
                .map(|it| Named { id: it.id, name: it.name, project: it.project })
                .collect(),
        };
        Ok(self.instances.get_or_init(|| found))
    }

    /// How everything is.
    pub(super) fn health(&self) -> Result<HealthView> {
        let (context, server_runs) = match &self.answers {
            Answers::Server(server) => {
                return Ok(server.client.project_health(server.every_project)?);
            }
            Answers::Catalog { context, server_runs, .. } => (context, *server_runs),
        };
        let missing = executor::why_archives_missing(context)?;
        context.catalog.set_notice(Notice::ArchivesMissing, missing);
        executor::note_room(context);
        if !server_runs && let Err(error) = executor::look_at_disks(context) {
            log::debug!("what is wrong with the places is not noted: {error}");
        }
        let mut found = context.catalog.health_of_all()?;
        if !server_runs && found.instances.iter().any(|it| it.health.next_run.is_some()) {
            found.problems.insert(0, no_server(context.clock.now()));
        }
        let instances = found.instances.into_iter().map(|it| (it.instance, it.health));
        Ok(HealthView::new(found.problems, found.notices, instances, found.room)
            .with_places(found.places))
    }

    /// The instances of the devices of all fleets, or only those that are silent.
    pub(super) fn fleet(&self, silent: bool, limit: u32) -> Result<Vec<FleetInstanceView>> {
        Ok(match &self.answers {
            Answers::Server(server) => server.client.fleet(silent, limit)?,
            Answers::Catalog { context, .. } => {
                let now = context.clock.now();
                let found = context.catalog.every_fleet_instance((0, limit), silent)?;
                found.into_iter().map(|it| FleetInstanceView::new(it, now)).collect()
            }
        })
    }

    /// Every schedule.
    pub(super) fn schedules(&self) -> Result<Vec<ScheduleView>> {
        Ok(match &self.answers {
            Answers::Server(server) => server.client.schedules(server.every_project)?,
            Answers::Catalog { context, .. } => {
                let view = |it: Scheduled| {
                    let set_through_api = it.set_through_api;
                    let view = ScheduleView::new(
                        &it.instance,
                        it.timetable.as_ref(),
                        it.next,
                        it.last,
                        it.overdue,
                    );
                    ScheduleView { set_through_api, ..view.with_proof(it.proof) }
                };
                context.catalog.every_schedule()?.into_iter().map(view).collect()
            }
        })
    }

    /// Every alert, and the messages that wait.
    pub(super) fn alerts(&self) -> Result<AlertList> {
        Ok(match &self.answers {
            Answers::Server(server) => server.client.alerts(server.every_project)?,
            Answers::Catalog { context, .. } => AlertList {
                alerts: context.catalog.every_alert()?.into_iter().map(AlertView::from).collect(),
                undelivered: context
                    .catalog
                    .undelivered()?
                    .into_iter()
                    .map(DeliveryView::from)
                    .collect(),
            },
        })
    }

    /// What retention would do with the backups of an instance.
    pub(super) fn retention(&self, of: &Named) -> Result<RetentionView> {
        Ok(match &self.answers {
            Answers::Server(server) => {
                server.client.of_project(of.project.clone()).retention(of.id)?
            }
            Answers::Catalog { context, .. } => {
                let found = context.catalog.retention_of(of.id)?;
                RetentionView::new(of.id, found.keep.as_ref(), &found.targets)
            }
        })
    }

    /// The newest events of every project, as `filter` narrows them.
    pub(super) fn events(&self, filter: &EventFilter) -> Result<Vec<EventView>> {
        Ok(match &self.answers {
            Answers::Server(server) => {
                let of = filter.object.as_deref().map(|it| ("object_id", it));
                let action = filter.action.map(|it| ("action", it.as_str()));
                let who = filter.who.as_deref().map(|it| ("who", it));
                let narrowed: Vec<_> = [of, action, who].into_iter().flatten().collect();
                server.client.events(&narrowed, filter.rows, server.every_project)?
            }
            Answers::Catalog { context, .. } => {
                let found = context.catalog.every_event(filter)?;
                found.into_iter().map(|it| EventView::new(it, true)).collect()
            }
        })
    }

    /// The names of the instances of these backups, also of those that left the configuration.
    pub(super) fn names(&self, of: &[BackupView]) -> Result<HashMap<InstanceId, String>> {
        let left = self.left(of)?;
        let all = self.instances()?.iter().chain(&left);
        Ok(all.map(|it| (it.id, it.name.clone())).collect())
    }

    /// The instances of these backups that are listed no more, because they left the configuration.
    fn left(&self, backups: &[BackupView]) -> Result<Vec<Named>> {
        let listed: HashSet<_> = self.instances()?.iter().map(|it| it.id).collect();
        let missing: HashMap<_, _> = backups
            .iter()
            .filter_map(|it| Some((it.instance_id?, &it.project_id)))
            .filter(|(id, _project)| !listed.contains(id))
            .collect();
        match &self.answers {
            Answers::Server(Server { client, .. }) => {
                let mut found = Vec::new();
                for (id, project) in missing {
                    match client.of_project(project.clone()).instance(id) {
                        Ok(view) => found.push(Named::of_view(view, project)),
                        // One that a restore made, and that was deleted.
                        Err(error) if error.is_not_found() => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(found)
            }
            Answers::Catalog { context, .. } => {
                let known = context.catalog.known_instances()?.into_iter();
                let left = known.filter(|it| missing.contains_key(&it.id));
                Ok(left.map(|it| Named { id: it.id, name: it.name, project: it.project }).collect())
            }
        }
    }

    /// The instance with this name or id, also if it left the configuration.
    pub(super) fn instance_with_backups(&self, wanted: &str) -> Result<Named> {
        match self.instance(wanted) {
            Err(error @ CommandError::NotFound(_)) => {
                let left = self.left(&self.backups(None)?)?;
                let mut found = left.into_iter().filter(|it| it.is(wanted));
                found.next().ok_or(error)
            }
            found => found.cloned(),
        }
    }

    /// The id of the backup that a selector means.
    pub(super) fn find(&self, selector: &Selector) -> Result<BackupId> {
        let candidates = || {
            let backups = self.backups(None)?;
            let names = self.names(&backups)?;
            Ok(backups.iter().map(|it| Candidate::of_view(it, &names)).collect())
        };
        selector.find(candidates, &self.place())
    }

    /// The instance with this name or id.
    pub(super) fn instance(&self, wanted: &str) -> Result<&Named> {
        let instances = self.instances()?;
        let found: Vec<_> = instances.iter().filter(|it| it.is(wanted)).collect();
        match found.as_slice() {
            [only] => Ok(only),
            [] => {
                let names: Vec<_> = instances.iter().map(|it| it.name.as_str()).collect();
                let there = if names.is_empty() { "none" } else { &names.join(", ") };
                let place = self.place();
                let why = format!("{place} has no instance {wanted:?}; there is {there}");
                Err(CommandError::NotFound(why))
            }
            several => {
                let ids: Vec<_> =
                    several.iter().map(|it| format!("{} ({})", it.id, it.project)).collect();
                Err(CommandError::Usage(format!(
                    "{wanted:?} is the name of several instances; name one by its id: {}",
                    ids.join(", ")
                )))
            }
        }
    }
}

/// What is wrong where instances have a schedule and nobody follows it.
fn no_server(now: Timestamp) -> Problem {
    Problem {
        kind: ProblemKind::ServerStopped,
        instance: None,
        since: now,
        message: "no server runs here: nothing is backed up by its schedule".to_owned(),
        advice: "start it (systemctl start coffer, or coffer serve)".to_owned(),
    }
}

impl Named {
    /// Whether this is its name or id.
    fn is(&self, wanted: &str) -> bool {
        self.name == wanted || self.id.to_string() == wanted
    }

    fn of_view(view: InstanceView, project: &ProjectId) -> Self {
        Self {
            id: view.id,
            name: view.name,
            project: view.tenant_id.unwrap_or_else(|| project.clone()),
        }
    }
}
