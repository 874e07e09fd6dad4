//! From when on something is called wrong, as the configuration says it: `health`.

use serde::{Deserialize, Serialize};

use crate::policy::{HealthLimits, Span};

use super::keep::{Wrong, optional, read};

/// The limits. What an instance does not say, `[defaults.health]` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct HealthConfig {
    pub grace: Option<String>,
    pub max_age: Option<String>,
    pub proof_max_age: Option<String>,
    pub smaller_percent: Option<u32>,
    pub slower_times: Option<u32>,
    pub rows_percent: Option<u32>,
    pub copies_within: Option<String>,
}

impl HealthConfig {
    /// These defaults with what an instance says itself.
    pub(super) fn with(&self, own: Option<&Self>) -> Self {
        let Some(own) = own else { return self.clone() };
        let text = |own: &Option<String>, default: &Option<String>| {
            own.clone().or_else(|| default.clone())
        };
        Self {
            grace: text(&own.grace, &self.grace),
            max_age: text(&own.max_age, &self.max_age),
            proof_max_age: text(&own.proof_max_age, &self.proof_max_age),
            smaller_percent: own.smaller_percent.or(self.smaller_percent),
            slower_times: own.slower_times.or(self.slower_times),
            rows_percent: own.rows_percent.or(self.rows_percent),
            copies_within: text(&own.copies_within, &self.copies_within),
        }
    }

    pub(super) fn limits(&self) -> Result<HealthLimits, Wrong> {
        let wrong = |key: &str, why: String| (format!("health.{key}"), why);
        let span = |key: &str, text: &Option<String>| {
            optional::<Span>(text.as_deref().unwrap_or_default()).map_err(|why| wrong(key, why))
        };
        let default = HealthLimits::default();
        let grace = self.grace.as_deref().map(read::<Span>).transpose();
        let copies = self.copies_within.as_deref().map(read::<Span>).transpose();
        let percents =
            [("smaller_percent", self.smaller_percent), ("rows_percent", self.rows_percent)];
        for (key, percent) in percents {
            if let Some(percent) = percent.filter(|it| *it > 100) {
                return Err(wrong(key, format!("is {percent}; it must be from 0 to 100")));
            }
        }
        Ok(HealthLimits {
            grace: grace.map_err(|why| wrong("grace", why))?.unwrap_or(default.grace),
            max_age: span("max_age", &self.max_age)?,
            proof_max_age: span("proof_max_age", &self.proof_max_age)?,
            smaller_percent: self.smaller_percent.unwrap_or(default.smaller_percent),
            slower_times: self.slower_times.unwrap_or(default.slower_times),
            rows_percent: self.rows_percent.unwrap_or(default.rows_percent),
            copies_within: copies
                .map_err(|why| wrong("copies_within", why))?
                .unwrap_or(default.copies_within),
        })
    }
}
