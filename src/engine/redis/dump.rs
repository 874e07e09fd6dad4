//! Dumping a Redis server: one snapshot by the replication protocol.

use super::check::{CHECK, Checked, Checker};
use super::client::Client;
use super::faults::classify;
use super::info::Info;
use super::options::KIND;
use super::rdb_file::{SNAPSHOT, rdb_version, snapshot_length};
use super::{cluster, users};
use crate::domain::{Cancel, CheckLevel, FailureCode, LeftOut};
use crate::engine::pour::pour_folder;
use crate::engine::spool::{Spool, scratch};
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake, Result, server_end};

/// Makes the server send a snapshot, and checks it.
pub(super) fn dump(request: &DumpRequest<'_>, intake: &mut dyn Intake) -> Result<DumpFacts> {
    let server = KIND.server(request.source)?;
    let client = Client::new(&server)?;
    let info = client.info(request.cancel)?;
    read(&client, &info, request, intake).map_err(|error| {
        let start = |info: &Info| info.get("run_id").to_owned();
        let is_same = || Ok(start(&client.info(request.cancel)?) == start(&info));
        server_end::explain(error, &server.shown(), is_same)
    })
}

fn read(
    client: &Client<'_>,
    info: &Info,
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts> {
    let server = client.server;
    let checker = match request.check {
        CheckLevel::Off => None,
        CheckLevel::Quick | CheckLevel::Full => {
            let checker = Checker::find(&server.finder(), info.is_valkey())?;
            checker.check_version(info, request.cancel)?;
            Some(checker)
        }
    };
    let address = server.shown();
    let tool = client.tool().args(["--rdb", "-"]);
    let mut spool = Spool::of(tool, request.scratch, request.cancel)
        .map_err(|error| classify(server, error))?;
    let file = spool.reopened()?;
    let failed = |error| scratch(request.scratch, error);
    let length = snapshot_length(&file, spool.bytes()).map_err(failed)?;
    let length = length.ok_or_else(|| cut_off(&address, spool.bytes()))?;
    spool.shorten(length)?;
    let passed = match checker {
        None => None,
        Some(checker) => Some(
            checker
                .run(spool.reopened()?, request.cancel, |problem| damaged(&address, &problem))?,
        ),
    };
    intake.announce(length)?;
    pour_folder("", intake)?;
    spool.pour(SNAPSHOT, intake)?;
    let format = rdb_version(&file).map_err(failed)?;
    let mut facts = facts(info, format, passed.as_ref());
    for LeftOut { what, why, .. } in left_out(client, info, request.cancel)? {
        facts.leave_out(what, why);
    }
    Ok(facts)
}

/// What of the server a snapshot does not hold.
pub(super) fn left_out(client: &Client<'_>, info: &Info, cancel: &Cancel) -> Result<Vec<LeftOut>> {
    let users = users::left_out(client, cancel)?;
    let slots = cluster::left_out(client, info, cancel)?;
    Ok(info.settings_left_out().into_iter().chain(slots).chain(users).collect())
}

fn cut_off(address: &str, bytes: u64) -> EngineError {
    EngineError::known(
        FailureCode::Tool,
        format!(
            "redis-cli wrote an incomplete snapshot of {address}: after {bytes} bytes, its end mark is \
             missing; look into the server's log and back up again"
        ),
    )
}

fn damaged(address: &str, problem: &str) -> EngineError {
    EngineError::known(
        FailureCode::SourceDamaged,
        format!(
            "{CHECK} found damage in the snapshot of {address}: {problem}. Back up again; if that does not \
             help, look for faulty memory in the server's machine; check = \"off\" backs it up as it is"
        ),
    )
}

fn facts(info: &Info, format: Option<u32>, checked: Option<&Checked>) -> DumpFacts {
    let mut facts = info.facts();
    if let Some(format) = format {
        facts.insert("rdb_version".to_owned(), format.into());
    }
    if let Some(keys) = checked.and_then(|it| it.keys) {
        facts.insert("keys_checked".to_owned(), keys.into());
    }
    DumpFacts {
        version: info.version(),
        facts,
        check: checked.map(|_| CHECK.to_owned()),
        check_ms: checked.map_or(0, |it| it.took_ms),
        ..DumpFacts::default()
    }
}
