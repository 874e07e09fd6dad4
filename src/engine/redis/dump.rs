//! Bytes out of a Redis server: one snapshot by the replication protocol.

use super::check::{CHECK, Checked, Checker};
use super::client::Client;
use super::ending::{rdb_version, whole};
use super::fault::{explain, reworded};
use super::info::Info;
use super::{SNAPSHOT, options};
use crate::domain::{CheckLevel, EntryKind, FailureCode};
use crate::engine::own_entry::own_entry;
use crate::engine::spool::{Spool, scratch};
use crate::engine::{DumpFacts, DumpOrder, EngineError, Intake};

/// Has the server make a snapshot, checks it and pours it.
pub(super) fn dump(
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let server = options::server(order.source)?;
    let client = Client::of(&server)?;
    let info = client.info(order.cancel)?;
    let checker = match order.check {
        CheckLevel::Off => None,
        CheckLevel::Quick | CheckLevel::Full => {
            let checker = Checker::find(&server.at.finder(Vec::new()), info.is_valkey())?;
            checker.fits(&info, order.cancel)?;
            Some(checker)
        }
    };
    let stream = client.tool().args(["--rdb", "-"]).stream(order.cancel);
    let stream = stream.map_err(|error| explain(&server, error))?;
    let mut spool = Spool::of(stream, order.scratch).map_err(|error| reworded(&server, error))?;
    let file = spool.reopened()?;
    let failed = |error| scratch(order.scratch, error);
    let length = whole(&file, spool.bytes()).map_err(failed)?;
    let length = length.ok_or_else(|| cut_off(&server.at.shown(), spool.bytes()))?;
    spool.shorten(length)?;
    let passed = checker.map(|it| {
        it.run(spool.reopened()?, order.cancel, |what| damaged(&server.at.shown(), &what))
    });
    let passed = passed.transpose()?;
    intake.expect(length)?;
    // The folder that the server is given as its own.
    intake.entry(&own_entry("", EntryKind::Directory)?, false)?;
    spool.pour(SNAPSHOT, intake)?;
    let format = rdb_version(&file).map_err(failed)?;
    Ok(facts(&info, format, passed.as_ref()))
}

fn cut_off(place: &str, bytes: u64) -> EngineError {
    EngineError::known(
        FailureCode::Tool,
        format!(
            "what redis-cli wrote for {place} is no whole snapshot: after {bytes} bytes there is no mark of \
             its end; look into the server's log and back up again"
        ),
    )
}

fn damaged(place: &str, what: &str) -> EngineError {
    EngineError::known(
        FailureCode::SourceDamaged,
        format!(
            "the snapshot that {place} made does not hold up, says {CHECK}: {what}. Back up again; if it \
             stays so, look for faulty memory in that machine; check = \"off\" backs it up as it is"
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
