//! Keystone, if its tokens are taken.

use std::sync::Arc;

use url::{Host, Url};

use crate::catalog::{Catalog, Notice};
use crate::config::{AuthMode, Config};
use crate::executor::Context;
use crate::keystone::{Keystone, KeystoneError, Reached, Roles, Settings};

use super::ServerError;

/// How the Keystone of the configuration is reached; `None`: its tokens are not taken.
pub fn keystone_of(config: &Config) -> Option<Reached> {
    let keystone = &config.auth.keystone;
    (config.auth.mode == AuthMode::Keystone).then(|| Reached {
        auth_url: keystone.auth_url.clone(),
        ca_file: keystone.ca_file().map(Into::into),
        timeout: keystone.timeout(),
    })
}

/// Starts to take its tokens. Whether it answers is found out beside: a server starts without it.
pub(super) fn start(
    config: &Config,
    context: &Context,
) -> Result<Option<Arc<Keystone>>, ServerError> {
    let Some(reached) = keystone_of(config) else { return Ok(None) };
    if is_readable_on_the_way(&reached.auth_url) {
        log::warn!(
            "auth.keystone.auth_url begins with http:// and leads to another machine: whoever can read what goes there \
             has the tokens; use https://"
        );
    }
    let keystone = &config.auth.keystone;
    let roles = Roles {
        admin: keystone.admin_roles.clone(),
        member: keystone.member_roles.clone(),
        reader: keystone.reader_roles.clone(),
        admin_everywhere: keystone.admin_everywhere,
    };
    let settings = Settings { reached, roles, keep: keystone.cache() };
    let (catalog, url) = (Arc::clone(&context.catalog), keystone.auth_url.clone());
    let report = move |why: Option<&KeystoneError>| report(&catalog, &url, why);
    let started = Keystone::start(settings, Arc::clone(&context.clock), Box::new(report));
    started.map(|it| Some(Arc::new(it))).map_err(ServerError::Run)
}

fn report(catalog: &Catalog, url: &str, why: Option<&KeystoneError>) {
    let text = why.map(|why| {
        format!(
            "{why} (auth.keystone.auth_url is {url}). Until it does, tokens of it that were not used just before get 503; \
             Coffer's own tokens work"
        )
    });
    match &text {
        Some(text) => log::warn!("{text}"),
        None => log::info!("Keystone answers at {url}: its tokens are taken"),
    }
    catalog.set_notice(Notice::KeystoneAway, text);
}

/// Whether tokens would go over a network in plain text.
fn is_readable_on_the_way(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_to_another_machine_is_warned_of() {
        for fine in
            ["https://h:5000", "http://localhost:5000", "http://127.0.0.1/v3", "http://[::1]:5000"]
        {
            assert!(!is_readable_on_the_way(fine), "{fine}");
        }
        assert!(is_readable_on_the_way("http://keystone.example.org:5000/v3"));
        assert!(is_readable_on_the_way("http://192.0.2.1:5000"));
    }
}
