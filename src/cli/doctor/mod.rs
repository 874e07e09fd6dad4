//! `coffer doctor`: whether everything a backup needs is in place, before the first one is tried.
//!
//! It changes nothing: a probe file that it writes, it removes again.

mod ground;
mod records;
mod sources;
pub(super) mod tools;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::config::Config;

use super::{CommandError, WithConfig, terminal};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

/// How a look at something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: String,
    level: Level,
    found: String,
    /// What to do about it.
    advice: Option<String>,
}

/// What all looks found, in order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: &str, found: impl Into<String>) {
        self.add(check, Level::Ok, found.into(), None);
    }

    fn warning(&mut self, check: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Level::Warning, found.into(), Some(advice.into()));
    }

    fn problem(&mut self, check: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Level::Problem, found.into(), Some(advice.into()));
    }

    fn add(&mut self, check: &str, level: Level, found: String, advice: Option<String>) {
        self.0.push(Finding { check: check.to_owned(), level, found, advice });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), CommandError> {
    let mut findings = Findings::default();
    match args.with.load() {
        Ok(config) => examine(&config, &mut findings),
        Err(error) => {
            let advice = "mend it; config/default.toml lists every key with its meaning";
            findings.problem("configuration", error.to_string(), advice);
        }
    }
    report(args, &findings);
    match findings.count(Level::Problem) {
        0 => Ok(()),
        some => Err(CommandError::Failed(format!("{}; see above", counted(some, "problem")))),
    }
}

/// `1 problem`, `2 problems`.
fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Looks at everything that this configuration names.
fn examine(config: &Config, findings: &mut Findings) {
    let from = config.file.as_ref().map_or_else(
        || "built-in defaults, with the environment's COFFER__… variables".to_owned(),
        |file| file.display().to_string(),
    );
    findings.ok("configuration", from);
    ground::data_dir(config, findings);
    let free = ground::space(config, findings);
    ground::clock(findings);
    records::server(config, findings);
    records::catalog(config, findings);
    sources::instances(config, free, findings);
    tools::installed(findings);
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
        terminal::say(&format!("  {word:<8}  {check:<width$}  {found}"));
        if let Some(advice) = &finding.advice {
            terminal::say(&format!("{below}→ {advice}"));
        }
    }
    let (problems, warnings) = (counted(problems, "problem"), counted(warnings, "warning"));
    terminal::say(&format!("\n{problems}, {warnings}."));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// The findings for a data directory in `folder`, which also holds what `instances` names.
    fn findings(folder: &Path, instances: &str) -> Vec<Finding> {
        let data = folder.join("data").display().to_string();
        let text = format!("data_dir = \"{data}\"\n{instances}");
        let config = Config::from_toml(&text, "test").unwrap();
        let mut findings = Findings::default();
        examine(&config, &mut findings);
        findings.0
    }

    fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
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
    fn a_data_directory_that_is_there_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let found = findings(folder.path(), "");
        assert!(of(&found, "data directory").found.contains("flock"), "{found:#?}");
        assert_eq!(data.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_data_directory_that_is_a_file_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/dev/null", folder.path().join("data")).unwrap();
        let found = findings(folder.path(), "");
        assert_eq!(of(&found, "data directory").level, Level::Problem);
    }

    #[test]
    fn a_source_that_is_not_there_is_a_problem_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.db").display().to_string();
        let found = findings(
            folder.path(),
            &format!(
                "[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"sqlite\"\n\
                 source = {{ path = \"{missing}\" }}\n"
            ),
        );
        let shop = of(&found, "instance shop");
        assert_eq!(shop.level, Level::Problem);
        assert!(shop.found.contains("none.db"), "{shop:?}");
    }

    #[test]
    fn an_engine_that_does_not_exist_is_a_problem_that_names_those_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let found = findings(
            folder.path(),
            "[[instances]]\nname = \"shop\"\nproject_id = \"a\"\nengine = \"oracle\"\n\
             source = { path = \"/x\" }\n",
        );
        let shop = of(&found, "instance shop");
        assert_eq!(shop.level, Level::Problem);
        assert!(shop.advice.as_ref().unwrap().contains("sqlite"), "{shop:?}");
    }

    #[test]
    fn a_file_that_is_no_catalog_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        symlink("/proc/version", data.join("catalog.db")).unwrap();
        let found = findings(folder.path(), "");
        assert_eq!(of(&found, "catalog").level, Level::Problem);
    }
}
