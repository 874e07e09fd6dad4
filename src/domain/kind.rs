//! Full and incremental backups.

use super::words::words;

words! {
    /// Whether a backup can be restored alone.
    pub enum Kind {
        /// Restorable from its own archive.
        Full = "full",
        /// Restorable together with the archives it is built on.
        Incremental = "incremental",
    }
}
