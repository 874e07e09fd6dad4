//! The end of a job: its outcome is written down, and its error told, once.

use std::time::Duration;

use crate::catalog::CatalogError;
use crate::domain::with_causes;

use super::Context;

/// How often a worker looks again, for work or at a catalog that could not be written, without having
/// been rung for.
pub(super) const POLL: Duration = Duration::from_secs(5);

/// Writes the outcome down; while the catalog cannot (a full disk), tries again until it can or the
/// server stops: then the next start puts the row in order.
pub(super) fn settle(context: &Context, mut write: impl FnMut() -> Result<(), CatalogError>) {
    loop {
        let seen = context.bell.count();
        let Err(error) = write() else { return };
        log::error!("the outcome of a job cannot be written down: {}", with_causes(&error));
        let passing = matches!(&error, CatalogError::Store(cause) if cause.is_passing());
        if !passing || context.cancel.is_cancelled() {
            return;
        }
        context.bell.wait_past(seen, POLL);
    }
}
