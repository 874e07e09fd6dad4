//! MariaDB and MySQL servers, read with their own tools.
//!
//! Physical (MariaDB only): `mariadb-backup` copies the data directory of the running server into a staging folder
//! and prepares it there; the archive holds a data directory that starts. Logical: a dump of each database, and
//! the accounts. Passwords are passed to the tools in a file that is only in memory.

mod accounts;
mod advice;
mod brand;
mod client;
mod copied_settings;
mod data_files;
mod database_file;
mod drill;
mod dumps;
mod facts;
mod far_files;
mod faults;
mod floats;
mod left_out;
mod limits;
mod load;
mod load_directory;
mod load_server;
mod logical;
mod login;
mod mbstream;
mod nested_views;
mod options;
mod owned;
mod partition_engine;
mod physical;
mod private_server;
mod probe;
mod programs;
mod restore_text;
mod rights;
mod script;
mod sections;
mod sequences;
mod server_objects;
mod tables;

use std::path::{Path, PathBuf};
use std::time::Instant;

pub(super) use self::brand::Brand;
use self::options::{Method, Options};
use super::file_name::folder_name;
use super::source_path::invalid;
use super::{
    DrillReport, DrillRequest, DumpFacts, DumpRequest, Engine, Intake, Load, LoadRequest, Probe,
    Result, server_end,
};
use crate::domain::Source;

impl Engine for Brand {
    fn name(&self) -> &'static str {
        self.kind().engine
    }

    fn check_source(&self, source: &Source) -> Result<()> {
        self.kind().check_source(source)
    }

    fn probe(&self, source: &Source) -> Result<Probe> {
        probe::probe(&Options::parse(*self, source)?)
    }

    /// InnoDB's default page size.
    fn page_bytes(&self) -> u32 {
        16 << 10
    }

    fn dump(&self, request: &DumpRequest<'_>, intake: &mut dyn Intake) -> Result<DumpFacts> {
        let options = Options::parse(*self, request.source)?;
        let (client, facts) = probe::connect(&options, request.cancel)?;
        let asked = Instant::now();
        let server = (&client, &facts);
        let dumped = match options.server.method {
            Method::Physical => physical::dump(&options, server, request, intake),
            Method::Logical => logical::dump(&options, server, request, intake),
        };
        dumped.map_err(|error| {
            let is_same = || facts.are_of_same_start(&client, asked);
            server_end::explain(error, &options.shown(), is_same)
        })
    }

    fn load(&self, request: &LoadRequest<'_>) -> Result<Box<dyn Load>> {
        Ok(Box::new(load::AnyLoad::prepare(*self, request)?))
    }

    /// Always refused. No statement gives a database another name, and tables with triggers are not moved into another
    /// one: what is there would be gone, or half there, while the new one is loaded.
    fn check_refresh(&self, _source: &Source, _server: &Source, _database: &str) -> Result<()> {
        Err(invalid(format!(
            "staging.server: a server of {} can give no database another name, so what is there could not stay until the \
             new one is complete; name a path in staging.to, which becomes a data directory for a server of its own",
            self.name()
        )))
    }

    fn drill(&self, request: &DrillRequest<'_>) -> Result<DrillReport> {
        drill::drill(*self, request)
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        folder_name(instance_name, "data").into()
    }

    fn restore_hints(&self, _instance_name: &str, source: &Source) -> Vec<String> {
        restore_text::after_unpacking(*self, source)
    }

    fn next_steps(&self, target: &Path) -> Vec<String> {
        restore_text::next_steps(target)
    }

    fn reads_server(&self) -> bool {
        true
    }
}
