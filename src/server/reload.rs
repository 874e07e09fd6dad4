//! Taking over an edited configuration without a restart.

use std::thread;

use crate::config::{AuthConfig, Config, ServerConfig, TlsConfig};
use crate::domain::with_causes;
use crate::executor::{self, Context};
use crate::notify::Channels;

use super::open::apply;
use super::tls::Tls;
use super::{alerts, keys, places};

/// Reads the configuration again. One that is wrong changes nothing.
pub(super) fn reload(running: &Config, context: &Context, channels: &Channels, tls: Option<&Tls>) {
    let config = match Config::load(running.file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            log::error!("the configuration is not taken over, the old one stays: {error}");
            return;
        }
    };
    if config.data_dir != running.data_dir {
        log::error!(
            "the configuration is not taken over, the old one stays: data_dir changes at a restart only"
        );
        return;
    }
    let applied = alerts::channels(&config).and_then(|new| {
        let targets = places::of(&config)?;
        let fleets = places::fleets(&config)?;
        apply(&config, context, &targets)?;
        context.places.replace(targets);
        context.places.replace_fleets(fleets);
        keys::note(&config, context);
        settle_places(context);
        context.bell.ring();
        alerts::apply(new, &config, context, channels);
        Ok(())
    });
    if let Err(error) = applied {
        log::error!(
            "the configuration is not taken over, the old one stays: {}",
            with_causes(&error)
        );
        return;
    }
    log::info!(
        "the configuration was read again: instances, tokens, schedules, retention, places and alerts are as it says"
    );
    renew_certificate(&config, context, tls);
    let same = Config {
        server: ServerConfig { tls: renewed(&config, tls, running), ..running.server.clone() },
        auth: AuthConfig { tokens: config.auth.tokens.clone(), ..running.auth.clone() },
        instances: config.instances.clone(),
        defaults: config.defaults.clone(),
        alerts: config.alerts.clone(),
        places: config.places.clone(),
        file: config.file.clone(),
        ..running.clone()
    };
    if same != config {
        log::warn!("other keys of the configuration changed too: they apply after a restart");
    }
}

/// What of the section applies without a restart: other files, but not whether there is TLS.
fn renewed(config: &Config, tls: Option<&Tls>, running: &Config) -> TlsConfig {
    let is_same = tls.is_some() == config.server.tls().is_some();
    if is_same { &config.server.tls } else { &running.server.tls }.clone()
}

/// Reads certificate and key again, for new connections. Wrong ones change nothing.
fn renew_certificate(config: &Config, context: &Context, tls: Option<&Tls>) {
    let (Some(tls), Some(files)) = (tls, config.server.tls()) else { return };
    if let Err(error) = tls.reload(files, &*context.clock) {
        log::error!("the certificate is not taken over, the old one stays in use: {error}");
    }
    tls.say_when_it_ends(&context.catalog, &*context.clock);
}

/// Looks at the places beside everything else: a mount that hangs does not hold up signals.
fn settle_places(context: &Context) {
    let shared = context.clone();
    let settle = move || executor::settle_places(&shared);
    if let Err(error) = thread::Builder::new().name("places".to_owned()).spawn(settle) {
        log::error!("which places are left is not known: {error}");
    }
}
