//! Servers that tests start for themselves.

pub(crate) mod mariadb;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod swift;
