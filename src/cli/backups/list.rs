//! `coffer list`.

use std::collections::HashMap;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::args::{WithConfig, WithKeys};
use crate::cli::error::Result;
use crate::cli::from::{self, Listing};
use crate::cli::terminal;
use crate::domain::{BackupId, InstanceId};
use crate::wire::BackupView;

use super::origin::Origin;
use super::table::{self, Lineage, NOTHING};

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Only the backups of this instance, by name or id.
    #[arg(long, value_name = "INSTANCE")]
    instance: Option<String>,
    /// How many at most, the newest first; 0 for all.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    /// List what lies in this place: its name in the configuration, `s3://bucket/prefix`, `swift://container/prefix`,
    /// or a folder, such as the data directory of another machine. Needs no catalog and no server.
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: WithKeys,
    #[command(flatten)]
    with: WithConfig,
}

/// A backup with the name of its instance, and how far it is proven.
#[derive(Debug, Serialize)]
pub(super) struct Listed<'a> {
    instance_name: Option<&'a str>,
    /// What is known to be damaged or missing: this backup, or one that it is built on.
    bad_backup: Option<BackupId>,
    #[serde(skip)]
    pub(super) proof: String,
    #[serde(flatten)]
    backup: &'a BackupView,
}

impl<'a> Listed<'a> {
    pub(super) fn new(
        backup: &'a BackupView,
        names: &'a HashMap<InstanceId, String>,
        lineage: &Lineage<'_>,
    ) -> Self {
        let instance = backup.instance_id.and_then(|id| names.get(&id));
        Self {
            instance_name: instance.map(String::as_str),
            bad_backup: lineage.bad(backup).map(|it| it.id),
            proof: table::proof(backup, lineage),
            backup,
        }
    }

    pub(super) fn instance(&self) -> String {
        self.instance_name.unwrap_or(NOTHING).to_owned()
    }
}

pub(in crate::cli) fn run(args: &ListArgs) -> Result<()> {
    let most = if args.limit == 0 { usize::MAX } else { args.limit };
    if let Some(from) = &args.from {
        let how = Listing { instance: args.instance.as_deref(), limit: most, json: args.json };
        let config = args.with.load_silently()?;
        let inventory = from::inventory(from, &config, &args.keys.read(&config)?)?;
        return from::list(&inventory, &how);
    }
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let instance =
        args.instance.as_deref().map(|it| origin.instance_with_backups(it)).transpose()?;
    let backups = origin.backups(instance.as_ref().map(|it| it.id))?;
    let names = origin.names(&backups)?;
    let lineage = Lineage::new(&backups);
    let shown: Vec<_> =
        backups.iter().take(most).map(|it| Listed::new(it, &names, &lineage)).collect();
    if args.json {
        terminal::say_json(&json!({ "backups": shown, "total": backups.len() }));
        return Ok(());
    }
    if backups.is_empty() {
        let of = args.instance.as_ref().map(|it| format!(" of {it}")).unwrap_or_default();
        terminal::say(format_args!("There are no backups{of} in {}.", origin.place()));
        return Ok(());
    }
    let rows: Vec<_> = shown.iter().map(row).collect();
    let headings = ["ID", "INSTANCE", "NAME", "KIND", "STATUS", "SIZE", "MADE", "PROVEN"];
    table::print(headings, rows);
    let more = backups.len().saturating_sub(shown.len());
    if more > 0 {
        terminal::say(format_args!("and {more} older; --limit 0 shows all"));
    }
    Ok(())
}

fn row(listed: &Listed<'_>) -> [String; 8] {
    let backup = listed.backup;
    [
        backup.id.to_string(),
        listed.instance(),
        backup.name.clone(),
        backup.kind.as_str().to_owned(),
        table::status(backup),
        table::size(backup),
        table::age(backup.created),
        format!("{}{}", listed.proof, table::copies(backup)),
    ]
}
