//! Checks of values, alone and together.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Component, Path};

use super::{
    AuthMode, Config, InstanceConfig, KeepConfig, Problem, ServerConfig, StagingConfig,
    TokenConfig, alerts, encryption, keystone, misplaced, places, policy, tls,
};

/// SHA-256 of nothing: a token with this digest would accept an empty secret.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// All problems, in the order of the file.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Problems(Vec::new());
    data_dir(&config.data_dir, &mut found);
    identity_file(config, &mut found);
    auth_mode(config.auth.mode, config.server.listen, &mut found);
    for (key, why) in
        keystone::problems(&config.auth.keystone, config.auth.mode == AuthMode::Keystone)
    {
        found.add(key, why);
    }
    public_url(&config.server.public_url, &mut found);
    socket(&config.server, &mut found);
    for (key, why) in tls::problems(&config.server.tls) {
        found.add(key, why);
    }
    ranges(config, &mut found);
    tokens(&config.auth.tokens, &mut found);
    for (key, why) in policy::wrong_defaults(&config.defaults) {
        found.add(format!("defaults.{key}"), why);
    }
    for (key, why) in alerts::wrong_alerts(config) {
        found.add(key, why);
    }
    instances(config, &mut found);
    for (key, why) in places::problems(config).into_iter().chain(encryption::problems(config)) {
        found.add(key, why);
    }
    found.0
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.0.push(Problem { key: key.into(), why: why.into() });
    }

    fn range<T: PartialOrd + std::fmt::Display>(
        &mut self,
        key: &str,
        value: &T,
        allowed: &RangeInclusive<T>,
    ) {
        if !allowed.contains(value) {
            let (least, most) = (allowed.start(), allowed.end());
            self.add(key, format!("is {value}; it must be from {least} to {most}"));
        }
    }
}

fn data_dir(path: &Path, found: &mut Problems) {
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || goes_up || path.parent().is_none() {
        let shown = path.display();
        found.add(
            "data_dir",
            format!("is {shown:?}; use an absolute path without `..`, such as /var/lib/coffer"),
        );
    }
}

fn identity_file(config: &Config, found: &mut Problems) {
    let Some(path) = config.storage.identity_file() else { return };
    if !path.is_absolute() || path.starts_with(&config.data_dir) {
        let why = format!(
            "is {}; use an absolute path outside of data_dir, such as /var/lib/coffer-identity/data.id",
            path.display()
        );
        found.add("storage.identity_file", why);
    }
}

fn auth_mode(mode: AuthMode, listen: SocketAddr, found: &mut Problems) {
    if mode == AuthMode::None && !listen.ip().to_canonical().is_loopback() {
        let why = format!(
            "is \"none\", but {listen} can be reached from other machines; listen on 127.0.0.1 or \
             [::1], or use tokens"
        );
        found.add("auth.mode", why);
    }
}

fn public_url(url: &str, found: &mut Problems) {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\".contains(&byte))
    };
    if !url.is_empty() && !rest.is_some_and(plain) {
        found.add(
            "server.public_url",
            format!("is {url:?}; use http:// or https:// and a host, or leave it empty"),
        );
    }
}

fn socket(server: &ServerConfig, found: &mut Problems) {
    let mode = &server.socket_mode;
    let digits = !mode.is_empty() && mode.bytes().all(|it| (b'0'..=b'7').contains(&it));
    if !digits || u32::from_str_radix(mode, 8).is_ok_and(|it| it > 0o777) {
        found.add("server.socket_mode", format!("is {mode:?}; use octal digits, such as \"0660\""));
    }
    if server.socket.components().any(|part| part == Component::ParentDir) {
        let shown = server.socket.display();
        found.add("server.socket", format!("is {shown:?}; use a path without `..`"));
    }
}

