//! PostgreSQL servers, live: backed up through the API, restored, started again, drilled; and every way in
//! which that can go wrong. The servers are real and the tests' own.

#![cfg(test)]

mod support;

#[path = "postgresql/bank.rs"]
mod bank;
#[path = "postgresql/drills.rs"]
mod drills;
#[path = "postgresql/failures.rs"]
mod failures;
#[path = "postgresql/house.rs"]
mod house;
#[path = "postgresql/incrementals.rs"]
mod incrementals;
#[path = "postgresql/logical.rs"]
mod logical;
#[path = "servers/postgres.rs"]
mod postgres;
#[path = "postgresql/secrets.rs"]
mod secrets;
#[path = "postgresql/whole.rs"]
mod whole;
