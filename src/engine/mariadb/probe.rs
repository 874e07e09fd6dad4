//! A look at a server: would a backup work?

use super::client::Client;
use super::facts::{Facts, databases, table_bytes};
use super::options::{Method, Options};
use super::programs::{Maker, maker, series, version_text};
use super::{Brand, rights, room};
use crate::domain::{Cancel, FailureCode};
use crate::engine::server_source::Address;
use crate::engine::source_path::invalid;
use crate::engine::{EngineError, Probe};

/// What a backup begins with.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) client: Client,
    pub(super) facts: Facts,
}

/// Looks for the tools, asks the server, and compares what both can with what the backup needs.
pub(super) fn reach(options: &Options, cancel: &Cancel) -> Result<Reached, EngineError> {
    let client = Client::of(options, cancel)?;
    let facts = Facts::ask(&client, options, cancel)?;
    match options.method {
        Method::Physical => {
            fits(options, &facts, cancel)?;
            is_here(options, &facts)?;
        }
        Method::Logical => drop(options.programs().dumper()?),
    }
    rights::check(options, &facts)?;
    Ok(Reached { client, facts })
}

/// Looks at everything and copies nothing.
pub(super) fn probe(options: &Options) -> Result<Probe, EngineError> {
    let cancel = Cancel::default();
    let Reached { client, facts } = reach(options, &cancel)?;
    let mut notes = vec![format!("server: {} ({})", facts.version, facts.comment)];
    let source_bytes = match options.method {
        Method::Physical => {
            notes.push(format!("data directory: {}", facts.datadir.display()));
            notes.push("a backup needs as much room again while it is prepared".to_owned());
            if let Err(error) = options.programs().server() {
                notes.push(format!("drills will not work: {error}"));
            }
            room::data_bytes(options, &facts)?
        }
        Method::Logical => {
            let names = databases(&client, options, &cancel)?;
            notes.push(format!("databases: {}", names.len()));
            if client.maker == Maker::MariaDb && !facts.is_mariadb() {
                notes.push("the tools are MariaDB's and the server is MySQL".to_owned());
            }
            table_bytes(&client, options, &cancel)?
        }
    };
    Ok(Probe { version: facts.version, source_bytes, notes })
}

/// `mariadb-backup` reads files whose form changes from one release series to the next.
fn fits(options: &Options, facts: &Facts, cancel: &Cancel) -> Result<(), EngineError> {
    if !facts.is_mariadb() {
        return Err(invalid(format!(
            "{} is {} and not MariaDB: set engine = \"{}\"",
            options.shown(),
            facts.version,
            Brand::MySql.engine()
        )));
    }
    let program = options.programs().backup()?;
    let version = version_text(&program, cancel)?;
    let (of_tool, of_server) = (series(&version), series(&facts.version));
    if maker(&version) == Maker::MariaDb && of_tool == of_server {
        return Ok(());
    }
    let series = of_server.map_or_else(String::new, |(major, minor)| format!(" {major}.{minor}"));
    Err(EngineError::known(
        FailureCode::Tool,
        format!(
            "{} is {version:?} and does not fit {}, which is {}: install the package mariadb-backup of \
             MariaDB{series}, or name the folder of a fitting one as source.tools",
            program.display(),
            options.shown(),
            facts.version
        ),
    ))
}

/// A server on another machine may have its data in a folder that is here as well, and be a different one.
fn is_here(options: &Options, facts: &Facts) -> Result<(), EngineError> {
    let Address::Tcp { host, .. } = &options.server.address else { return Ok(()) };
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) || facts.hostname == here {
        return Ok(());
    }
    Err(invalid(format!(
        "{} runs on {} and Coffer on {here}: mariadb-backup copies the files itself and so runs on the \
         server's own machine; for a server elsewhere set method = \"logical\"",
        options.shown(),
        facts.hostname
    )))
}
