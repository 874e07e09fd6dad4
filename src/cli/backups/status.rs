//! `coffer status`.

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::Result;
use crate::cli::terminal;
use crate::wire::BackupView;

use super::origin::{Named, Origin};
use super::table::{self, NOTHING};

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
    /// The newest that can be restored.
    newest_usable: Option<&'a BackupView>,
    /// The newest, whatever became of it.
    newest: Option<&'a BackupView>,
    usable: usize,
}

pub(in crate::cli) fn run(args: &StatusArgs) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let backups = origin.backups(None)?;
    let summaries: Vec<_> =
        origin.instances()?.iter().map(|it| Summary::new(it, &backups)).collect();
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
    let headings = ["INSTANCE", "ENGINE", "STATUS", "BACKUPS", "NEWEST", "PROVEN", "LAST ATTEMPT"];
    table::print(headings, rows);
    Ok(())
}

impl<'a> Summary<'a> {
    fn new(instance: &'a Named, backups: &'a [BackupView]) -> Self {
        let own = || backups.iter().filter(|it| it.instance_id == Some(instance.id));
        let newest_usable = own().find(|it| it.status.is_usable());
        let (newest, usable) = (own().next(), own().filter(|it| it.status.is_usable()).count());
        Self { instance, newest_usable, newest, usable }
    }

    fn row(&self) -> [String; 7] {
        let of_usable = |cell: fn(&BackupView) -> String| {
            self.newest_usable.map_or_else(|| NOTHING.to_owned(), cell)
        };
        let attempt = match self.newest {
            Some(newest) => format!("{}, {}", table::status(newest), table::age(newest.created)),
            None => "never backed up".to_owned(),
        };
        [
            self.instance.name.clone(),
            self.instance.engine.clone(),
            self.instance.status.clone(),
            self.usable.to_string(),
            of_usable(|it| table::age(it.created)),
            of_usable(table::proof),
            attempt,
        ]
    }

    fn to_json(&self) -> serde_json::Value {
        let Named { id, name, engine, project, status } = self.instance;
        json!({
            "id": id, "name": name, "engine": engine, "project_id": project, "status": status,
            "usable_backups": self.usable,
            "newest_usable": self.newest_usable,
            "newest": self.newest,
        })
    }
}
