//! When backups are made and what is kept, as the configuration says it: `[defaults]`, and the same keys of an
//! instance.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::InstanceId;
use crate::policy::{
    DrillEvery, DrillLimits, DrillPlan, FullEvery, Policy, Schedule, Span, Timetable, Window,
};

use super::keep::{Wrong, optional, read};
use super::{HealthConfig, InstanceConfig, KeepConfig};

/// The word for the time zone of the machine.
const SYSTEM_ZONE: &str = "system";

/// `[defaults]`: what holds for each instance that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct PolicyConfig {
    pub schedule: String,
    pub timezone: String,
    pub jitter: String,
    pub window: String,
    pub full_every: String,
    pub retries: u32,
    pub consolidate: bool,
    pub copies: Vec<String>,
    pub keep: KeepConfig,
    pub drill: String,
    pub alerts: Vec<String>,
    pub reminder: String,
    pub health: HealthConfig,
}

impl PolicyConfig {
    /// These defaults with what the instance says itself.
    fn with(&self, own: &InstanceConfig) -> Self {
        let or = |own: &Option<String>, default: &String| own.as_ref().unwrap_or(default).clone();
        Self {
            schedule: or(&own.schedule, &self.schedule),
            timezone: or(&own.timezone, &self.timezone),
            jitter: or(&own.jitter, &self.jitter),
            window: or(&own.window, &self.window),
            full_every: or(&own.full_every, &self.full_every),
            retries: own.retries.unwrap_or(self.retries),
            consolidate: own.consolidate.unwrap_or(self.consolidate),
            copies: own.copies(self).to_vec(),
            keep: own.keep.as_ref().unwrap_or(&self.keep).clone(),
            drill: or(&own.drill, &self.drill),
            alerts: own.alerts.as_ref().unwrap_or(&self.alerts).clone(),
            reminder: or(&own.reminder, &self.reminder),
            health: self.health.with(own.health.as_ref()),
        }
    }

    fn policy(&self, instance: InstanceId) -> Result<Policy, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let zone = note("timezone", self.zone(), &mut wrong);
        let schedule = note("schedule", optional::<Schedule>(&self.schedule), &mut wrong).flatten();
        let jitter = note("jitter", read::<Span>(&self.jitter), &mut wrong);
        let window = note("window", optional::<Window>(&self.window), &mut wrong);
        let full_every = note("full_every", read::<FullEvery>(&self.full_every), &mut wrong);
        let drill = note("drill", optional::<DrillEvery>(&self.drill), &mut wrong).flatten();
        let keep = self.keep.policy().map_err(|error| wrong.push(error)).ok();
        let health = self.health.limits().map_err(|error| wrong.push(error)).ok();
        if jitter.is_some_and(|it| it.duration().as_secs() > 24 * 3600) {
            wrong.push(("jitter".to_owned(), "is longer than a day".to_owned()));
        }
        if self.retries > 100 {
            let why = format!("is {}; it must be from 0 to 100", self.retries);
            wrong.push(("retries".to_owned(), why));
        }
        let parts = (zone, jitter, window, full_every, keep.zip(health));
        let (Some(zone), Some(jitter), Some(window), Some(full_every), Some((keep, health))) =
            parts
        else {
            return Err(wrong);
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let (retries, consolidate) = (self.retries, self.consolidate);
        let keep = keep.lets_go().then_some(keep.consolidating(consolidate));
        let timetable = schedule.map(|schedule| Timetable {
            schedule,
            zone: zone.clone(),
            jitter,
            window,
            full_every,
            retries,
        });
        let limits = DrillLimits { zone: zone.clone(), window, jitter, retries };
        let drill = drill.map(|every| DrillPlan::new(every, instance, &limits));
        Ok(Policy { zone, timetable, keep, drill, staging: None, health })
    }

    pub fn zone_or_utc(&self) -> TimeZone {
        self.zone().unwrap_or(TimeZone::UTC)
    }

    fn zone(&self) -> Result<TimeZone, String> {
        let name = self.timezone.as_str();
        if name == SYSTEM_ZONE {
            return Ok(TimeZone::system());
        }
        TimeZone::get(name).map_err(|_unknown| {
            format!(
                "is {name:?}; use a name such as \"Europe/Berlin\", \"UTC\" or \"{SYSTEM_ZONE}\""
            )
        })
    }
}

impl InstanceConfig {
    /// When it is backed up and what is kept, where a loaded configuration has these defaults.
    pub fn policy(&self, defaults: &PolicyConfig) -> Policy {
        let policy = defaults.with(self).policy(self.instance_id());
        let mut policy = policy.expect("a loaded configuration was checked");
        let retries = self.retries.unwrap_or(defaults.retries);
        let staging = self.staging.as_ref().map(|it| it.plan(&policy.zone, retries));
        policy.staging = staging.map(|plan| plan.expect("a loaded configuration was checked"));
        policy
    }

    /// The places that its backups are copied to, by name.
    pub fn copies<'a>(&'a self, defaults: &'a PolicyConfig) -> &'a [String] {
        self.copies.as_ref().unwrap_or(&defaults.copies)
    }

    /// Whether the instance says this itself.
    fn says(&self, key: &str) -> bool {
        match key.split('.').next().unwrap_or(key) {
            "schedule" => self.schedule.is_some(),
            "timezone" => self.timezone.is_some(),
            "jitter" => self.jitter.is_some(),
            "window" => self.window.is_some(),
            "full_every" => self.full_every.is_some(),
            "retries" => self.retries.is_some(),
            "drill" => self.drill.is_some(),
            "consolidate" => self.consolidate.is_some(),
            "health" => self.health.is_some(),
            _ => self.keep.is_some(),
        }
    }
}

/// What is wrong with the defaults.
pub(super) fn wrong_defaults(defaults: &PolicyConfig) -> Vec<Wrong> {
    // Whether they are right does not depend on the instance.
    defaults.policy(InstanceId::generate()).err().unwrap_or_default()
}

/// What is wrong with what an instance says itself.
pub(super) fn wrong_keys(own: &InstanceConfig, defaults: &PolicyConfig) -> Vec<Wrong> {
    let mut wrong = defaults.with(own).policy(own.instance_id()).err().unwrap_or_default();
    wrong.retain(|(key, _)| own.says(key));
    let staging = own.staging.as_ref().map(|it| it.plan(&TimeZone::UTC, 0));
    wrong.extend(staging.and_then(Result::err));
    wrong
}

/// What was read, or nothing and a note of what is wrong.
fn note<T>(key: &str, read: Result<T, String>, wrong: &mut Vec<Wrong>) -> Option<T> {
    read.map_err(|why| wrong.push((key.to_owned(), why))).ok()
}
