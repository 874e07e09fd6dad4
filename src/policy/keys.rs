//! When an instance is backed up and what is kept, as people write it: the same keys in the configuration and in the
//! API. What a key that is not there means, something else says.

use serde::{Deserialize, Serialize};

/// The keys of a policy. An empty text is a value, too: no schedule, no window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct PolicyKeys {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepKeys>,
}

/// What is kept. A number of 0 is no rule, and neither is an empty text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct KeepKeys {
    pub last: u32,
    pub hourly: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
    pub min_age: String,
    pub max_size: String,
}

impl KeepKeys {
    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        counts == [0; 6] && self.min_age.is_empty() && self.max_size.is_empty()
    }
}

impl PolicyKeys {
    /// The names of the keys that are there.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            ("schedule", self.schedule.is_some()),
            ("timezone", self.timezone.is_some()),
            ("jitter", self.jitter.is_some()),
            ("window", self.window.is_some()),
            ("full_every", self.full_every.is_some()),
            ("retries", self.retries.is_some()),
            ("keep", self.keep.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }

    /// These keys, and those of `others` that are not among them.
    #[must_use]
    pub fn over(self, others: Self) -> Self {
        Self {
            schedule: self.schedule.or(others.schedule),
            timezone: self.timezone.or(others.timezone),
            jitter: self.jitter.or(others.jitter),
            window: self.window.or(others.window),
            full_every: self.full_every.or(others.full_every),
            retries: self.retries.or(others.retries),
            keep: self.keep.or(others.keep),
        }
    }
}
