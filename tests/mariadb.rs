//! Real MariaDB servers, backed up through the API, restored, started and compared, physically and by dumps, and
//! the failures on the way.

#![cfg(test)]

#[path = "mariadb/bank.rs"]
mod bank;
#[path = "mariadb/chains.rs"]
mod chains;
#[path = "mariadb/drills.rs"]
mod drills;
#[path = "mariadb/failures.rs"]
mod failures;
#[path = "mariadb/fixture.rs"]
mod fixture;
#[path = "mariadb/interrupted.rs"]
mod interrupted;
#[path = "mariadb/loading.rs"]
mod loading;
#[path = "mariadb/logical.rs"]
mod logical;
#[path = "mariadb/outside.rs"]
mod outside;
#[path = "mariadb/restore_text.rs"]
mod restore_text;
#[path = "mariadb/secrets.rs"]
mod secrets;
#[path = "servers/mariadb.rs"]
mod server;
mod support;
#[path = "mariadb/survey.rs"]
mod survey;
