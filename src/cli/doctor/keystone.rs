//! Keystone: whether it answers, if its tokens are taken.

use crate::config::Config;
use crate::keystone::{self, KeystoneError};
use crate::server;

use super::finding::Findings;

const CHECK: &str = "keystone";

/// Asks it for its version. Without it Coffer starts and backs up all the same.
pub(super) fn keystone(config: &Config, findings: &mut Findings) {
    let Some(reached) = server::keystone_of(config) else { return };
    let url = &reached.auth_url;
    match keystone::find_version(&reached) {
        Ok(version) => findings.ok(CHECK, format!("{url} answers, version {version}")),
        Err(error @ KeystoneError::Authorities(_)) => {
            let advice = "auth.keystone.ca_file has to be a PEM file that the user of Coffer can read";
            findings.problem(CHECK, error.to_string(), advice);
        }
        Err(error) => findings.warning(
            CHECK,
            format!("{error} ({url})"),
            "is auth.keystone.auth_url right? Until it answers, tokens of it get 503; Coffer's own work, and backups go on",
        ),
    }
}
