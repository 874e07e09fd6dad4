//! The policies of the instances, from the configuration; and the thread that follows them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::catalog::PolicySource;
use crate::config::{Config, InstanceConfig, PolicyConfig};
use crate::domain::InstanceId;
use crate::executor::{self, Context};
use crate::policy::{Policy, PolicyKeys};
use crate::scheduler::{Scheduler, SchedulerThread};

use super::keys;

/// What the configuration says of when instances are backed up, and what of them is kept.
#[derive(Debug)]
struct Configured {
    defaults: PolicyConfig,
    instances: HashMap<InstanceId, InstanceConfig>,
    /// Whether the archives are encrypted that this machine makes and none of its keys reads: then it cannot make a full backup
    /// of an incremental one.
    cannot_read: bool,
}

/// The policies that the configuration gives.
pub fn configured_policies(config: &Config) -> Arc<dyn PolicySource> {
    let instances = config.instances.iter().map(|it| (it.instance_id(), it.clone()));
    Arc::new(Configured {
        defaults: config.defaults.clone(),
        instances: instances.collect(),
        cannot_read: keys::cannot_read_archives(config),
    })
}

impl PolicySource for Configured {
    fn configured(&self) -> Vec<InstanceId> {
        self.instances.keys().copied().collect()
    }

    fn own_keys(&self, id: InstanceId) -> PolicyKeys {
        self.instances.get(&id).map(InstanceConfig::keys).unwrap_or_default()
    }

    fn policy(&self, id: InstanceId, set: &PolicyKeys) -> Result<Policy, String> {
        let mut policy = match self.instances.get(&id) {
            Some(instance) => instance.policy_with(set, &self.defaults)?,
            // One that a restore made.
            None => InstanceConfig::unknown(id).policy_with(set, &self.defaults)?,
        };
        if self.cannot_read {
            policy.keep = policy.keep.map(|it| it.consolidating(false));
        }
        Ok(policy)
    }
}

/// Starts the thread that begins what is due and deletes what is not kept.
pub(super) fn start(context: &Context) -> io::Result<SchedulerThread> {
    SchedulerThread::start(scheduler(context), Arc::clone(&context.bell))
}

/// What begins what is due and deletes what is not kept.
pub(super) fn scheduler(context: &Context) -> Scheduler {
    let (catalog, clock) = (Arc::clone(&context.catalog), Arc::clone(&context.clock));
    let asked = context.clone();
    let is_whole = move || executor::why_archives_missing(&asked).is_ok_and(|why| why.is_none());
    Scheduler::new(catalog, clock, Box::new(is_whole))
}
