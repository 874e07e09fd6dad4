//! Coffer's own catalog as an instance.

use std::path::Path;

use super::{Config, InstanceConfig, KeepConfig};

/// Its project beside other instances, and when it is backed up if nothing else says so.
const PROJECT: &str = "coffer";
const SCHEDULE: &str = "daily 04:00";

/// Coffer's own catalog, unless an instance reads it already or it is not to be backed up beside others.
///
/// It has a schedule and a retention of its own where `[defaults]` has none. Its backups hold the records of all
/// projects, so beside others it is in a project of its own.
pub(super) fn of(config: &Config) -> Option<InstanceConfig> {
    let (others, file) = (&config.instances, config.catalog_file());
    let reads_it =
        |it: &InstanceConfig| it.source.text("path").is_some_and(|it| Path::new(it) == file);
    let plain = InstanceConfig::own_catalog(&file);
    if !config.catalog.backup {
        return others.is_empty().then_some(plain);
    }
    if others.iter().any(reads_it) {
        return None;
    }
    let project_id = if others.is_empty() {
        plain.project_id.clone()
    } else {
        PROJECT.parse().expect("this is a valid project id")
    };
    let defaults = &config.defaults;
    let keep = KeepConfig { last: 3, daily: 7, weekly: 4, ..KeepConfig::default() };
    Some(InstanceConfig {
        project_id,
        schedule: defaults.schedule.is_empty().then(|| SCHEDULE.to_owned()),
        // One file is enough to have all of it again.
        full_every: Some("1".to_owned()),
        keep: (defaults.keep == KeepConfig::default()).then_some(keep),
        ..plain
    })
}
