//! The rows of database servers: real ones, started for it, each on a private socket in a folder of its own.

mod mariadb;
mod postgresql;
mod redis;

use std::path::Path;

use super::table::{Figures, Table};
use super::{Outcome, Size};

/// Fills a server and lets everybody back it up.
type Rows = fn(&Path, &Size, &mut Table, &mut Figures) -> Outcome<()>;

/// Every part by its name on the command line.
pub(crate) const ALL: [(&str, Rows); 3] =
    [("postgresql", postgresql::rows), ("mariadb", mariadb::rows), ("redis", redis::rows)];
