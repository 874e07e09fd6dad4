//! The rows of database servers. Each is started for the bench, on a private socket in a folder of its own.

pub(crate) mod mariadb;
pub(crate) mod postgresql;
pub(crate) mod redis;
