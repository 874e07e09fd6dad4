//! `coffer alert list` and `coffer alert test`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::WithConfig;
use crate::cli::error::{CommandError, Result};
use crate::cli::terminal;
use crate::config::Config;
use crate::server;
use crate::wire::{AlertView, ChannelTest, DeliveryView};

use super::connect::{Connected, connect};
use super::origin::Origin;
use super::table::{self, NOTHING};

#[derive(Debug, Args)]
pub(in crate::cli) struct AlertArgs {
    #[command(subcommand)]
    command: AlertCommand,
}

#[derive(Debug, Subcommand)]
enum AlertCommand {
    /// Show what is wrong and was said, what is over, and the messages that wait to be delivered.
    List(ListArgs),
    /// Send a test message through a channel of [[alerts]], or through each, and show what came back.
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

#[derive(Debug, Args)]
struct TestArgs {
    /// The name of the channel [default: each].
    #[arg(value_name = "CHANNEL")]
    channel: Option<String>,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(in crate::cli) fn run(args: &AlertArgs) -> Result<()> {
    match &args.command {
        AlertCommand::List(args) => list(args),
        AlertCommand::Test(args) => test(args),
    }
}

fn list(args: &ListArgs) -> Result<()> {
    let config = args.with.load()?;
    let origin = Origin::open(&config)?;
    let found = origin.alerts()?;
    let without_server = origin.without_server();
    if args.json {
        let server = without_server.is_none();
        terminal::say_json(&json!({
            "server_answers": server, "alerts": found.alerts, "undelivered": found.undelivered,
        }));
        return Ok(());
    }
    if let Some(why) = without_server {
        terminal::warn(format_args!("no alert is delivered now: {why}"));
    }
    let (over, open): (Vec<_>, Vec<_>) =
        found.alerts.into_iter().partition(|it| it.ended.is_some());
    if open.is_empty() {
        terminal::say("No alert is open.");
    }
    for alert in &open {
        let name = alert.instance_name.as_deref().unwrap_or("Coffer");
        terminal::say(format_args!(
            "{}: {name}: {}\n    since {} UTC: {}\n    → {}",
            alert.severity.as_str(),
            alert.kind.headline(),
            alert.since,
            alert.message,
            alert.advice
        ));
    }
    if !over.is_empty() {
        terminal::say("");
        table::print(
            ["OVER", "INSTANCE", "WHAT WAS WRONG", "SINCE"],
            over.iter().map(row).collect(),
        );
    }
    if !found.undelivered.is_empty() {
        terminal::say("\nNot delivered yet:");
        let rows = found.undelivered.iter().map(waiting).collect();
        table::print(["CHANNEL", "MESSAGE", "ATTEMPTS", "NEXT", "LAST ERROR"], rows);
    }
    Ok(())
}

fn row(alert: &AlertView) -> [String; 4] {
    [
        alert.ended.map_or_else(|| NOTHING.to_owned(), |at| format!("{at} UTC")),
        alert.instance_name.clone().unwrap_or_else(|| "Coffer".to_owned()),
        alert.kind.headline().to_owned(),
        format!("{} UTC", alert.since),
    ]
}

fn waiting(delivery: &DeliveryView) -> [String; 5] {
    [
        delivery.channel.clone(),
        delivery.title.clone(),
        delivery.attempts.to_string(),
        format!("{} UTC", delivery.next_attempt),
        delivery.last_error.clone().unwrap_or_else(|| NOTHING.to_owned()),
    ]
}

fn test(args: &TestArgs) -> Result<()> {
    let config = args.with.load()?;
    let (tests, by) = match connect(&config)? {
        Connected::Server(server) => {
            (server.client.test_alerts(args.channel.clone())?, format!("the server {}", server.url))
        }
        Connected::Nobody { .. } | Connected::NoToken { .. } => {
            (test_here(&config, args.channel.as_deref())?, "this command".to_owned())
        }
    };
    if args.json {
        terminal::say_json(&json!({ "sent_by": by, "tests": tests }));
    } else if tests.is_empty() {
        terminal::say(
            "The configuration has no [[alerts]]: nobody gets a message when something is wrong.",
        );
    } else {
        terminal::say(format_args!("Sent by {by}:"));
    }
    for test in tests.iter().filter(|_| !args.json) {
        let word = if test.delivered { "delivered" } else { "FAILED" };
        terminal::say(format_args!("  {word:<9}  {}: {}", test.channel, test.answer));
    }
    match tests.iter().filter(|it| !it.delivered).count() {
        0 => Ok(()),
        some => Err(CommandError::Failed(format!(
            "{} not deliver the message",
            if some == 1 { "one channel did".to_owned() } else { format!("{some} channels did") }
        ))),
    }
}

/// Without a server: from this process, as this user.
fn test_here(config: &Config, wanted: Option<&str>) -> Result<Vec<ChannelTest>> {
    let mut channels = server::alert_channels(config)?;
    if let Some(wanted) = wanted {
        channels.retain(|it| it.name == wanted);
        if channels.is_empty() {
            let why = format!("no [[alerts]] of the configuration has the name {wanted:?}");
            return Err(CommandError::NotFound(why));
        }
    }
    Ok(server::test_channels(&channels))
}
