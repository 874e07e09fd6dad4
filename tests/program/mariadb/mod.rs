//! Real MariaDB servers, backed up through the API, restored, started and compared, physically and by dumps, and
//! the failures on the way.

mod bank;
mod chains;
mod drills;
mod failures;
mod fixture;
mod interrupted;
mod loading;
mod logical;
mod outside;
mod restore_text;
mod secrets;
use crate::servers::mariadb as server;
mod survey;
