//! Keystone, whose tokens are taken: `[auth.keystone]`.

#![expect(missing_docs, reason = "config/default.toml explains every key")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeystoneConfig {
    pub auth_url: String,
    pub ca_file: PathBuf,
    pub admin_roles: Vec<String>,
    pub member_roles: Vec<String>,
    pub reader_roles: Vec<String>,
    pub admin_everywhere: bool,
    pub cache_s: u64,
    pub timeout_s: u64,
}

impl KeystoneConfig {
    /// The file with the certificates to trust, if not those of this machine.
    pub fn ca_file(&self) -> Option<&Path> {
        (!self.ca_file.as_os_str().is_empty()).then_some(&self.ca_file)
    }

    pub const fn cache(&self) -> Duration {
        Duration::from_secs(self.cache_s)
    }

    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

/// What is wrong with the keys, of which some are needed if tokens are taken: the key of the configuration, and the rest of the sentence.
pub(super) fn problems(keystone: &KeystoneConfig, is_needed: bool) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let url = &keystone.auth_url;
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    // No password, query or fragment.
    let plain = |it: &str| {
        !it.is_empty()
            && !it.starts_with('/')
            && it.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\"<>\\".contains(&byte))
    };
    if url.is_empty() && is_needed {
        let why = "is empty; set it to the address of Keystone, as auth_url in a clouds.yaml: \
                   https://keystone.example.org:5000/v3";
        found.push(("auth.keystone.auth_url", why.to_owned()));
    } else if !url.is_empty() && !rest.is_some_and(plain) {
        let why =
            "is not an address; use http:// or https://, a host, and perhaps a port and a path";
        found.push(("auth.keystone.auth_url", why.to_owned()));
    }
    if keystone.ca_file().is_some_and(|it| !it.is_absolute()) {
        let why = format!("is {}; use an absolute path", keystone.ca_file.display());
        found.push(("auth.keystone.ca_file", why));
    }
    let roles = [&keystone.admin_roles, &keystone.member_roles, &keystone.reader_roles];
    if is_needed && roles.iter().all(|it| it.is_empty()) {
        let why = "is empty, as are admin_roles and reader_roles: no token could do anything";
        found.push(("auth.keystone.member_roles", why.to_owned()));
    }
    found
}
