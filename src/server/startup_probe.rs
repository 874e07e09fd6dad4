//! At start-up, tries the database servers that are backed up, and looks whether files and folders are there, so that
//! what cannot be reached is logged then and not by the first backup.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Config, InstanceConfig};
use crate::domain::{Cancel, Datastore};
use crate::engine::{self, Engine};
use crate::executor::Context;

/// How long a stop waits for a running probe: a database server that does not answer must not delay it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A thread that probes one source after the other, and ends.
#[derive(Debug)]
pub(super) struct StartupProbe {
    cancel: Cancel,
    /// Closed by the thread when it ends.
    ended: Receiver<()>,
}

impl StartupProbe {
    pub(super) fn start(config: &Config, context: &Context) -> Self {
        let cancel = Cancel::default();
        let (running, ended) = channel();
        let instances: Vec<_> = config
            .instances
            .iter()
            .filter_map(|it| engine::find(&it.engine).map(|engine| (it.clone(), engine)))
            .collect();
        if !instances.is_empty() {
            let (context, cancel) = (context.clone(), cancel.clone());
            let spawned = thread::Builder::new().name("sources".to_owned()).spawn(move || {
                for (instance, engine) in instances {
                    if cancel.is_cancelled() {
                        break;
                    }
                    if engine.reads_server() {
                        probe(&context, &instance, engine);
                    } else if let Err(error) = engine.require_there(&instance.source) {
                        let name = &instance.name;
                        log::warn!(
                            "instance {name:?}: its source is not there or not readable: {error}"
                        );
                    }
                }
                drop(running);
            });
            if let Err(error) = spawned {
                log::warn!("the sources are not probed: no thread could be started: {error}");
            }
        }
        Self { cancel, ended }
    }

    /// Starts no further probe and waits for the running one, but not for long.
    pub(super) fn stop(self) {
        self.cancel.cancel();
        // Nothing is ever sent: the channel is closed, or the wait times out.
        if self.ended.recv_timeout(STOP_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            log::info!("the probe of a source has not ended; stopping without it");
        }
    }
}

fn probe(context: &Context, instance: &InstanceConfig, engine: &dyn Engine) {
    let InstanceConfig { name, engine: kind, .. } = instance;
    let started = Instant::now();
    let probe = match engine.probe(&instance.source) {
        Ok(probe) => probe,
        Err(error) => {
            log::warn!(
                "instance {name:?}: a backup would fail now: {error}; `coffer doctor` tries it again"
            );
            return;
        }
    };
    log::info!(
        "instance {name:?}: {kind} {}, about {} bytes, reached in {} ms",
        probe.version,
        probe.source_bytes,
        started.elapsed().as_millis()
    );
    if let Some(problem) =
        probe.staging.and_then(|it| it.problem(context.local.scratch_room().ok()?))
    {
        log::warn!("instance {name:?}: a backup would fail now: {problem}");
    }
    let datastore = Datastore { engine: kind.clone(), version: probe.version };
    if let Err(error) = context.catalog.note_version(instance.instance_id(), datastore).wait() {
        log::warn!("instance {name:?}: its version cannot be recorded: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalog::Scope;
    use crate::domain::{Caller, Role};
    use crate::server::open_and_lock;

    /// A configuration with a database that exists and one that does not.
    fn config() -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let existing = folder.path().join("existing.db");
        let db = rusqlite::Connection::open(&existing).unwrap();
        db.execute_batch("CREATE TABLE row(id)").unwrap();
        let instance = |name: &str, path: &Path| {
            format!(
                "[[instances]]\nname = \"{name}\"\nproject_id = \"a\"\nengine = \"sqlite\"\n\
                 source = {{ path = {path:?} }}\n"
            )
        };
        let text = format!(
            "data_dir = {:?}\n{}{}",
            folder.path().join("data"),
            instance("missing", &folder.path().join("missing.db")),
            instance("existing", &existing)
        );
        (folder, Config::from_toml(&text, "test").unwrap())
    }

    fn version_of(config: &Config, context: &Context, name: &str) -> String {
        let instance = config.instances.iter().find(|it| it.name == name).unwrap();
        let (project, roles) = (instance.project_id.clone(), vec![Role::Reader]);
        let caller = Caller { name: "reader".to_owned(), project: None, roles };
        let scope = Scope::enter(caller, project).unwrap();
        context.catalog.instance(&scope, instance.instance_id()).unwrap().datastore.version
    }

    #[test]
    fn a_probe_records_the_version_of_a_source_that_can_be_read() {
        let (_folder, config) = config();
        let (context, _lock) = open_and_lock(&config).unwrap();
        let before = Datastore { engine: "sqlite".to_owned(), version: "before".to_owned() };
        for instance in &config.instances {
            context.catalog.note_version(instance.instance_id(), before.clone()).wait().unwrap();
            probe(&context, instance, engine::find(&instance.engine).unwrap());
        }
        assert_eq!(version_of(&config, &context, "existing"), rusqlite::version());
        assert_eq!(version_of(&config, &context, "missing"), "before");
    }

    #[test]
    fn the_probes_end_by_themselves() {
        let (_folder, config) = config();
        let (context, _lock) = open_and_lock(&config).unwrap();
        let probe = StartupProbe::start(&config, &context);
        // Closed at the thread's end: nothing is sent.
        assert!(probe.ended.recv().is_err());
        probe.stop();
    }
}
