//! Checks whether a backup of this server would work, without making one.

use std::time::Duration;

use super::access::require_readable;
use super::faults::grant_replication;
use super::logical::Selection;
use super::options::Method;
use super::server_info::ServerInfo;
use super::session::Session;
use super::settings::no_settings;
use super::unseen::Unseen;
use crate::domain::{Cancel, FailureCode, Source};
use crate::engine::tool::{Tool, drill_network};
use crate::engine::{EngineError, Probe, Result, Staging};

/// How long the test of a replication connection may take.
const REPLICATION_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn probe(source: &Source) -> Result<Probe> {
    let (session, info) = Session::connect(source, &Cancel::default())?;
    let programs = &session.client.programs;
    let mut notes = vec![format!("server: {}", info.version), format!("role: {}", info.role)];
    let mut left_out;
    let source_bytes = match session.server.method {
        Method::Physical => {
            programs.client("pg_basebackup", info.major())?;
            check_base_backup(&info)?;
            check_replication_login(&session)?;
            notes.extend(physical_notes(&info));
            left_out = Probe::lines_of(&info.left_out().collect::<Vec<_>>());
            if info.settings(&session.client)?.is_none() {
                let settings = no_settings(&info.role);
                left_out
                    .push(format!("left out, unless they are in the data directory: {settings}"));
            }
            info.base_bytes()
        }
        Method::Logical => {
            for name in ["pg_dump", "pg_dumpall", "pg_restore"] {
                programs.client(name, info.major())?;
            }
            let selection = Selection::of(&session, &info)?;
            notes.push(format!(
                "method: logical, {} databases, each consistent as of its own moment",
                selection.dumped.len()
            ));
            let mut missing = selection.left_out(&info);
            for database in &selection.dumped {
                let client = session.client.in_database(&database.name);
                // Further arguments may keep from the dump what the role may not read.
                if session.server.extra_args.is_empty() {
                    require_readable(&client, &database.name, &info)
                        .map_err(|error| client.classify(error))?;
                }
                missing.extend(Unseen::query(&client, &database.name, &info)?.left_out);
            }
            if info.settings(&session.client)?.is_none() {
                missing.push(no_settings(&info.role));
            }
            left_out = Probe::lines_of(&missing);
            selection.dumped.iter().map(|it| it.bytes).sum()
        }
    };
    notes.push(match programs.server("postgres", info.major()) {
        Ok(path) => format!("drills: with {}, {}", path.display(), drill_network()),
        Err(_) => format!(
            "drills: not possible here, the server program is missing: apt install postgresql-{}",
            info.major()
        ),
    });
    // `pg_basebackup` cannot stream tablespaces.
    let is_staged = session.server.method == Method::Physical && !info.tablespaces.is_empty();
    let staging =
        is_staged.then_some(Staging { bytes: source_bytes, instead: "set method = \"logical\"" });
    let version = info.short_version().to_owned();
    Ok(Probe { version, source_bytes, staging, notes, left_out, ..Probe::default() })
}

/// Whether the role and the server's settings allow a base backup.
pub(super) fn check_base_backup(info: &ServerInfo) -> Result<()> {
    if !info.replication {
        return Err(EngineError::known(
            FailureCode::SourceDenied,
            format!(
                "the role {} may not replicate, which a physical backup needs: {}",
                info.role,
                grant_replication(&info.role)
            ),
        ));
    }
    if info.wal_level == "minimal" {
        return Err(EngineError::known(
            FailureCode::SourceInvalid,
            "the server's wal_level is minimal, which allows no base backup: set it to replica and \
             restart the server, or set method = \"logical\"",
        ));
    }
    if let Some(inside) = info.tablespaces.values().find(|it| !it.location.starts_with('/')) {
        return Err(EngineError::known(
            FailureCode::SourceInvalid,
            format!(
                "tablespace {} lies in the data directory (allow_in_place_tablespaces), and pg_basebackup leaves \
                 such tablespaces out: move its tables to another, or set method = \"logical\"",
                inside.name
            ),
        ));
    }
    match (info.max_wal_senders, info.wal_senders) {
        (0, _) => Err(EngineError::known(
            FailureCode::SourceInvalid,
            "the server's max_wal_senders is 0, which allows no base backup: set it to 2 or more and restart the \
             server, or set method = \"logical\"",
        )),
        (most, used) if most <= used => Err(EngineError::known(
            FailureCode::SourceLocked,
            format!(
                "all {most} of the server's max_wal_senders are in use: raise it and restart the server"
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether `pg_hba.conf` admits this role for replication, which takes another line than a database.
fn check_replication_login(session: &Session) -> Result<()> {
    let client = &session.client;
    let psql = client.login.apply_env(Tool::new(&client.programs.psql()?));
    psql.args(["-X", "-A", "-t", "-w", "-d", "replication=true", "-c", "IDENTIFY_SYSTEM"])
        .timeout(REPLICATION_TIMEOUT)
        .run(&client.cancel)
        .map_err(|error| client.classify(error))
}

fn physical_notes(info: &ServerInfo) -> Vec<String> {
    let mut notes = vec!["method: physical".to_owned()];
    let mut note = |text: &str| notes.push(text.to_owned());
    note(if info.data_checksums {
        "data checksums: on, verified with each backup"
    } else {
        "data checksums: off; pg_checksums --enable turns them on while the server is stopped, and then \
         each backup verifies them"
    });
    if info.wal_keep_size == "0" {
        note(
            "wal_keep_size: 0; a long backup under load needs its WAL kept: ALTER SYSTEM SET \
             wal_keep_size = '2GB'",
        );
    }
    if !info.tablespaces.is_empty() {
        note(&format!(
            "tablespaces: {}; a server with tablespaces is first copied to the archive's filesystem",
            info.tablespaces.len()
        ));
    }
    if info.standby {
        note("standby: yes; restored, it starts as one until standby.signal is removed");
    }
    notes
}
