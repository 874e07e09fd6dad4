//! Engines. Each runs the suite in `conformance`, and tests what it promises besides.

mod conformance;
mod directory;
mod mariadb;
mod messages;
mod postgresql;
mod redis;
mod sources;
mod sqlite;
