//! A look at a server: whether a backup would work, without making one.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use super::check::Checker;
use super::client::{Client, PATIENCE};
use super::fault::{explain, line_that_mends, means};
use super::info::Info;
use super::options::{self, Server};
use super::version::fits;
use crate::domain::{Cancel, FailureCode, Source};
use crate::engine::tool::ToolError;
use crate::engine::{EngineError, Probe};

/// What a client that may have a snapshot is told here: the question before it is not answered yet. That
/// comes after the look at its rights, and before anything is done.
const MAY: &str = "SYNC and PSYNC are invalid with pending output";

/// The questions, sent at once.
const QUESTIONS: &[u8] = b"PING\r\nREPLCONF rdb-only 1\r\nSYNC\r\n";

/// Looks at tools, connection, rights and versions, in this order.
pub(super) fn probe(source: &Source) -> Result<Probe, EngineError> {
    let cancel = Cancel::default();
    let server = options::server(source)?;
    let client = Client::of(&server)?;
    let finder = server.at.finder(Vec::new());
    let any_checker = Checker::find(&finder, false)?;
    let info = client.info(&cancel)?;
    fits(&client.version(&cancel)?, &info)?;
    let checker = if info.is_valkey() { Checker::find(&finder, true)? } else { any_checker };
    checker.fits(&info, &cancel)?;
    let mut notes = notes(&info);
    notes.extend(rights(&client, &cancel)?);
    if finder.find_any(&["redis-server", "valkey-server"], "redis-server").is_err() {
        notes.push(
            "redis-server is not there: drills on this machine need it (apt install redis-server)"
                .to_owned(),
        );
    }
    Ok(Probe { version: info.version(), source_bytes: info.data_bytes(), notes })
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
    if info.get("master_link_status") == "down" {
        notes.push(
            "this replica has lost its master, and gives no snapshot until it is back".to_owned(),
        );
    }
    notes
}

/// Whether the user may have a snapshot, found out without starting one: a server sees to rights first and
/// then refuses to start a replication while an answer is still to be sent.
fn rights(client: &Client<'_>, cancel: &Cancel) -> Result<Vec<String>, EngineError> {
    let server = client.server;
    let tool = client.tool().args(["--pipe", "--pipe-timeout", "1"]).within(PATIENCE);
    // The server's answers are errors by intention, and so is the tool's end.
    let said = match tool.input(questions()?).run(cancel) {
        Ok(()) => String::new(),
        Err(ToolError::Failed { said, .. }) => said,
        Err(other) => return Err(explain(server, other)),
    };
    told(server, &said)
}

/// What the answers say; notes where a backup works all the same.
fn told(server: &Server, said: &str) -> Result<Vec<String>, EngineError> {
    if !said.contains(MAY) {
        return Err(means(server, said));
    }
    if said.contains("'replconf'") {
        return Ok(vec![format!(
            "the user may not say that it wants the snapshot only (REPLCONF), so that the server keeps a \
             backlog for it; better is {}",
            line_that_mends(server)
        )]);
    }
    Ok(Vec::new())
}

fn questions() -> Result<File, EngineError> {
    let made = tempfile::tempfile().and_then(|mut file| {
        file.write_all(QUESTIONS)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    });
    made.map_err(|error| {
        EngineError::known(
            FailureCode::Internal,
            format!("no temporary file can be made: {error}; make room in the folder for such"),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_answer_behind_the_look_at_rights_says_that_a_snapshot_may_be_had() {
        let source = serde_json::from_value(json!({"socket": "/s"})).unwrap();
        let server = options::server(&source).unwrap();
        let noise = "NOPERM this user has no permissions to run the 'echo' command";
        assert_eq!(told(&server, &format!("ERR {MAY}\n{noise}")).unwrap(), [""; 0]);
        let notes = told(&server, &format!("NOPERM … the 'replconf' command\nERR {MAY}\n{noise}"));
        assert!(notes.unwrap()[0].contains("+replconf"));
        let refused = "NOPERM this user has no permissions to run the 'sync' command\n";
        let failure = told(&server, refused).unwrap_err().failure().unwrap();
        assert_eq!(failure.code, FailureCode::SourceDenied);
        assert!(failure.message.contains("+sync"), "{failure}");
        assert!(told(&server, "").is_err());
    }
}
