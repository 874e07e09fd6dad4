//! Real PostgreSQL servers, backed up through the API, restored, started and drilled, and the failures on the
//! way.

mod bank;
mod drills;
mod extensions;
mod failures;
mod fixture;
mod hostile;
mod incrementals;
mod left_out;
mod locales;
mod logical;
mod physical;
mod rows_first;
mod secrets;
mod staging;
mod survey;

use crate::servers::postgres;
