//! `coffer doctor`: checks that everything a backup needs is in place.
//!
//! It changes nothing, but for probe files that it removes again.

mod catalog;
mod data_dir;
mod finding;
mod instances;
mod tools;

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
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &DoctorArgs) -> Result<()> {
    let mut findings = Findings::default();
    let config = args.with.load();
    match &config {
        Ok(config) => check_all(config, &mut findings),
        Err(error) => {
            let advice = "correct it; config/default.toml lists and explains every key";
            findings.problem("configuration", error.to_string(), advice);
        }
    }
    report(args, &findings);
    config?;
    match findings.count(Level::Problem) {
        0 => Ok(()),
        some => Err(CommandError::Failed(format!("{}; see above", counted(some, "problem")))),
    }
}

fn check_all(config: &Config, findings: &mut Findings) {
    let from = config.file.as_ref().map_or_else(
        || "built-in defaults, with the environment's COFFER__… variables".to_owned(),
        |file| file.display().to_string(),
    );
    findings.ok("configuration", from);
    data_dir::data_dir(config, findings);
    let free = data_dir::disk_space(config, findings);
    data_dir::clock(findings);
    catalog::server(config, findings);
    catalog::catalog(config, findings);
    instances::instances(config, free, findings);
    tools::tools(findings);
}

fn report(args: &DoctorArgs, findings: &Findings) {
    let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
    if args.json {
        terminal::say_json(&json!({
            "problems": problems,
            "warnings": warnings,
            "findings": findings.0,
        }));
        return;
    }
    let width = findings.0.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let below = " ".repeat(width + 14);
    for finding in &findings.0 {
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
