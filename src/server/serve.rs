//! Runs the server: recovers, starts the workers, answers requests, shuts down cleanly.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use actix_web::rt::{System, SystemRunner};
use actix_web::web;

use crate::access::SlowDown;
use crate::api::{self, LimitSettings, Limits, State};
use crate::config::{AuthMode, Config, LimitsConfig};
use crate::console::{Console, ConsoleSettings};
use crate::domain::{SystemClock, with_causes};
use crate::executor::{self, Context, Executor};
use crate::keystone::Keystone;
use crate::notify::Channels;

use super::archive_access::Archives;
use super::listener::{self, Bound};
use super::open::open_and_lock;
use super::reload::reload;
use super::signals::SignalListener;
use super::socket::{self, SocketServer};
use super::startup_probe::StartupProbe;
use super::tls::Tls;
use super::{ServerError, alerts, http, keys, keystone, policies, systemd, token, users};

/// How long the answer to a registration waits: clients expect to read RESTORED in it.
const REGISTRATION_WAIT: Duration = Duration::from_secs(2);

/// How long the answer to a sign-in with a wrong token or password waits.
const WRONG_SIGN_IN_WAIT: Duration = Duration::from_secs(1);

/// How long a start waits until the health of the instances is read.
const HEALTH_WAIT: Duration = Duration::from_secs(1);

/// Threads of the main one for what takes longer than it may be held up.
const BLOCKING_THREADS: usize = 2;

/// Microseconds within which a rebuild reads a further piece of an archive.
const REBUILD_STEP_US: u32 = 120_000_000;

pub fn serve(config: &Config) -> Result<(), ServerError> {
    log::info!(
        "coffer {} starts; configuration: {}; data: {}",
        env!("CARGO_PKG_VERSION"),
        config.file.as_ref().map_or("built-in".to_owned(), |file| file.display().to_string()),
        config.data_dir.display()
    );
    let new_channels = alerts::channels(config)?;
    let tls = Tls::of(config, &SystemClock)?;
    let address = Bound::new(config.server.listen)?;
    let (context, lock) = open_and_lock(config)?;
    token::make_first(config, &context)?;
    keys::note(config, &context);
    settle(&context)?;
    let workers = Executor::start(&context).map_err(ServerError::Run)?;
    let scheduler = policies::start(&context).map_err(ServerError::Run)?;
    let channels = Arc::new(Channels::default());
    alerts::apply(new_channels, config, &context, &channels);
    let notifier = alerts::start(&context, &channels).map_err(ServerError::Run)?;
    prepare_health(&context);
    let probe = StartupProbe::start(&context);
    // Signals are received until the jobs have ended: the first stops the server, a second one cancels the jobs.
    let mut signals = None;
    let port = (address, tls);
    let served = system()?.block_on(answer(config, &context, &channels, (port, &mut signals)));
    systemd::notify(sd_notify::NotifyState::Stopping);
    scheduler.stop();
    workers.drain(config.server.shutdown_grace());
    notifier.stop();
    probe.stop();
    drop(signals);
    context.catalog.close();
    drop(lock);
    log::info!("stopped");
    served
}

/// What the main thread runs: it starts the others, and answers at the socket.
fn system() -> Result<SystemRunner, ServerError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    let runtime = runtime.map_err(ServerError::Run)?;
    Ok(System::with_tokio_rt(|| runtime))
}

/// Settles what the last process left. A lost catalog is rebuilt, which may take longer than systemd waits.
fn settle(context: &Context) -> Result<(), ServerError> {
    let progress = |_done: u64, _total: u64| {
        systemd::notify(sd_notify::NotifyState::ExtendTimeoutUsec(REBUILD_STEP_US));
    };
    let recovery = executor::settle(context, &progress)?.unwrap_or_default();
    if recovery != executor::Recovery::default() {
        log::info!(
            "the previous process was interrupted: {} backups failed, {} were published already and are COMPLETED, {} restores, {} drills and {} consolidations begin again, {} unfinished files removed",
            recovery.failed,
            recovery.adopted,
            recovery.restores,
            recovery.drills,
            recovery.consolidations,
            recovery.swept
        );
    }
    Ok(())
}

/// Reads what the health of each instance depends on before anybody can ask for it and before sources are probed: of a
/// thousand instances that takes longer than a page may. A start that has more to read does not wait for all of it.
fn prepare_health(context: &Context) {
    let (catalog, (reading, read)) = (Arc::clone(&context.catalog), channel::<()>());
    let spawned = thread::Builder::new().name("health".to_owned()).spawn(move || {
        if let Err(error) = catalog.health_of_all() {
            log::debug!("the health of the instances is not read yet: {}", with_causes(&error));
        }
        drop(reading);
    });
    if spawned.is_ok() {
        // Nothing is ever sent: the channel is closed, or the wait is over.
        read.recv_timeout(HEALTH_WAIT).unwrap_or_default();
    }
}

