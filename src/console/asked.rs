//! A request of somebody who is signed in.

use std::sync::Arc;

use super::body::Fields;
use super::session::Session;
use super::state::Console;

pub(super) struct Asked {
    pub(super) console: Arc<Console>,
    pub(super) session: Session,
    pub(super) query: Fields,
    /// Whether the page may be compressed.
    pub(super) takes_gzip: bool,
}
