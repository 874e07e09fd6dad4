//! MariaDB servers backed up through the API, restored, started again and compared, physically and by dumps;
//! and everything that can go wrong with them.

#![cfg(test)]

#[path = "mariadb/amiss.rs"]
mod amiss;
#[path = "mariadb/bank.rs"]
mod bank;
#[path = "mariadb/chains.rs"]
mod chains;
#[path = "mariadb/drills.rs"]
mod drills;
#[path = "mariadb/house.rs"]
mod house;
#[path = "mariadb/logical.rs"]
mod logical;
#[path = "mariadb/midway.rs"]
mod midway;
#[path = "mariadb/secrets.rs"]
mod secrets;
#[path = "servers/mariadb.rs"]
mod server;
mod support;
#[path = "mariadb/words.rs"]
mod words;
