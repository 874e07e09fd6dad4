//! `coffer status`.

use std::collections::HashMap;

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::Result;
use crate::cli::terminal;
use crate::wire::{BackupView, ScheduleView};

use super::origin::{Named, Origin};
use super::table::{self, Lineage, NOTHING};

#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

struct Summary<'a> {
    instance: &'a Named,
    /// The newest that can be restored and is not known to be damaged.
    newest_usable: Option<&'a BackupView>,
    /// The newest, whatever became of it.
    newest: Option<&'a BackupView>,
    usable: usize,
    /// How many are damaged or missing, or are built on one that is.
    bad: usize,
    schedule: Option<&'a ScheduleView>,
    lineage: &'a Lineage<'a>,
}

pub(in crate::cli) fn run(args: &StatusArgs) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let backups = origin.backups(None)?;
    let lineage = Lineage::new(&backups);
    let mut summaries: Vec<_> =
        origin.instances()?.iter().map(|it| Summary::new(it, &backups, &lineage)).collect();
    let schedules = origin.schedules()?;
    let schedules: HashMap<_, _> = schedules.iter().map(|it| (it.instance_id, it)).collect();
    for summary in &mut summaries {
        summary.schedule = schedules.get(&summary.instance.id).copied();
    }
    let (without_server, notices) = (origin.without_server(), origin.notices()?);
    if args.json {
        let instances: Vec<_> = summaries.iter().map(Summary::to_json).collect();
        let server = without_server.is_none();
        terminal::say_json(
            &json!({ "server_answers": server, "notices": notices, "instances": instances }),
        );
        return Ok(());
    }
    terminal::say(match without_server {
        None => format!("Coffer runs: {} answers.", origin.place()),
        Some(why) => format!("This is from {}: {why}.", origin.place()),
    });
    for notice in notices {
        terminal::warn(notice);
    }
    if summaries.is_empty() {
        terminal::say("There are no instances.");
        return Ok(());
    }
    let rows: Vec<_> = summaries.iter().map(Summary::row).collect();
    let headings =
        ["INSTANCE", "ENGINE", "STATUS", "BACKUPS", "NEWEST", "PROVEN", "LAST ATTEMPT", "NEXT"];
    table::print(headings, rows);
    for summary in &summaries {
        if let Some(since) = summary.schedule.and_then(|it| it.overdue_since) {
            let name = &summary.instance.name;
            terminal::warn(format_args!(
                "{name}: a backup was due at {since} UTC, and none is there since; coffer list --instance {name} shows \
                 what became of it"
            ));
        }
    }
    Ok(())
}

impl<'a> Summary<'a> {
    fn new(instance: &'a Named, backups: &'a [BackupView], lineage: &'a Lineage<'a>) -> Self {
        let own = || backups.iter().filter(|it| it.instance_id == Some(instance.id));
        let made = || own().filter(|it| it.status.is_usable());
        let usable = || made().filter(|it| lineage.bad(it).is_none());
        let (newest_usable, newest) = (usable().next(), own().next());
        let (usable, made) = (usable().count(), made().count());
        Self {
            instance,
            newest_usable,
            newest,
            usable,
            bad: made - usable,
            schedule: None,
            lineage,
        }
    }

    fn row(&self) -> [String; 8] {
        let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
        let proof = |it: &BackupView| table::proof(it, self.lineage);
        let attempt = match self.newest {
            Some(newest) => {
                let bad = self.lineage.bad(newest).map(|_bad| format!(", {}", proof(newest)));
                let (status, age) = (table::status(newest), table::age(newest.created));
                format!("{status}{}, {age}", bad.unwrap_or_default())
            }
            None => "never backed up".to_owned(),
        };
        let next_run = self.schedule.and_then(|it| it.next_run);
        let backups = match self.bad {
            0 => self.usable.to_string(),
            bad => format!("{} and {bad} damaged or missing", self.usable),
        };
        [
            self.instance.name.clone(),
            self.instance.engine.clone(),
            self.instance.status.clone(),
            backups,
            or_nothing(self.newest_usable.map(|it| table::age(it.created))),
            or_nothing(self.newest_usable.map(proof)),
            attempt,
            or_nothing(next_run.map(|at| format!("{at} UTC"))),
        ]
    }

    fn to_json(&self) -> serde_json::Value {
        let Named { id, name, engine, project, status } = self.instance;
        json!({
            "id": id, "name": name, "engine": engine, "project_id": project, "status": status,
            "usable_backups": self.usable,
            "bad_backups": self.bad,
            "newest_usable": self.newest_usable,
            "newest": self.newest,
            "next_run": self.schedule.and_then(|it| it.next_run),
            "overdue_since": self.schedule.and_then(|it| it.overdue_since),
        })
    }
}