fn ranges(config: &Config, found: &mut Problems) {
    const DAY: u64 = 86_400;
    let Config { server, limits, executor, storage, catalog, quota, paging, .. } = config;
    found.range("server.http_workers", &server.http_workers, &(0..=64));
    found.range("server.max_connections", &server.max_connections, &(1..=65_536));
    found.range(
        "server.max_connections_per_address",
        &server.max_connections_per_address,
        &(1..=65_536),
    );
    found.range("server.keep_alive_s", &server.keep_alive_s, &(1..=3600));
    found.range("server.request_timeout_s", &server.request_timeout_s, &(1..=3600));
    found.range("server.send_timeout_s", &server.send_timeout_s, &(1..=DAY));
    found.range("server.shutdown_grace_s", &server.shutdown_grace_s, &(0..=DAY));
    found.range("limits.token_requests", &limits.token_requests, &(1..=65_536));
    found.range(
        "limits.token_requests_per_second",
        &limits.token_requests_per_second,
        &(0..=1_000_000),
    );
    found.range("limits.token_body_kib", &limits.token_body_kib, &(64..=1 << 20));
    found.range("limits.token_downloads", &limits.token_downloads, &(1..=65_536));
    found.range("limits.body_kib", &limits.body_kib, &(64..=1 << 20));
    found.range("limits.downloads", &limits.downloads, &(1..=65_536));
    found.range("limits.project_restores", &limits.project_restores, &(1..=1_000_000));
    found.range("auth.token_lifetime_s", &config.auth.token_lifetime_s, &(60..=7 * DAY));
    found.range("auth.keystone.cache_s", &config.auth.keystone.cache_s, &(1..=60));
    found.range("auth.keystone.timeout_s", &config.auth.keystone.timeout_s, &(1..=60));
    found.range("executor.workers", &executor.workers, &(1..=16));
    found.range("executor.compression_threads", &executor.compression_threads, &(0..=64));
    found.range("executor.compression_level", &executor.compression_level, &(1..=19));
    found.range("executor.nice", &executor.nice, &(0..=19));
    found.range("executor.max_read_mib_s", &executor.max_read_mib_s, &(0..=1 << 20));
    found.range("storage.trash_window_s", &storage.trash_window_s, &(0..=366 * DAY));
    found.range("storage.scrub_days", &storage.scrub_days, &(0..=3660));
    found.range("storage.scrub_mib_s", &storage.scrub_mib_s, &(0..=1 << 20));
    found.range("storage.room_for_backups", &storage.room_for_backups, &(0..=1000));
    found.range("storage.headroom_mib", &storage.headroom_mib, &(0..=1 << 30));
    found.range("catalog.max_chain", &catalog.max_chain, &(0..=1000));
    found.range("catalog.reread_every", &catalog.reread_every, &(0..=10_000));
    found.range("catalog.events_days", &catalog.events_days, &(1..=36_500));
    found.range("quota.backups", &quota.backups, &(-1..=i64::from(i32::MAX)));
    found.range("quota.instances", &quota.instances, &(-1..=i64::from(i32::MAX)));
    found.range("paging.max", &paging.max, &(1..=10_000));
    found.range("paging.default", &paging.default, &(1..=paging.max.clamp(1, 10_000)));
    found.range("paging.instances", &paging.instances, &(1..=10_000));
}

fn tokens(tokens: &[TokenConfig], found: &mut Problems) {
    let mut names = BTreeSet::new();
    let mut digests = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        let key = |field: &str| format!("auth.tokens[{index}] ({}): {field}", token.name);
        name(&key("name"), &token.name, found);
        if token.name.contains(':') {
            found.add(key("name"), "contains a colon, which ends the user name in HTTP Basic");
        }
        if !names.insert(&token.name) {
            found.add(key("name"), "is used by another token; names must be unique");
        }
        if token.roles.is_empty() {
            found.add(key("roles"), "is empty; add \"admin\", \"member\" or \"reader\"");
        }
        if hex::encode(token.sha256.0) == SHA256_OF_NOTHING {
            found.add(
                key("sha256"),
                "is that of an empty secret; use one that `coffer token new` prints",
            );
        }
        if !digests.insert(token.sha256.0) {
            found.add(key("sha256"), "is used by another token; run `coffer token new` for each");
        }
    }
}

