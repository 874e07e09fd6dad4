//! Real PostgreSQL servers, backed up through the API, restored, started and drilled, and the failures on the
//! way.

mod bank;
mod drills;
mod failures;
mod fixture;
mod hostile;
mod incrementals;
mod left_out;
mod logical;
mod physical;
use crate::servers::postgres;
mod secrets;
