//! `coffer events`.

use clap::Args;
use serde_json::json;

use crate::catalog::EventFilter;
use crate::cli::args::WithConfig;
use crate::cli::error::Result;
use crate::cli::terminal;
use crate::domain::{Action, Outcome};
use crate::wire::EventView;

use super::origin::Origin;
use super::table::{self, NOTHING};

#[derive(Debug, Args)]
pub(in crate::cli) struct EventsArgs {
    /// Only those of this backup or instance, by its whole id.
    #[arg(long, value_name = "ID")]
    of: Option<String>,
    /// Only those of this kind, such as `backup_delete`.
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Option<Action>,
    /// Only those by this token, or by what acts by itself: schedule, retention, "command line".
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// How many of the newest.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,
    /// Report as JSON, with an object a line, newest first.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

fn action(text: &str) -> Result<Action, String> {
    let known = || Action::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|()| format!("it has to be one of {}", known()))
}

pub(in crate::cli) fn run(args: &EventsArgs) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let events = origin.events(&EventFilter {
        all_projects: true,
        object: args.of.clone(),
        action: args.action,
        who: args.who.clone(),
        before: None,
        rows: args.limit,
    })?;
    if args.json {
        for event in &events {
            terminal::say(json!(event));
        }
        return Ok(());
    }
    if events.is_empty() {
        terminal::say("There are no events.");
        return Ok(());
    }
    table::print(
        ["EVENT", "WHEN", "WHO", "FROM", "WHAT", "TO", ""],
        events.iter().map(row).collect(),
    );
    Ok(())
}

fn row(event: &EventView) -> [String; 7] {
    let refused = if event.outcome == Outcome::Refused { "refused: " } else { "" };
    let or_nothing = |cell: &Option<String>| cell.clone().unwrap_or_else(|| NOTHING.to_owned());
    [
        event.id.to_string(),
        format!("{} UTC", event.created),
        event.who.clone(),
        or_nothing(&event.origin),
        event.action.as_str().to_owned(),
        or_nothing(&event.object_id),
        format!("{refused}{}", event.detail).trim_end_matches(": ").to_owned(),
    ]
}
