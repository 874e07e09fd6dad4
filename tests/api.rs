//! The API over a real catalog, without a network.

#![cfg(test)]

#[path = "api/actions.rs"]
mod actions;
#[path = "api/alerts.rs"]
mod alerts;
#[path = "api/archive.rs"]
mod archive;
#[path = "api/bad_input.rs"]
mod bad_input;
#[path = "api/bodies.rs"]
mod bodies;
#[path = "api/console/mod.rs"]
mod console;
#[path = "api/events.rs"]
mod events;
#[path = "api/health.rs"]
mod health;
#[path = "api/http.rs"]
mod http;
#[path = "api/identity.rs"]
mod identity;
#[path = "api/isolation.rs"]
mod isolation;
#[path = "api/keystone.rs"]
mod keystone;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/paging.rs"]
mod paging;
#[path = "receivers/mod.rs"]
mod receivers;
#[path = "api/refusals.rs"]
mod refusals;
#[path = "api/restore.rs"]
mod restore;
#[path = "api/retention.rs"]
mod retention;
#[path = "api/schedules.rs"]
mod schedules;
#[path = "api/support/mod.rs"]
mod support;
#[path = "api/trove_contract.rs"]
mod trove_contract;
#[path = "api/wire.rs"]
mod wire;
