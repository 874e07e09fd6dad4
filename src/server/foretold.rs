//! What the log says at the start of what backups will leave out, before the first one is made.

use std::thread;

use crate::catalog::{Catalog, CatalogError};
use crate::domain::{Cancel, Instance, InstanceOrigin, InstanceStatus, with_causes};
use crate::engine::{self, Engine};
use crate::executor::Context;

/// How many things are named of one instance.
const SHOWN: usize = 10;

/// The instances of the configuration as it is now.
pub(super) fn probed(catalog: &Catalog) -> Result<Vec<Instance>, CatalogError> {
    let mut all = catalog.every_instance()?;
    all.retain(|it| {
        it.origin == InstanceOrigin::Configured && it.status != InstanceStatus::Detached
    });
    Ok(all)
}

/// Writes to the log what backups of this instance will leave out, a line for each.
pub(super) fn log_left_out(name: &str, left_out: &[String]) {
    for line in left_out.iter().take(SHOWN) {
        log::info!("instance {name:?}: {line}");
    }
    if let more @ 1.. = left_out.len().saturating_sub(SHOWN) {
        log::info!("instance {name:?}: left out: {more} more, which coffer doctor names");
    }
}

/// Looks through the sources on this machine of which there is no backup yet, in a thread of its own: of a folder that
/// takes as long as reading its metadata, and nothing waits for it. What others leave out is recorded with their backups.
pub(super) fn foretell(context: &Context, cancel: &Cancel) {
    let (context, cancel) = (context.clone(), cancel.clone());
    let spawned = thread::Builder::new().name("foretold".to_owned()).spawn(move || {
        for (instance, engine) in without_backup(&context) {
            if cancel.is_cancelled() {
                return;
            }
            // That it is not there is said by the probe of all sources.
            if let Ok(left_out) = engine.foretell(&instance.source)
                && !cancel.is_cancelled()
            {
                log_left_out(&instance.name, &left_out);
            }
        }
    });
    if let Err(error) = spawned {
        log::warn!("what backups leave out is not foretold: {error}");
    }
}

/// What is no server and has no backup.
fn without_backup(context: &Context) -> Vec<(Instance, &'static dyn Engine)> {
    let mut found = Vec::new();
    for instance in probed(&context.catalog).unwrap_or_default() {
        let Some(engine) = engine::find(&instance.datastore.engine) else { continue };
        if engine.reads_server() {
            continue;
        }
        match context.catalog.has_backup(instance.id) {
            Ok(true) => {}
            Ok(false) => found.push((instance, engine)),
            Err(error) => {
                log::debug!("whether there is a backup is not known: {}", with_causes(&error));
            }
        }
    }
    found
}
