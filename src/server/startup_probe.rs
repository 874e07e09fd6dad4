//! At start-up, tries the database servers that are backed up, and looks whether files and folders are there, so that
//! what cannot be reached is known then and not by the first backup.
//!
//! A database server may start after Coffer: what fails is tried again, and only what still fails after a few minutes
//! is a problem in the health of its instance, unless it was one when the last server ended. It is tried again until it
//! is there.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::domain::{Cancel, Datastore, Instance, InstanceId, with_causes};
use crate::engine::{self, Engine};
use crate::executor::Context;

use super::foretold::{foretell, log_left_out, probed};

/// How long a stop waits for a running probe: a database server that does not answer must not delay it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// When what failed is tried again, in minutes after the attempt before; the last one holds from then on.
const WAITS: [u64; 6] = [1, 2, 4, 10, 30, 60];

/// After so many attempts that failed it is a problem: seven minutes after the start.
const ATTEMPTS: usize = 4;

/// A thread that probes one source after the other, and ends once all are there.
#[derive(Debug)]
pub(super) struct StartupProbe {
    cancel: Cancel,
    /// Dropped, the thread waits no longer.
    stop: Sender<()>,
    /// Closed by the thread when it ends.
    ended: Receiver<()>,
}

impl StartupProbe {
    pub(super) fn start(context: &Context) -> Self {
        let cancel = Cancel::default();
        let (running, ended) = channel();
        let (stop, stopped) = channel::<()>();
        let (context, cancelled) = (context.clone(), cancel.clone());
        foretell(&context, &cancel);
        let spawned = thread::Builder::new().name("sources".to_owned()).spawn(move || {
            let mut probe = Probe::new(context, cancelled);
            while let Some(wait) = probe.attempt() {
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            drop(running);
        });
        if let Err(error) = spawned {
            log::warn!("the sources are not probed: no thread could be started: {error}");
        }
        Self { cancel, stop, ended }
    }

    /// Starts no further probe and waits for the running one, but not for long.
    pub(super) fn stop(self) {
        self.cancel.cancel();
        drop(self.stop);
        // Nothing is ever sent: the channel is closed, or the wait times out.
        if self.ended.recv_timeout(STOP_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            log::info!("the probe of a source has not ended; stopping without it");
        }
    }
}

/// Which sources were not there.
#[derive(Debug)]
struct Probe {
    context: Context,
    cancel: Cancel,
    attempts: usize,
    /// Those that failed last time; at first all are to be tried.
    failing: BTreeSet<InstanceId>,
}

impl Probe {
    const fn new(context: Context, cancel: Cancel) -> Self {
        Self { context, cancel, attempts: 0, failing: BTreeSet::new() }
    }

