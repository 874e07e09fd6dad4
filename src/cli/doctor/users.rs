//! The list of users, if there is one.

use crate::cli::user;
use crate::config::Config;

use super::finding::Findings;

const CHECK: &str = "users";

/// Reads it as the server does.
pub(super) fn users(config: &Config, findings: &mut Findings) {
    let file = config.data_dir.join("users.json");
    // Whether the data directory can be read is another finding.
    if !file.exists() {
        return;
    }
    match user::read(config) {
        Ok(users) => {
            let (count, shown) = (users.all().len(), file.display());
            findings.ok(CHECK, format!("{shown}: {count} who may sign in"));
        }
        Err(error) => findings.problem(
            CHECK,
            format!("{}: {error}", file.display()),
            "bring back a copy of it, or move it away and add the users again (coffer user add); until then nobody of them \
             signs in",
        ),
    }
}
