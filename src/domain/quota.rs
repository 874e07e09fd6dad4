//! Quotas: how many backups and restored instances a project may have.

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaResource {
    /// Backups that are not FAILED.
    Backups,
    /// Instances made by restores.
    Instances,
}

impl QuotaResource {
    /// The word on the wire and in the catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backups => "backups",
            Self::Instances => "instances",
        }
    }
}

/// What a project may have, and has, of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectQuota {
    /// Of what.
    pub resource: QuotaResource,
    /// How many there are.
    pub in_use: i64,
    /// How many there may be; -1: any number.
    pub limit: i64,
}
