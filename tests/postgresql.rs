//! Real PostgreSQL servers, backed up through the API, restored, started and drilled, and the failures on the
//! way.

#![cfg(test)]

mod support;

#[path = "postgresql/bank.rs"]
mod bank;
#[path = "postgresql/drills.rs"]
mod drills;
#[path = "postgresql/failures.rs"]
mod failures;
#[path = "postgresql/fixture.rs"]
mod fixture;
#[path = "postgresql/hostile.rs"]
mod hostile;
#[path = "postgresql/incrementals.rs"]
mod incrementals;
#[path = "postgresql/left_out.rs"]
mod left_out;
#[path = "postgresql/logical.rs"]
mod logical;
#[path = "postgresql/physical.rs"]
mod physical;
#[path = "servers/postgres.rs"]
mod postgres;
#[path = "postgresql/secrets.rs"]
mod secrets;
