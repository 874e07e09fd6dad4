//! The rules of schedules and retention, over simulated years and random histories.

mod consolidation;
mod drills;
mod health;
mod invariant;
mod oracle;
mod retention;
mod schedules;
mod targets;
mod world;
