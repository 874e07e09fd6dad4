//! Checks whether a backup of this server would work, without making one.

use super::check::Checker;
use super::client::{ANSWER_TIMEOUT, Client};
use super::dump::left_out;
use super::faults::{classify, grant_command};
use super::info::Info;
use super::options::KIND;
use super::version::check_version;
use crate::domain::{Cancel, Source};
use crate::engine::server_source::ServerSource;
use crate::engine::tool::{ToolError, drill_network, says_any};
use crate::engine::{Probe, Result};

/// The server's error for a client that may replicate, if an earlier answer was not sent yet. It comes after the
/// check of the client's rights and before anything is done.
const MAY_REPLICATE: &str = "SYNC and PSYNC are invalid with pending output";

/// Sent at once, so that the answer to the first is still pending when the server reads the last.
const COMMANDS: &[u8] = b"PING\r\nREPLCONF rdb-only 1\r\nSYNC\r\n";

/// Checks tools, connection, rights and versions, in this order.
pub(super) fn probe(source: &Source) -> Result<Probe> {
    let cancel = Cancel::default();
    let server = KIND.server(source)?;
    let client = Client::new(&server)?;
    let finder = server.finder();
    let any_checker = Checker::find(&finder, false)?;
    let info = client.info(&cancel)?;
    check_version(&client.version(&cancel)?, &info)?;
    let checker = if info.is_valkey() { Checker::find(&finder, true)? } else { any_checker };
    checker.check_version(&info, &cancel)?;
    let mut notes = notes(&info);
    let left_out = left_out(&client, &info, &cancel)?;
    notes.extend(check_rights(&client, &cancel)?);
    notes.push(match finder.find_any(&["redis-server", "valkey-server"], "redis-server") {
        Ok(path) => format!("drills: with {}, {}", path.display(), drill_network()),
        Err(_) => "redis-server is not installed: drills on this machine need it (apt install redis-server)"
            .to_owned(),
    });
    let source_bytes = info.data_bytes();
    let left_out = Probe::lines_of(&left_out);
    Ok(Probe { version: info.version(), source_bytes, notes, left_out, ..Probe::default() })
}

fn notes(info: &Info) -> Vec<String> {
    let keys: Vec<String> =
        info.databases().into_iter().map(|(db, keys)| format!("db{db}: {keys}")).collect();
    let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let mut notes = vec![
        format!("role: {}", info.get("role")),
        format!("keys: {keys}"),
        format!("used_memory: {}", info.get("used_memory")),
    ];
    if info.get("loading") == "1" {
        notes.push("the server is still loading its data".to_owned());
    }
    if info.get("rdb_last_bgsave_status") == "err" {
        notes.push(
            "the server's own last save failed, and a snapshot may fail too: see its log"
                .to_owned(),
        );
    }
    if info.get("master_link_status") == "down" {
        notes.push(
            "this replica has lost its master; it gives no snapshot until the master is back"
                .to_owned(),
        );
    }
    notes
}

/// Whether the user may have a snapshot, without starting one: a server checks the rights first, and then refuses
/// to start a replication while an answer is pending.
fn check_rights(client: &Client<'_>, cancel: &Cancel) -> Result<Vec<String>> {
    let tool = client.tool().args(["--pipe", "--pipe-timeout", "1"]).timeout(ANSWER_TIMEOUT);
    let ended = tool.stdin_bytes(COMMANDS)?.run(cancel);
    // The answers are errors by intention, so the tool fails.
    let error = ended.err().unwrap_or_else(|| ToolError::answer("redis-cli", ""));
    rights_notes(client.server, error)
}

/// Reads the answers to [`COMMANDS`]; the notes are for rights that are missing but not necessary.
fn rights_notes(server: &ServerSource, error: ToolError) -> Result<Vec<String>> {
    if !says_any(error.output(), &[MAY_REPLICATE]) {
        return Err(classify(server, error));
    }
    if says_any(error.output(), &["'replconf'"]) {
        return Ok(vec![format!(
            "the user may not ask for the snapshot alone (REPLCONF), so the server keeps a backlog for it; \
             better is {}",
            grant_command(server)
        )]);
    }
    Ok(Vec::new())
}