    /// Tries those that failed last time. When to try again; `None`: there is nothing more to try.
    fn attempt(&mut self) -> Option<Duration> {
        let instances = probed(&self.context.catalog).unwrap_or_else(|error| {
            log::warn!("the sources are not probed: {}", with_causes(&error));
            Vec::new()
        });
        let first = self.attempts == 0;
        self.attempts = self.attempts.saturating_add(1);
        let known = std::mem::take(&mut self.failing);
        for instance in instances.into_iter().filter(|it| first || known.contains(&it.id)) {
            if self.cancel.is_cancelled() {
                return None;
            }
            let why = self.probe(&instance).err();
            if let Some(why) = &why {
                self.failing.insert(instance.id);
                if first {
                    let name = &instance.name;
                    log::warn!(
                        "instance {name:?}: a backup would fail now: {why}; it is tried again"
                    );
                }
            }
            let (catalog, id) = (&self.context.catalog, instance.id);
            match why {
                Some(why) if self.attempts < ATTEMPTS => catalog.note_still_cannot_start(id, why),
                why => catalog.note_cannot_start(id, why),
            }
        }
        let last = self.attempts.min(WAITS.len()).saturating_sub(1);
        let minutes = WAITS.get(last).copied().unwrap_or(60);
        (!self.failing.is_empty()).then(|| Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// Why a backup would fail now, if so.
    fn probe(&self, instance: &Instance) -> Result<(), String> {
        match engine::find(&instance.datastore.engine) {
            Some(engine) if engine.reads_server() => probe_server(&self.context, instance, engine),
            Some(engine) => engine.require_there(&instance.source).map_err(|error| {
                format!("its source is not there or not readable: {}", with_causes(&error))
            }),
            None => Ok(()),
        }
    }
}

fn probe_server(context: &Context, instance: &Instance, engine: &dyn Engine) -> Result<(), String> {
    let Instance { name, datastore: Datastore { engine: kind, .. }, .. } = instance;
    let started = Instant::now();
    let probe = engine
        .probe(&instance.source)
        .map_err(|error| format!("{error}; `coffer doctor` tries it again"))?;
    log::info!(
        "instance {name:?}: {kind} {}, about {} bytes, reached in {} ms",
        probe.version,
        probe.source_bytes,
        started.elapsed().as_millis()
    );
    log_left_out(name, &probe.left_out);
    let problem = probe.staging.and_then(|it| it.problem(context.local.scratch_room().ok()?));
    let datastore = Datastore { engine: kind.clone(), version: probe.version };
    if let Err(error) = context.catalog.note_version(instance.id, datastore).wait() {
        log::warn!("instance {name:?}: its version cannot be recorded: {error}");
    }
    problem.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalog::Scope;
    use crate::config::Config;
    use crate::domain::{Caller, Role};
    use crate::policy::ProblemKind;
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
        for instance in context.catalog.every_instance().unwrap() {
            context.catalog.note_version(instance.id, before.clone()).wait().unwrap();
            let engine = engine::find(&instance.datastore.engine).unwrap();
            drop(probe_server(&context, &instance, engine));
        }
        assert_eq!(version_of(&config, &context, "existing"), rusqlite::version());
        assert_eq!(version_of(&config, &context, "missing"), "before");
    }

    #[test]
    fn a_source_that_is_not_there_is_a_problem_after_some_attempts_until_it_is() {
        let (folder, config) = config();
        let (context, _lock) = open_and_lock(&config).unwrap();
        let mut probe = Probe::new(context.clone(), Cancel::default());
        let wrong = || context.catalog.problems().unwrap();
        let mut waits = Vec::new();
        for attempt in 1..=ATTEMPTS {
            assert_eq!(wrong(), [], "before attempt {attempt}: the server may just be starting");
            waits.extend(probe.attempt().map(|it| it.as_secs() / 60));
        }
        assert_eq!(waits, [1, 2, 4, 10]);
        let found = wrong();
        assert_eq!(found.iter().map(|it| it.kind).collect::<Vec<_>>(), [ProblemKind::CannotStart]);
        assert!(found[0].message.contains("a backup of missing cannot begin"), "{found:?}");
        let db = rusqlite::Connection::open(folder.path().join("missing.db")).unwrap();
        db.execute_batch("CREATE TABLE row(id)").unwrap();
        assert_eq!(probe.attempt(), None, "all are there");
        assert_eq!(wrong(), []);
    }

    #[test]
    fn a_source_that_was_not_there_before_a_restart_is_a_problem_from_the_start_until_it_is() {
        let (folder, config) = config();
        let (context, lock) = open_and_lock(&config).unwrap();
        let mut probe = Probe::new(context.clone(), Cancel::default());
        for _attempt in 0..ATTEMPTS {
            assert!(probe.attempt().is_some());
        }
        let before = context.catalog.problems().unwrap();
        context.catalog.update_alerts(before.clone(), true).unwrap();
        context.catalog.close();
        drop((probe, context, lock));

        let (context, _lock) = open_and_lock(&config).unwrap();
        let wrong = || context.catalog.problems().unwrap();
        let [recalled] = wrong().try_into().unwrap();
        assert_eq!((recalled.kind, recalled.since), (ProblemKind::CannotStart, before[0].since));
        let earlier = format!("{} (found earlier, and not tried again yet)", before[0].message);
        assert_eq!(recalled.message, earlier);
        let mut probe = Probe::new(context.clone(), Cancel::default());
        probe.attempt();
        assert_eq!(wrong(), before, "the first attempt says it again");
        let db = rusqlite::Connection::open(folder.path().join("missing.db")).unwrap();
        db.execute_batch("CREATE TABLE row(id)").unwrap();
        assert_eq!(probe.attempt(), None, "all are there");
        assert_eq!(wrong(), []);
    }

    #[test]
    fn a_probe_that_waits_for_its_next_attempt_ends_when_the_server_stops() {
        let (_folder, config) = config();
        let (context, _lock) = open_and_lock(&config).unwrap();
        let StartupProbe { cancel, stop, ended } = StartupProbe::start(&context);
        cancel.cancel();
        drop(stop);
        // Closed at the thread's end: nothing is sent.
        assert!(ended.recv().is_err());
    }
}
