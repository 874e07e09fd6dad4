//! `coffer doctor`: checks that everything a backup needs is in place.
//!
//! It changes nothing, but for probe files that it removes again.

mod alerts;
mod as_service;
mod catalog;
mod data_dir;
mod finding;
mod instances;
mod keys;
mod keystone;
mod places;
mod server;
mod service_view;
mod tls;
mod tools;
mod undo;
mod users;

use clap::Args;
use serde_json::json;

use crate::config::Config;

use super::args::WithConfig;
use super::error::{CommandError, Result};
use super::terminal::{self, counted};

use finding::{Findings, Level};

pub(super) use tools::find_tool;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    /// Also show what is usual: the settings of SQLite databases.
    #[arg(long, short)]
    verbose: bool,
    /// Check the sources only.
    #[arg(long)]
    sources: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &DoctorArgs) -> Result<()> {
    let mut findings = Findings::default();
    let config = args.with.load();
    match &config {
        Ok(config) if args.sources => {
            let free = data_dir::disk_space(config, &mut Findings::default());
            instances::instances(config, free, args.verbose, &mut findings);
        }
        Ok(config) => check_all(config, args.verbose, &mut findings),
        Err(error) => {
            let advice = "correct it; config/default.toml lists and explains every key";
            findings.problem("configuration", error.to_string(), advice);
        }
    }
    report(args, &findings);
    config?;
    if findings.wrong_configuration {
        return Err(CommandError::Usage("the configuration is wrong; see above".to_owned()));
    }
    match findings.count(Level::Problem) {
        0 => Ok(()),
        some => Err(CommandError::Failed(format!("{}; see above", counted(some, "problem")))),
    }
}

fn check_all(config: &Config, verbose: bool, findings: &mut Findings) {
    let from = config.file.as_ref().map_or_else(
        || "built-in defaults, with the environment's COFFER__… variables".to_owned(),
        |file| file.display().to_string(),
    );
    findings.ok("configuration", from);
    data_dir::data_dir(config, findings);
    let free = data_dir::disk_space(config, findings);
    data_dir::clock(findings);
    let server_runs = server::server(config, findings);
    catalog::catalog(config, server_runs, findings);
    users::users(config, findings);
    keystone::keystone(config, findings);
    tls::tls(config, findings);
    instances::instances(config, free, verbose, findings);
    alerts::alerts(config, findings);
    undo::undo_points(config, findings);
    tools::tools(findings);
    places::places(config, findings);
    keys::keys(config, findings);
}

fn report(args: &DoctorArgs, findings: &Findings) {
    let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
    if args.json {
        terminal::say_json(&json!({
            "problems": problems,
            "warnings": warnings,
            "findings": findings.all,
        }));
        return;
    }
    let width = findings.all.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let below = " ".repeat(width + 14);
    for finding in &findings.all {
        let (word, check) = (finding.level.word(), &finding.check);
        let found = finding.found.replace('\n', &format!("\n{below}"));
        terminal::say(format_args!("  {word:<8}  {check:<width$}  {found}"));
        if let Some(advice) = &finding.advice {
            terminal::say(format_args!("{below}→ {advice}"));
        }
    }
    let (problems, warnings) = (counted(problems, "problem"), counted(warnings, "warning"));
    terminal::say(format_args!("\n{problems}, {warnings}."));
}
