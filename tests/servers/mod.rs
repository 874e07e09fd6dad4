//! Database servers that tests start for themselves.

pub(crate) mod mariadb;
pub(crate) mod postgres;
pub(crate) mod redis;
