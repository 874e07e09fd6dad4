//! The databases and directories that are to be backed up.

use crate::cli::terminal::human;
use crate::config::{Config, InstanceConfig};
use crate::engine::{self, ENGINES};

use super::Findings;

/// Looks at every instance of the configuration as a backup would. `free`: bytes that archives may take.
pub(super) fn instances(config: &Config, free: Option<u64>, findings: &mut Findings) {
    for instance in &config.instances {
        examine(config, instance, free, findings);
    }
}

fn examine(config: &Config, instance: &InstanceConfig, free: Option<u64>, findings: &mut Findings) {
    let check = format!("instance {}", instance.name);
    let source = &instance.source;
    let Some(engine) = engine::find(&instance.engine) else {
        let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
        let found = format!("there is no engine {:?}", instance.engine);
        return findings.problem(
            &check,
            found,
            format!("the engines of this build: {}", names.join(", ")),
        );
    };
    if let Err(error) = engine.accept(source) {
        return findings.problem(&check, error.to_string(), "mend its source in the configuration");
    }
    let catalog = config.catalog_file();
    let is_own_catalog = source.text("path").is_some_and(|path| catalog.as_os_str() == path);
    if is_own_catalog && !catalog.exists() {
        return findings.ok(&check, "Coffer's own catalog, which the first start makes");
    }
    match engine.probe(source) {
        Ok(probe) => {
            let mut found =
                format!("{} {}, about {}", engine.name(), probe.version, human(probe.source_bytes));
            for note in &probe.notes {
                found = format!("{found}\n{note}");
            }
            match free {
                Some(free) if probe.source_bytes / 2 > free => findings.warning(
                    &check,
                    found,
                    format!(
                        "a full backup is about half its size, and only {} are free for archives",
                        human(free)
                    ),
                ),
                _ => findings.ok(&check, found),
            }
        }
        Err(error) => findings.problem(
            &check,
            error.to_string(),
            "backups of it fail until this works for the user that runs Coffer",
        ),
    }
}