fn instances(config: &Config, found: &mut Problems) {
    let mut names = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (index, instance) in config.instances.iter().enumerate() {
        let key = |field: &str| format!("instances[{index}] ({}): {field}", instance.name);
        name(&key("name"), &instance.name, found);
        if !names.insert((&instance.project_id, &instance.name)) {
            let project = &instance.project_id;
            found.add(key("name"), format!("is used twice in project {project}"));
        } else if !ids.insert(instance.instance_id()) {
            found.add(key("id"), "is used by another instance; ids must be unique");
        }
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&instance.engine.len()) || !instance.engine.bytes().all(word) {
            let engine = &instance.engine;
            found.add(
                key("engine"),
                format!(
                    "is {engine:?}; use \"sqlite\", \"directory\", \"postgresql\", \"mariadb\"…"
                ),
            );
        }
        if instance.source.text("path").is_some_and(|path| config.data_dir.starts_with(path)) {
            let why =
                "contains data_dir: every backup would contain all earlier ones; move one of them";
            found.add(key("source.path"), why);
        }
        if let Some(why) = instance.keep.as_ref().and_then(KeepConfig::says_nothing) {
            found.add(key("keep"), why);
        }
        for inside in misplaced::inside_source(instance) {
            let why = "belongs to the instance itself: move it out of source; in a file with [instances.source], \
                       write it above that line";
            found.add(key(&format!("source.{inside}")), why);
        }
        for (wrong, why) in policy::wrong_keys(instance, &config.defaults) {
            found.add(key(&wrong), why);
        }
        if let Some(staging) = &instance.staging
            && let Some((wrong, why)) = wrong_staging(config, instance, staging)
        {
            found.add(key(&format!("staging.{wrong}")), why);
        }
    }
}

/// What is wrong with what is refreshed for staging, beside what others use: the key, and why.
fn wrong_staging(
    config: &Config,
    own: &InstanceConfig,
    staging: &StagingConfig,
) -> Option<(&'static str, String)> {
    if let Some(to) = &staging.to {
        return wrong_place(config, own, to).map(|why| ("to", why));
    }
    let mut others = config.instances.iter().filter(|it| !std::ptr::eq(*it, own));
    let same = |it: &StagingConfig| {
        it.database.is_some() && (&it.server, &it.database) == (&staging.server, &staging.database)
    };
    let other = others.find(|it| it.staging.as_ref().is_some_and(same))?;
    Some(("database", format!("is that of instance {}; each needs its own", other.name)))
}

/// What is wrong with the place that is refreshed for staging, beside the other places of this machine.
fn wrong_place(config: &Config, own: &InstanceConfig, to: &Path) -> Option<String> {
    if to.starts_with(&config.data_dir) {
        return Some(
            "is in data_dir, where Coffer keeps its own files; use another folder".to_owned(),
        );
    }
    for other in &config.instances {
        let staged = other.staging.as_ref().filter(|_| !std::ptr::eq(other, own));
        let staged = staged.and_then(|it| it.to.as_ref());
        if staged.is_some_and(|it| it.starts_with(to) || to.starts_with(it)) {
            return Some(format!(
                "is that of instance {}, or in it; each needs its own",
                other.name
            ));
        }
        if other.source.text("path").is_some_and(|source| to.starts_with(source)) {
            return Some(format!("is what instance {} is backed up from, or in it", other.name));
        }
    }
    None
}

/// Clients see these names in lists, so the API's rule for names applies.
fn name(key: &str, text: &str, found: &mut Problems) {
    let length = text.chars().count();
    if !(1..=255).contains(&length) || !text.chars().any(char::is_alphanumeric) {
        found.add(key, "must have 1 to 255 characters, with at least one letter or digit");
    } else if text.chars().any(char::is_control) || text.contains('/') {
        found.add(key, "contains a control character or a slash; remove it");
    }
}
