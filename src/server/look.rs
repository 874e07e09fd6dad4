//! A look at the database servers that backups will be made of: at start-up, so that one that cannot be
//! reached is told of then, and not by the first backup.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Config, InstanceConfig};
use crate::domain::Datastore;
use crate::engine::{self, Engine};
use crate::executor::Context;

/// How long the end of the server waits for a look that has begun: a server that does not answer must not
/// keep this one from stopping.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A thread that looks at one source after the other, and ends.
#[derive(Debug)]
pub(super) struct Looking {
    stop: Arc<AtomicBool>,
    /// Closed by the thread when it ends.
    ended: Receiver<()>,
}

impl Looking {
    /// Looks at the instances whose engine is one of those `wanted`. Without any there is no thread.
    pub(super) fn begin(
        config: &Config,
        context: &Context,
        wanted: fn(&dyn Engine) -> bool,
    ) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (working, ended) = channel();
        let found: Vec<_> = config
            .instances
            .iter()
            .filter_map(|it| engine::find(&it.engine).map(|engine| (it.clone(), engine)))
            .filter(|(_, engine)| wanted(*engine))
            .collect();
        if !found.is_empty() {
            let (context, stop) = (context.clone(), Arc::clone(&stop));
            let spawned = thread::Builder::new().name("sources".to_owned()).spawn(move || {
                for (instance, engine) in found {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    look(&context, &instance, engine);
                }
                drop(working);
            });
            if let Err(error) = spawned {
                log::warn!("no thread could be started to look at the sources: {error}");
            }
        }
        Self { stop, ended }
    }

    /// Begins no further look and waits a moment for the one that runs.
    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Release);
        // Nothing is ever sent: the channel closes, or the time is over.
        if self.ended.recv_timeout(ENDS_WITHIN) == Err(RecvTimeoutError::Timeout) {
            log::info!("a look at a source has not ended and is left behind");
        }
    }
}

fn look(context: &Context, instance: &InstanceConfig, engine: &dyn Engine) {
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
    let seen = Datastore { engine: kind.clone(), version: probe.version };
    if let Err(error) = context.catalog.note_version(instance.instance_id(), seen).wait() {
        log::warn!("instance {name:?}: its version cannot be written down: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::server::open_alone;

    /// A data directory, and a configuration with a database that is there and one that is not.
    fn house() -> (tempfile::TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let (data, there) = (folder.path().join("data"), folder.path().join("there.db"));
        let db = rusqlite::Connection::open(&there).unwrap();
        db.execute_batch("CREATE TABLE row(id)").unwrap();
        let instance = |name: &str, path: &Path| {
            format!(
                "[[instances]]\nname = \"{name}\"\nproject_id = \"a\"\nengine = \"sqlite\"\n\
                 source = {{ path = {path:?} }}\n"
            )
        };
        let (gone, there) =
            (instance("gone", &folder.path().join("gone.db")), instance("there", &there));
        let text = format!("data_dir = {data:?}\n{gone}{there}");
        (folder, Config::from_toml(&text, "test").unwrap())
    }

    fn version_of(config: &Config, context: &Context, name: &str) -> String {
        let said = config.instances.iter().find(|it| it.name == name).unwrap();
        context.catalog.find_instance(said.instance_id()).unwrap().datastore.version
    }

    #[test]
    fn each_source_is_looked_at_and_what_it_tells_is_written_down() {
        let (_folder, config) = house();
        let (context, _lock) = open_alone(&config).unwrap();
        let before = Datastore { engine: "sqlite".to_owned(), version: "before".to_owned() };
        for said in &config.instances {
            context.catalog.note_version(said.instance_id(), before.clone()).wait().unwrap();
        }
        let looking = Looking::begin(&config, &context, |_any| true);
        // Closed by its end: nothing is sent.
        assert!(looking.ended.recv().is_err());
        assert_eq!(version_of(&config, &context, "there"), rusqlite::version());
        assert_eq!(version_of(&config, &context, "gone"), "before");
        looking.end();
    }

    #[test]
    fn without_a_source_that_asks_a_server_there_is_nothing_to_wait_for() {
        let (_folder, config) = house();
        let (context, _lock) = open_alone(&config).unwrap();
        let looking = Looking::begin(&config, &context, |engine| engine.asks_a_server());
        assert!(looking.ended.recv().is_err());
    }
}
