//! PostgreSQL servers, read live with PostgreSQL's own tools.
//!
//! Physical: the tar streams of `pg_basebackup` are taken apart, so that each file of the data directory is a
//! member of the archive. Logical: a dump of each database. A restore of either makes a data directory,
//! `pgdata`, on which a server starts; dumps can also be restored into a running server.

mod access;
mod client;
mod cluster;
mod drill;
mod dump_loader;
mod extension_changes;
mod extensions;
mod faults;
mod load;
mod locale_provider;
mod logical;
mod login;
mod manifest;
mod members;
mod new_cluster;
mod options;
mod other_database;
mod physical;
mod private_server;
mod private_settings;
mod probe;
mod programs;
mod refresh;
mod refused;
mod restore_text;
mod roles;
mod row_counts;
mod rows_first;
mod second_try;
mod server_info;
mod server_objects;
mod session;
mod settings;
mod unseen;
mod verdict;

use std::path::{Path, PathBuf};

use self::options::{KIND, Method};
use self::session::Session;
use super::file_name::folder_name;
use super::{
    DrillReport, DrillRequest, DumpFacts, DumpRequest, Engine, Intake, Load, LoadRequest, Probe,
    Result, server_end,
};
use crate::domain::Source;

#[derive(Debug, Clone, Copy)]
pub(super) struct Postgresql;

impl Engine for Postgresql {
    fn name(&self) -> &'static str {
        KIND.engine
    }

    fn check_source(&self, source: &Source) -> Result<()> {
        KIND.check_source(source)
    }

    fn probe(&self, source: &Source) -> Result<Probe> {
        probe::probe(source)
    }

    /// PostgreSQL's default page size. Comparing 8 KiB at a time works for other sizes too.
    fn page_bytes(&self) -> u32 {
        8192
    }

    fn dumps_in_order(&self) -> bool {
        false
    }

    fn dump(&self, request: &DumpRequest<'_>, intake: &mut dyn Intake) -> Result<DumpFacts> {
        let (session, info) = Session::connect(request.source, request.cancel)?;
        let dumped = match session.server.method {
            Method::Physical => physical::dump(&session, &info, request, intake),
            Method::Logical => logical::dump(&session, &info, request, intake),
        };
        let (client, shown) = (&session.client, session.server.shown());
        dumped.map_err(|error| server_end::explain(error, &shown, || info.is_of_same_start(client)))
    }

    fn load(&self, request: &LoadRequest<'_>) -> Result<Box<dyn Load>> {
        Ok(Box::new(load::ClusterLoad::prepare(request)?))
    }

    fn drill(&self, request: &DrillRequest<'_>) -> Result<DrillReport> {
        drill::drill(request)
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        folder_name(instance_name, "postgresql").into()
    }

    fn restore_hints(&self, _instance_name: &str, source: &Source) -> Vec<String> {
        restore_text::after_unpacking(source)
    }

    fn next_steps(&self, target: &Path) -> Vec<String> {
        restore_text::next_steps(target)
    }

    fn check_refresh(&self, source: &Source, server: &Source, database: &str) -> Result<()> {
        refresh::check(source, server, database)
    }

    fn probe_refresh(&self, source: &Source, server: &Source, database: &str) -> Result<String> {
        refresh::check(source, server, database)?;
        refresh::probe(server, database)
    }

    fn reads_server(&self) -> bool {
        true
    }
}
