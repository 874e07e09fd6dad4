//! Opening a data directory: the archives and the catalog, with what the configuration adds to them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::bell::Bell;
use crate::catalog::{Catalog, CatalogError, Settings as CatalogSettings};
use crate::config::{Config, InstanceConfig, TokenConfig};
use crate::domain::{
    Cancel, Clock, Datastore, Instance, InstanceOrigin, InstanceStatus, SystemClock, Timestamp,
};
use crate::encryption::Identities;
use crate::engine::{self, ENGINES};
use crate::executor::{Context, CopyTarget, Pace, Places, Settings};
use crate::storage::{
    DataDirLock, EncryptedStorage, Local, LocalSettings, Storage, StorageError, WithPlaces,
};

use super::identity;
use super::owner::mended_by;
use super::{ServerError, keys, places, policies};

/// The settings of the executor, from the configuration.
pub fn executor_settings(config: &Config) -> Settings {
    Settings {
        workers: config.executor.workers,
        compression_threads: config.executor.compression_thread_count(),
        compression_level: config.executor.compression_level,
        nice: config.executor.nice,
        pace: Arc::new(Pace::mib_per_second(config.executor.max_read_mib_s)),
        reread_every: u64::from(config.catalog.reread_every),
        trash_window: config.storage.trash_window(),
        headroom_bytes: config.storage.headroom_bytes(),
        room_for_backups: config.storage.room_for_backups,
        drill_limit: config.executor.drill_limit(),
        scrub: config
            .storage
            .scrub_after()
            .map(|_| Arc::new(Pace::mib_per_second(config.storage.scrub_mib_s))),
    }
}

/// Opens everything for a process that has the data directory for itself, as long as the lock lives.
/// Makes the directory if it does not exist.
pub fn open_and_lock(config: &Config) -> Result<(Context, DataDirLock), ServerError> {
    open_and_lock_with(config, Arc::new(SystemClock))
}

/// The same with another clock.
pub(super) fn open_and_lock_with(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<(Context, DataDirLock), ServerError> {
    if config.storage.must_exist
        && !config.catalog_file().exists()
        && Local::look(&config.data_dir)?.is_none()
    {
        return Err(ServerError::NeverUsed { path: config.data_dir.display().to_string() });
    }
    identity::require_known(config)?;
    let settings = local_settings(config, &clock);
    let local =
        Local::open_with(&config.data_dir, settings).map_err(|error| in_data_dir(config, error))?;
    let local = Arc::new(local);
    let lock = local.lock().map_err(|error| in_data_dir(config, error))?;
    identity::remember(config, &local)?;
    local.make_signing_seed().map_err(|error| in_data_dir(config, error))?;
    let context = open(config, local, clock, &keys::available(config))?;
    context.catalog.set_engines(engines());
    apply(config, &context, &context.places.all())?;
    Ok((context, lock))
}

/// Takes over what the configuration says of tokens, instances, schedules and retention; all of it, or nothing if it is
/// wrong.
pub(super) fn apply(
    config: &Config,
    context: &Context,
    targets: &[CopyTarget],
) -> Result<(), ServerError> {
    let catalog = &context.catalog;
    let instances = instances(config, context.clock.now())?;
    catalog.sync_instances(instances).wait().map_err(|error| in_catalog(config, error))?;
    catalog.set_configured_tokens(
        config.auth.tokens.iter().map(TokenConfig::caller_and_hash).collect(),
    );
    let replaced = catalog.replace_policy_source(policies::configured_policies(config));
    replaced.wait().map_err(|error| in_catalog(config, error))?;
    catalog.await_places();
    places::set_in(catalog, config, targets).map_err(|error| in_catalog(config, error))?;
    if config.copy_places().next().is_some() {
        catalog.ask_for_copies().wait().map_err(|error| in_catalog(config, error))?;
    }
    Ok(())
}

/// Opens an existing data directory, also beside a running server: for commands that read.
pub fn open_existing(config: &Config) -> Result<Context, ServerError> {
    open_existing_with(config, &keys::available(config))
}

/// The same, and encrypted archives are read with these keys.
pub fn open_existing_with(
    config: &Config,
    identities: &Arc<Identities>,
) -> Result<Context, ServerError> {
    let file = config.catalog_file();
    require_access(&file)?;
    if !file.exists() {
        let archives = Local::look(&config.data_dir).ok().flatten().unwrap_or_default();
        let advice = if archives == 0 {
            "is data_dir right? The first start of the server makes it (systemctl start coffer, or coffer serve); until \
             then nothing is backed up"
                .to_owned()
        } else {
            format!(
                "but there are {archives} archives: `coffer catalog rebuild` makes it of them, and so does the \
                 server when it starts"
            )
        };
        return Err(ServerError::NoCatalog { path: file.display().to_string(), advice });
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = local_settings(config, &clock);
    let local =
        Local::existing(&config.data_dir, settings).map_err(|error| in_data_dir(config, error))?;
    open(config, Arc::new(local), clock, identities)
}

fn local_settings(config: &Config, clock: &Arc<dyn Clock>) -> LocalSettings {
    let headroom_bytes = config.storage.headroom_bytes();
    LocalSettings { headroom_bytes, clock: Arc::clone(clock) }
}

fn open(
    config: &Config,
    local: Arc<Local>,
    clock: Arc<dyn Clock>,
    identities: &Arc<Identities>,
) -> Result<Context, ServerError> {
    let bell = Arc::new(Bell::default());
    let settings = CatalogSettings {
        max_backups: config.quota.backups,
        max_instances: config.quota.instances,
        max_restores: config.limits.project_restores,
        max_chain: config.catalog.max_chain,
        events_days: config.catalog.events_days,
        scrub_after: config.storage.scrub_after(),
    };
    let file = config.catalog_file();
    require_access(&file)?;
    let catalog = Catalog::open(&file, settings, Arc::clone(&clock), Arc::clone(&bell))
        .map_err(|error| in_catalog(config, error))?;
    let source = policies::configured_policies(config);
    catalog.set_policy_source(source).map_err(|error| in_catalog(config, error))?;
    catalog.set_alert_routes(config.alert_routes());
    let targets = places::read_with(config, identities)?;
    places::set_in(&catalog, config, &targets).map_err(|error| in_catalog(config, error))?;
    let removed = catalog.removed_places().map_err(|error| in_catalog(config, error))?;
    let places = Places::new(targets);
    places.replace_fleets(places::fleets(config)?);
    places.list().set_removed(removed.into_iter().map(|it| it.place).collect());
    let inner: Arc<dyn Storage> = Arc::<Local>::clone(&local);
    let recipients = keys::archive_recipients(config)?;
    let inner = Arc::new(EncryptedStorage::new(inner, recipients, Arc::clone(identities)));
    let storage: Arc<dyn Storage> = Arc::new(WithPlaces::new(inner, places.list().clone()));
    let signer = keys::signer(&local)?;
    Ok(Context {
        catalog: Arc::new(catalog),
        storage,
        local,
        clock,
        bell,
        settings: executor_settings(config),
        cancel: Cancel::default(),
        stopping: Arc::default(),
        places,
        signer,
    })
}

/// The error for a file of the data directory; a refusal says who may.
fn in_data_dir(config: &Config, error: StorageError) -> ServerError {
    match error {
        StorageError::Io { action, what, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            let inner = Path::new(&what).strip_prefix(&config.data_dir).is_ok();
            let path = if inner { Path::new(&what) } else { &config.data_dir };
            denied(format!("{action} {what}"), path)
        }
        error => error.into(),
    }
}

/// Fails if this user may not use the catalog. One that does not exist is no error.
fn require_access(file: &Path) -> Result<(), ServerError> {
    let log = beside(file, "-wal");
    // Without a log SQLite makes one.
    let folder = file.parent().filter(|_| file.exists() && !log.exists()).map(Path::to_owned);
    let shared = beside(file, "-shm");
    let files = [file.to_owned(), log, shared].into_iter().map(|path| {
        let opened = match File::options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
            opened => opened,
        };
        (path, opened.map(drop))
    });
    let folder = folder.map(|path| {
        let needed = Access::WRITE_OK | Access::EXEC_OK;
        let made = accessat(CWD, &path, needed, AtFlags::EACCESS).map_err(io::Error::from);
        (path, made)
    });
    for (path, used) in files.chain(folder) {
        if used.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return Err(denied(format!("the catalog {}", file.display()), &path));
        }
    }
    Ok(())
}

