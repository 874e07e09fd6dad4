//! The policies of the instances, from the configuration; and the thread that follows them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::config::Config;
use crate::domain::InstanceId;
use crate::executor::{self, Context};
use crate::policy::Policy;
use crate::scheduler::{Scheduler, SchedulerThread};

/// When each instance is backed up, and what of it is kept.
pub(super) fn of(config: &Config) -> HashMap<InstanceId, Policy> {
    let policies =
        config.instances.iter().map(|it| (it.instance_id(), it.policy(&config.defaults)));
    policies.collect()
}

/// Starts the thread that begins what is due and deletes what is not kept.
pub(super) fn start(context: &Context) -> io::Result<SchedulerThread> {
    let (catalog, clock) = (Arc::clone(&context.catalog), Arc::clone(&context.clock));
    let (asked, bell) = (context.clone(), Arc::clone(&context.bell));
    let is_whole = move || executor::why_archives_missing(&asked).is_ok_and(|why| why.is_none());
    SchedulerThread::start(Scheduler::new(catalog, clock, Box::new(is_whole)), bell)
}
