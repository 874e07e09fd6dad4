//! `coffer fleet`.

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::Result;
use crate::cli::terminal;
use crate::wire::FleetInstanceView;

use super::origin::Origin;
use super::table::{self, NOTHING};

#[derive(Debug, Args)]
pub(in crate::cli) struct FleetArgs {
    /// Only those that should have had another backup by now, the longest first.
    #[arg(long)]
    silent: bool,
    /// How many.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    limit: u32,
    /// Report as JSON, with an object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(in crate::cli) fn run(args: &FleetArgs) -> Result<()> {
    let config = args.with.load()?;
    let found = Origin::open(&config)?.fleet(args.silent, args.limit)?;
    if args.json {
        for it in &found {
            terminal::say(json!(it));
        }
        return Ok(());
    }
    if found.is_empty() {
        terminal::say(match (args.silent, config.fleets().next()) {
            (_, None) => {
                "No fleet is read here: no [[places]] of the configuration has role = \"reader\"."
            }
            (true, _) => "No device is silent.",
            (false, _) => "There are no devices with backups yet.",
        });
        return Ok(());
    }
    let headings = [
        "PLACE",
        "DEVICE",
        "INSTANCE",
        "PROJECT",
        "BACKUPS",
        "SIZE",
        "NEWEST (UTC)",
        "NEXT BY (UTC)",
        "",
    ];
    table::print(headings, found.iter().map(row).collect());
    for it in &found {
        if let Some(why) = &it.unread {
            terminal::warn(format_args!(
                "what {} of {} is called is not known: {why}",
                it.instance_id, it.device
            ));
        }
    }
    Ok(())
}

fn row(it: &FleetInstanceView) -> [String; 9] {
    let time = |at: Option<crate::wire::UtcTime>| {
        at.map_or_else(|| NOTHING.to_owned(), |at| at.to_string())
    };
    [
        it.place.clone(),
        it.device.clone(),
        it.name.clone().unwrap_or_else(|| it.instance_id.to_string()),
        it.project_id.to_string(),
        it.backups.to_string(),
        terminal::human(it.stored_bytes),
        time(it.newest),
        time(it.expected),
        if it.silent { "SILENT".to_owned() } else { String::new() },
    ]
}
