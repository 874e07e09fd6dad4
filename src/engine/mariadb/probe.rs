//! Checks whether a backup of this server would work, without making one.

use super::client::Client;
use super::facts::{Facts, databases, table_bytes};
use super::left_out::{Inventory, not_copied, settings_files};
use super::options::{Method, Options};
use super::programs::{Maker, maker, series, version_text};
use super::{Brand, data_files, far_files, floats, limits, rights};
use crate::domain::{Cancel, FailureCode, LeftOut};
use crate::engine::server_source::Address;
use crate::engine::source_path::invalid;
use crate::engine::{EngineError, Probe, Result, Staging};

/// How many things that a backup leaves out are noted.
const MAX_NOTES: usize = 20;

/// Finds the tools, asks the server, and checks that a backup of it is possible.
pub(super) fn connect(options: &Options, cancel: &Cancel) -> Result<(Client, Facts)> {
    let client = Client::new(options, cancel)?;
    let facts = Facts::query(&client, options)?;
    match options.server.method {
        Method::Physical => {
            check_version(options, &facts, cancel)?;
            check_same_machine(options, &facts)?;
        }
        Method::Logical => drop(options.programs().dumper()?),
    }
    rights::check(options, &facts)?;
    limits::check(&client, options)?;
    Ok((client, facts))
}

pub(super) fn probe(options: &Options) -> Result<Probe> {
    let (client, facts) = connect(options, &Cancel::default())?;
    let mut notes = vec![format!("server: {} ({})", facts.version, facts.comment)];
    let mut left_out: Vec<LeftOut> = settings_files(&client, &facts)?.into_iter().collect();
    let mut staging = None;
    let source_bytes = match options.server.method {
        Method::Physical => {
            notes.push(format!("data directory: {}", facts.datadir.display()));
            notes.push("while a backup is prepared, it needs as much space again".to_owned());
            left_out.extend(far_files::foretold(&facts.datadir)?);
            left_out.extend(not_copied(&client)?);
            left_out.extend(keys(&client)?);
            if let Err(error) = options.programs().server() {
                notes.push(format!("drills are not possible here: {error}"));
            }
            let bytes = data_files::data_bytes(options, &facts)?;
            let copied = facts.staging_bytes(bytes);
            staging = Some(Staging { bytes: copied, instead: "set method = \"logical\"" });
            bytes
        }
        Method::Logical => {
            let names = databases(&client, options)?;
            notes.push(format!("databases: {}", names.len()));
            left_out.extend(Inventory::query(&client, &facts, options)?.left_out);
            left_out.extend(floats::rounded(&client, &facts, options, floats::Rows::Few)?);
            if client.maker == Maker::MariaDb && !facts.is_mariadb() {
                notes.push("the tools are MariaDB's, but the server is MySQL".to_owned());
            }
            table_bytes(&client, options)?
        }
    };
    let left_out = Probe::lines_of(&LeftOut::first(left_out, MAX_NOTES));
    let version = facts.version;
    Ok(Probe { version, source_bytes, staging, notes, left_out, ..Probe::default() })
}

/// The keys of encrypted tables, which no copy holds.
fn keys(client: &Client) -> Result<Option<LeftOut>> {
    let plugins = client.query(
        "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'ENCRYPTION' \
         AND PLUGIN_STATUS = 'ACTIVE'",
    )?;
    let plugin = plugins.into_iter().flatten().next();
    Ok(plugin.map(|it| {
        let why =
            format!("{it} reads them from outside of the data directory: keep a copy of them");
        LeftOut::new("the keys of encrypted tables", why)
    }))
}

/// `mariadb-backup` must be of the server's release series: the format of its files differs between them.
fn check_version(options: &Options, facts: &Facts, cancel: &Cancel) -> Result<()> {
    if !facts.is_mariadb() {
        return Err(invalid(format!(
            "{} is {} and not MariaDB: set engine = \"{}\"",
            options.shown(),
            facts.version,
            Brand::MySql.kind().engine
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
            "{} is {version:?}, which does not match {}, which is {}: install the package mariadb-backup of \
             MariaDB{series}, or set source.tools to the folder of a matching one",
            program.display(),
            options.shown(),
            facts.version
        ),
    ))
}

/// A server on another machine may have its data in a path that exists here too, but with other data.
fn check_same_machine(options: &Options, facts: &Facts) -> Result<()> {
    let Address::Tcp { host, .. } = &options.server.address else { return Ok(()) };
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if ["localhost", "127.0.0.1", "::1"].contains(&host.as_str()) || facts.hostname == here {
        return Ok(());
    }
    Err(invalid(format!(
        "{} runs on {}, but Coffer runs on {here}: mariadb-backup copies the files itself, so it must run on \
         the server's machine; for a server elsewhere set method = \"logical\"",
        options.shown(),
        facts.hostname
    )))
}
