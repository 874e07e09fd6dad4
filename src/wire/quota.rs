//! Quotas and limits: what a project may have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a project may have of one resource, and has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUsage {
    /// How many it has.
    pub in_use: i64,
    /// How many it may have; -1 for any number.
    pub limit: i64,
    /// Always 0.
    pub reserved: u64,
    /// Of what.
    pub resource: String,
}

/// How many a project may have; -1 for any number. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaLimits {
    /// Backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = -1, maximum = 2_147_483_647)]
    pub backups: Option<i64>,
    /// Instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = -1, maximum = 2_147_483_647)]
    pub instances: Option<i64>,
    /// Anything else: `ram` and `volumes` can only be -1.
    #[serde(flatten)]
    #[schema(ignore)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// One kind of limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum LimitRow {
    /// What the project may have.
    Absolute(AbsoluteLimits),
    /// How often it may ask.
    Rate(RateLimit),
}

/// How many a project may have; -1 for any number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AbsoluteLimits {
    /// Backups.
    pub max_backups: i64,
    /// Instances.
    pub max_instances: i64,
    /// Always -1.
    pub max_ram: i64,
    /// Always -1.
    pub max_volumes: i64,
    /// Always `ABSOLUTE`.
    pub verb: String,
}

/// How often a project may use a method: always without limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateLimit {
    /// When the next request may come.
    #[serde(rename = "nextAvailable")]
    pub next_available: String,
    /// Always `.*`.
    pub regex: String,
    /// Always -1.
    pub remaining: i64,
    /// Always `MINUTE`.
    pub unit: String,
    /// Always `*`.
    pub uri: String,
    /// Always -1.
    pub value: i64,
    /// The method.
    pub verb: String,
}
