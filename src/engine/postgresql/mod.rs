//! PostgreSQL servers, read live with PostgreSQL's own tools.
//!
//! Physical: `pg_basebackup`, its tar streams taken apart, so that each file of the data directory is a
//! member of the archive and its pages keep their places. Logical: a dump of each database. Either way a
//! restore gives a data directory, `pgdata`, that a server starts on; dumps go into a running server too.

mod cluster;
mod count;
mod drill;
mod faults;
mod fill;
mod hints;
mod load;
mod logical;
mod login;
mod look;
mod manifest;
mod members;
mod options;
mod physical;
mod private;
mod rights;
mod roles;
mod session;
#[cfg(test)]
mod tests;
mod toolbox;

use std::path::{Path, PathBuf};

use self::options::{ENGINE, Method, Options};
use self::session::Session;
use super::file_name::plain_name;
use super::{
    DrillOrder, DrillReport, DumpFacts, DumpOrder, Engine, EngineError, Intake, Load, LoadOrder,
    Probe, source_path,
};
use crate::domain::Source;

/// The engine for PostgreSQL servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Postgresql;

impl Engine for Postgresql {
    fn name(&self) -> &'static str {
        ENGINE
    }

    /// Only the server could tell.
    fn version(&self, _source: &Source) -> String {
        "unknown".to_owned()
    }

    fn accept(&self, source: &Source) -> Result<(), EngineError> {
        Options::parse(source).map(drop)
    }

    fn probe(&self, source: &Source) -> Result<Probe, EngineError> {
        rights::probe(source)
    }

    /// PostgreSQL's page size, unless somebody built it otherwise; a comparison at 8 KiB serves those too.
    fn page_bytes(&self) -> u32 {
        8192
    }

    fn gives_in_order(&self) -> bool {
        false
    }

    fn dump(
        &self,
        order: &DumpOrder<'_>,
        intake: &mut dyn Intake,
    ) -> Result<DumpFacts, EngineError> {
        let session = Session::with(order.source)?;
        match session.options.method {
            Method::Physical => physical::dump(&session, order, intake),
            Method::Logical => logical::dump(&session, order, intake),
        }
    }

    fn load(&self, order: &LoadOrder<'_>) -> Result<Box<dyn Load>, EngineError> {
        Ok(Box::new(load::ClusterLoad::prepare(order)?))
    }

    fn drill(&self, order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
        drill::drill(order)
    }

    fn source_of(&self, target: &Path) -> Source {
        source_path::source_at(target)
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        let name = plain_name(instance_name);
        PathBuf::from(if name.chars().all(|it| it == '.') { "postgresql".to_owned() } else { name })
    }

    fn restore_hints(&self, _instance_name: &str, source: &Source) -> Vec<String> {
        hints::after_unpacking(source)
    }

    fn next_steps(&self, target: &Path) -> Vec<String> {
        hints::next_steps(target)
    }

    fn asks_a_server(&self) -> bool {
        true
    }
}
