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
use super::error::CommandError;
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

pub(super) fn run(args: &DoctorArgs) -> Result<(), CommandError> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::finding::Finding;
    use super::*;

    /// The findings for a data directory in `folder` and these instances.
    fn findings(folder: &Path, instances: &str) -> Vec<Finding> {
        let data = folder.join("data").display().to_string();
        let text = format!("data_dir = \"{data}\"\n{instances}");
        let config = Config::from_toml(&text, "test").unwrap();
        let mut findings = Findings::default();
        check_all(&config, &mut findings);
        findings.0
    }

    fn find<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
        findings.iter().find(|finding| finding.check == check).unwrap()
    }

    #[test]
    fn a_fresh_machine_has_no_problem() {
        let folder = tempfile::tempdir().unwrap();
        let found = findings(folder.path(), "");
        assert!(found.iter().all(|finding| finding.level != Level::Problem), "{found:#?}");
        assert!(!folder.path().join("data").exists());
    }

    #[test]
    fn an_existing_data_directory_is_probed_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let found = findings(folder.path(), "");
        assert!(find(&found, "data directory").found.contains("flock"), "{found:#?}");
        assert_eq!(data.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_data_directory_that_is_a_file_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/null", folder.path().join("data")).unwrap();
        let found = findings(folder.path(), "");
        assert_eq!(find(&found, "data directory").level, Level::Problem);
    }

    #[test]
    fn a_missing_source_is_a_problem_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.db").display().to_string();
        let found = findings(
            folder.path(),
            &format!(
                "[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"sqlite\"\n\
                 source = {{ path = \"{missing}\" }}\n"
            ),
        );
        let shop = find(&found, "instance shop");
        assert_eq!(shop.level, Level::Problem);
        assert!(shop.found.contains("none.db"), "{shop:?}");
    }

    #[test]
    fn an_unknown_engine_is_a_problem_that_names_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let found = findings(
            folder.path(),
            "[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"oracle\"\n\
             source = { path = \"/x\" }\n",
        );
        let shop = find(&found, "instance shop");
        assert_eq!(shop.level, Level::Problem);
        assert!(shop.advice.as_ref().unwrap().contains("sqlite"), "{shop:?}");
    }

    #[test]
    fn a_file_that_is_not_a_catalog_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        symlink("/proc/version", data.join("catalog.db")).unwrap();
        let found = findings(folder.path(), "");
        assert_eq!(find(&found, "catalog").level, Level::Problem);
    }
}