/// A file that SQLite keeps beside the catalog.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn denied(what: String, path: &Path) -> ServerError {
    ServerError::Denied { what, mend: mended_by(path, true) }
}

pub(super) fn in_catalog(config: &Config, source: CatalogError) -> ServerError {
    if source.names_its_file() {
        return ServerError::NamedCatalog(source);
    }
    ServerError::Catalog { file: config.catalog_file().display().to_string(), source }
}

/// Every engine of this build, with the version it reads with.
fn engines() -> Vec<Datastore> {
    ENGINES
        .iter()
        .map(|engine| Datastore {
            engine: engine.name().to_owned(),
            version: engine.version(&crate::domain::Source::default()),
        })
        .collect()
}

/// The instances of the configuration, each checked by its engine.
fn instances(config: &Config, now: Timestamp) -> Result<Vec<Instance>, ServerError> {
    config.instances.iter().map(|instance| checked(instance, now)).collect()
}

fn checked(configured: &InstanceConfig, now: Timestamp) -> Result<Instance, ServerError> {
    let engine = engine::find(&configured.engine).ok_or_else(|| ServerError::NoEngine {
        name: configured.name.clone(),
        engine: configured.engine.clone(),
        known: ENGINES.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", "),
    })?;
    engine
        .check_source(&configured.source)
        .map_err(|source| ServerError::Instance { name: configured.name.clone(), source })?;
    if let Some((server, database)) = configured.staging.as_ref().and_then(|it| it.in_server()) {
        engine
            .check_refresh(&configured.source, server, database)
            .map_err(|source| ServerError::Instance { name: configured.name.clone(), source })?;
    }
    Ok(Instance {
        id: configured.instance_id(),
        project: configured.project_id.clone(),
        name: configured.name.clone(),
        datastore: Datastore {
            engine: configured.engine.clone(),
            version: engine.version(&configured.source),
        },
        origin: InstanceOrigin::Configured,
        source: configured.source.clone(),
        check: configured.check,
        verify: configured.verify,
        status: InstanceStatus::Active,
        used_bytes: 0,
        failure: None,
        created: now,
        updated: now,
    })
}
