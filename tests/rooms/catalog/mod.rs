//! The catalog: its rules, its queue, and what is kept of every attempt.

mod consolidations;
mod copies;
mod create;
mod delete;
mod drills;
mod events;
pub(crate) mod fixture;
mod fleet;
mod instances;
mod known_facts;
mod lists;
mod places;
mod policies;
mod queue;
mod races;
mod recovery;
mod runs;
mod scrub;
mod totals;
mod verifications;

use std::sync::Arc;

use coffer::bell::Bell;
use coffer::catalog::*;
use coffer::domain::*;
