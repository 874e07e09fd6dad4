//! Keys of a policy that were set elsewhere than in the configuration.

use std::path::Path;

use crate::domain::InstanceId;
use crate::policy::{Policy, PolicyKeys};

use super::policy::wrong_keys;
use super::{InstanceConfig, PolicyConfig};

impl InstanceConfig {
    /// An instance of which the configuration says nothing.
    pub fn unknown(id: InstanceId) -> Self {
        Self { id: Some(id), ..Self::own_catalog(Path::new("/")) }
    }

    /// What the configuration says of the instance itself of when it is backed up and what is kept.
    pub fn keys(&self) -> PolicyKeys {
        PolicyKeys {
            schedule: self.schedule.clone(),
            timezone: self.timezone.clone(),
            jitter: self.jitter.clone(),
            window: self.window.clone(),
            full_every: self.full_every.clone(),
            retries: self.retries,
            keep: self.keep.clone(),
        }
    }

    /// The policy of the instance where these keys were set besides, or what is wrong with them. What the configuration
    /// says of the instance itself wins over them, and they over the defaults.
    pub fn policy_with(&self, set: &PolicyKeys, defaults: &PolicyConfig) -> Result<Policy, String> {
        let keys = self.keys().over(set.clone());
        let both = Self {
            schedule: keys.schedule,
            timezone: keys.timezone,
            jitter: keys.jitter,
            window: keys.window,
            full_every: keys.full_every,
            retries: keys.retries,
            keep: keys.keep,
            ..self.clone()
        };
        let wrong = wrong_keys(&both, defaults);
        if wrong.is_empty() {
            return Ok(both.policy(defaults));
        }
        let wrong: Vec<_> = wrong.into_iter().map(|(key, why)| format!("{key} {why}")).collect();
        Err(wrong.join("; "))
    }
}
