//! Quotas: how many backups and restored instances a project may have.

use super::words::words;

words! {
    pub enum QuotaResource {
        /// Backups that are not FAILED.
        Backups = "backups",
        /// Instances made by restores.
        Instances = "instances",
    }
}

/// What a project may have, and has, of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectQuota {
    pub resource: QuotaResource,
    pub in_use: i64,
    /// How many there may be; -1: any number.
    pub limit: i64,
}
