//! Whether a backup of this server could work, before one is tried; what a look at a source tells.

use std::time::Duration;

use super::faults::{self, replicate};
use super::look::ServerLook;
use super::options::Method;
use super::session::Session;
use crate::domain::{Cancel, FailureCode, Source};
use crate::engine::tool::Tool;
use crate::engine::{EngineError, Probe};

/// How long the question whether replication is let in may take.
const REPLICATION_WITHIN: Duration = Duration::from_secs(10);

/// Looks at the server of `source`.
pub(super) fn probe(source: &Source) -> Result<Probe, EngineError> {
    let cancel = Cancel::default();
    let session = Session::with(source)?;
    let look = session.look(&cancel)?;
    let mut notes = vec![format!("server: {}", look.version), format!("role: {}", look.role)];
    let source_bytes = match session.options.method {
        Method::Physical => {
            session.toolbox.client("pg_basebackup", look.major())?;
            physical(&look)?;
            replication_is_let_in(&session, &cancel)?;
            notes.extend(physical_notes(&look));
            look.base_bytes()
        }
        Method::Logical => {
            for name in ["pg_dump", "pg_dumpall", "pg_restore"] {
                session.toolbox.client(name, look.major())?;
            }
            let wanted = super::logical::wanted(&session, &look)?;
            notes.push(format!(
                "method: logical, {} databases, each as of a moment of its own",
                wanted.len()
            ));
            wanted.iter().map(|it| it.bytes).sum()
        }
    };
    notes.push(match session.toolbox.server("postgres", look.major()) {
        Ok(path) => format!("drills: with {}", path.display()),
        Err(_) => format!(
            "drills: not possible here, the server's own program is missing: apt install postgresql-{}",
            look.major()
        ),
    });
    Ok(Probe { version: look.short_version().to_owned(), source_bytes, notes })
}

/// Whether the role and the server's settings allow a base backup.
pub(super) fn physical(look: &ServerLook) -> Result<(), EngineError> {
    if !look.replication {
        return Err(EngineError::known(
            FailureCode::SourceDenied,
            format!(
                "the role {} may not replicate, which a physical backup needs: {}",
                look.role,
                replicate(&look.role)
            ),
        ));
    }
    if look.wal_level == "minimal" {
        return Err(EngineError::known(
            FailureCode::SourceInvalid,
            "the server's wal_level is minimal, with which no base backup is possible: set it to replica \
             and restart the server, or set method = \"logical\"",
        ));
    }
    if look.max_wal_senders <= look.wal_senders {
        return Err(EngineError::known(
            FailureCode::SourceLocked,
            format!(
                "all {} of the server's max_wal_senders are taken: raise it and restart the server",
                look.max_wal_senders
            ),
        ));
    }
    Ok(())
}

/// Whether `pg_hba.conf` lets this role in for replication, which is another line than for a database.
fn replication_is_let_in(session: &Session, cancel: &Cancel) -> Result<(), EngineError> {
    let psql = session.login.dress(Tool::new(&session.toolbox.psql()?));
    psql.args(["-X", "-A", "-t", "-w", "-d", "replication=true", "-c", "IDENTIFY_SYSTEM"])
        .within(REPLICATION_WITHIN)
        .run(cancel)
        .map_err(|error| faults::sorted(error.into(), &session.login))
}

fn physical_notes(look: &ServerLook) -> Vec<String> {
    let mut notes = vec!["method: physical".to_owned()];
    notes.push(if look.data_checksums {
        "data checksums: on, verified with each backup".to_owned()
    } else {
        "data checksums: off; pg_checksums --enable on the stopped server turns them on, and then \
         each backup verifies them"
            .to_owned()
    });
    if look.wal_keep_size == "0" {
        notes.push(
            "wal_keep_size: 0; a backup that takes long under load needs its WAL kept: ALTER SYSTEM SET \
             wal_keep_size = '2GB'"
                .to_owned(),
        );
    }
    if !look.tablespaces.is_empty() {
        notes.push(format!(
            "tablespaces: {}; a server with tablespaces is copied to the archive's filesystem first",
            look.tablespaces.len()
        ));
    }
    if look.standby {
        notes.push(
            "standby: yes; restored, it starts as one until standby.signal is removed".to_owned(),
        );
    }
    notes
}
