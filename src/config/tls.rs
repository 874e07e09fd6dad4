//! The certificate of the port and its private key: `[server.tls]`.

#![expect(missing_docs, reason = "config/default.toml explains every key")]

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    pub certificate: PathBuf,
    pub private_key: PathBuf,
}

/// What is wrong with the keys: the key of the configuration, and the rest of the sentence.
pub(super) fn problems(tls: &TlsConfig) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let pair = [
        ("server.tls.certificate", &tls.certificate, "server.tls.private_key", &tls.private_key),
        ("server.tls.private_key", &tls.private_key, "server.tls.certificate", &tls.certificate),
    ];
    for (key, path, other, with) in pair {
        let is_empty = path.as_os_str().is_empty();
        if is_empty && !with.as_os_str().is_empty() {
            found.push((key, format!("is empty, and {other} is not: TLS needs both, or neither")));
        } else if !is_empty && !path.is_absolute() && !is_name(path) {
            let shown = path.display();
            let why =
                format!("is {shown}; use an absolute path, or the name of a systemd credential");
            found.push((key, why));
        }
    }
    found
}

fn is_name(path: &Path) -> bool {
    let mut parts = path.components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}
