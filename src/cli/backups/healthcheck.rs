//! `coffer healthcheck`: whether a server works, by the exit code, for what starts it again if it does not.

use clap::Args;
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::client::ClientError;
use crate::wire::Health;

use super::connect::{Reached, reach};

#[derive(Debug, Args)]
pub(in crate::cli) struct HealthcheckArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

/// Succeeds also where the server begins nothing for a reason that a person has to look after: a new start would not
/// change that. Needs no token, and says nothing of the backups.
pub(in crate::cli) fn run(args: &HealthcheckArgs) -> Result<()> {
    let config = args.with.load_silently()?;
    let Reached { connection, url, .. } = reach(&config)?;
    let mut answer = connection.send("GET", "/healthcheck", None).map_err(|cause| {
        let request = format!("GET {url}/healthcheck");
        CommandError::from(ClientError::NoAnswer { request, cause })
    })?;
    if answer.status() != 200 {
        let why = format!("the server {url} does not work: it answers {}", answer.status());
        return Err(CommandError::Failed(why));
    }
    let Ok(health) = answer.body_mut().read_json::<Health>() else {
        let why = format!("what answers at {url} is not Coffer; is its address right?");
        return Err(CommandError::Failed(why));
    };
    if args.json {
        terminal::say_json(&json!({ "url": url, "health": health }));
        return Ok(());
    }
    terminal::say(format_args!("Coffer {} answers at {url}.", health.version));
    health.notices.iter().for_each(terminal::warn);
    Ok(())
}