async fn answer(
    config: &Config,
    context: &Context,
    channels: &Arc<Channels>,
    ((address, tls), signals): ((Bound, Option<Arc<Tls>>), &mut Option<SignalListener>),
) -> Result<(), ServerError> {
    let slow_down = Arc::new(SlowDown::default());
    let keystone = keystone::start(config, context)?;
    let state = web::Data::new(State {
        catalog: Arc::clone(&context.catalog),
        archives: Arc::new(Archives::new(&context.local, &context.storage)),
        channels: Arc::<Channels>::clone(channels),
        auth: match config.auth.mode {
            AuthMode::Token | AuthMode::Keystone => api::AuthMode::Token,
            AuthMode::None => api::AuthMode::None,
        },
        users: users::start(config, context),
        keystone: keystone.clone(),
        unknown_tokens: SlowDown::of_asked(),
        slow_down: Arc::clone(&slow_down),
        wrong_sign_in_wait: WRONG_SIGN_IN_WAIT,
        public_url: config.server.public_url().map(str::to_owned),
        hosts: config.server.hosts.split_whitespace().map(str::to_owned).collect(),
        body_timeout: config.server.request_timeout(),
        limits: Limits::new(limit_settings(&config.limits)),
        default_page: config.paging.default,
        max_page: config.paging.max,
        instance_page: config.paging.instances,
        registration_wait: REGISTRATION_WAIT,
        version: env!("CARGO_PKG_VERSION"),
        answered: api::RequestCounts::default(),
    });
    let port = address.listen()?;
    let address = port.local_addr().map_err(ServerError::Run)?;
    let (_file, socket) = socket::listen(config).unzip();
    let console = config
        .server
        .console
        .then(|| web::Data::new(console(config, context, channels, (slow_down, keystone))));
    let faces = (&state, console.as_ref());
    let (server, application) =
        http::server(&config.server, faces, (port, tls.clone())).map_err(ServerError::Run)?;
    let socket = socket.map(|it| SocketServer::start(it, &application)).transpose();
    let socket = socket.map_err(ServerError::Run)?;
    let (running, reloaded, channels) = (config.clone(), context.clone(), Arc::clone(channels));
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(tls) = &tls {
        tls.watch(&context.catalog, &context.clock);
    }
    let reload = move || {
        systemd::while_reloading(|| reload(&running, &reloaded, &channels, tls.as_deref()));
    };
    let ends = (context.cancel.clone(), Arc::clone(context.catalog.changes()));
    let listener = SignalListener::start(server.handle(), ends, reload);
    *signals = Some(listener.map_err(ServerError::Run)?);
    listener::warn_without_tls(&config.server);
    log::info!("listening on {scheme}://{address}");
    systemd::notify(sd_notify::NotifyState::Ready);
    systemd::start_watchdog(&context.catalog);
    let result = server.await.map_err(ServerError::Run);
    if let Some(socket) = socket {
        socket.stop().await;
    }
    result
}

fn console(
    config: &Config,
    context: &Context,
    channels: &Arc<Channels>,
    (slow_down, keystone): (Arc<SlowDown>, Option<Arc<Keystone>>),
) -> Console {
    let settings = ConsoleSettings {
        needs_token: config.auth.mode != AuthMode::None,
        keystone,
        public_url: config.server.public_url().map(str::to_owned),
        is_tls: config.server.tls().is_some(),
        hosts: config.server.hosts.split_whitespace().map(str::to_owned).collect(),
        body_timeout: config.server.request_timeout(),
        wrong_token_wait: WRONG_SIGN_IN_WAIT,
        downloads: config.limits.downloads,
        trash_window: config.storage.trash_window(),
        reference: api::openapi_text,
        version: env!("CARGO_PKG_VERSION"),
    };
    let catalog = Arc::clone(&context.catalog);
    let archives = Arc::new(Archives::new(&context.local, &context.storage));
    let channels = Arc::<Channels>::clone(channels);
    let clock = (Arc::clone(&context.clock), slow_down);
    Console::new(catalog, archives, channels, clock, settings)
}

fn limit_settings(limits: &LimitsConfig) -> LimitSettings {
    LimitSettings {
        body_bytes: limits.body_kib.saturating_mul(1024),
        downloads: limits.downloads,
        token_requests: limits.token_requests,
        token_requests_per_second: limits.token_requests_per_second,
        token_body_bytes: limits.token_body_kib.saturating_mul(1024),
        token_downloads: limits.token_downloads,
    }
}
