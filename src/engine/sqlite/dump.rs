//! The backup of a SQLite database.

use std::cell::RefCell;

use serde_json::Value;

use super::check::{CheckOutcome, check, name_of, quoted};
use super::fault::explain;
use super::info::DatabaseInfo;
use super::member_name;
use super::options::Options;
use super::scratch_copy::ScratchCopy;
use super::snapshot::Snapshot;
use crate::domain::{CheckLevel, EntryKind, FailureCode};
use crate::engine::file_name::entry_path;
use crate::engine::file_stat::now_ns;
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake, NeedsContent, Pulse};

/// Why nothing vouches for a table that is in the backup.
pub(super) const UNCHECKED: &str = "unchecked: it is in the backup, but it uses a function, collation, tokenizer or module that only its application has";
const STALE: &str = "its full-text index does not agree with the table that holds its content, and is in the backup as it was; to make it again:";

/// Reads the database once, as of one commit, into `intake`.
pub(super) fn dump(
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let began_ns = now_ns();
    let options = Options::parse(request.source)?;
    let pulse = intake.pulse();
    pulse.watch(&options.path, options.lock_wait.saturating_add(options.answer_wait));
    let mut snapshot = Snapshot::open(&options, Some(request.scratch), request.cancel, &pulse)?;
    let mut info = snapshot.info()?;
    let path = entry_path(member_name(request.instance_name))?;
    let kind = EntryKind::File { size: info.bytes(), extents: None };
    let mut entry = snapshot.file_stat()?.entry(path, kind);
    entry.xattrs = snapshot.xattrs()?;
    entry.stamp = snapshot.stamp(began_ns);
    intake.announce(info.bytes())?;
    let trust = request.trust_stamps && entry.stamp.is_some() && parent_check_suffices(request);
    let needs = intake.entry(&entry, trust)?;
    if needs == NeedsContent::No && trust {
        return Ok(unchanged(request, info));
    }
    let outcome = if info.is_wal {
        // Writers are not blocked, however slowly the archive takes the data.
        if needs == NeedsContent::Yes {
            let read_from = pour(&mut snapshot, &info, intake)?;
            info.facts.insert("read_from".to_owned(), Value::from(read_from));
        }
        pulse.beat();
        let outcome = check(&snapshot.connection, request.check, request.cancel, &pulse);
        close(snapshot, &pulse);
        outcome
    } else {
        let mut copy = ScratchCopy::of(&mut snapshot, &info, request.scratch, &pulse)?;
        // Unblocks the writers.
        close(snapshot, &pulse);
        if needs == NeedsContent::Yes {
            copy.pour(intake)?;
        }
        pulse.rest();
        check(&copy.connection, request.check, request.cancel, &Pulse::default())
    };
    let outcome = outcome.map_err(|error| {
        if request.cancel.is_cancelled() {
            return EngineError::Cancelled;
        }
        explain(&options.path, options.lock_wait, &error)
    })?;
    facts(&options, info, outcome)
}

/// SQLite may remove its log when it closes a database.
fn close(snapshot: Snapshot, pulse: &Pulse) {
    pulse.beat();
    drop(snapshot);
    pulse.rest();
}

/// Whether the check that the parent's source passed is as thorough as the one asked for now. If it is not, the
/// database must be read even if it is unchanged.
fn parent_check_suffices(request: &DumpRequest<'_>) -> bool {
    match request.check {
        CheckLevel::Off => true,
        CheckLevel::Quick => request.parent_check.is_some(),
        CheckLevel::Full => request.parent_check == name_of(CheckLevel::Full),
    }
}

/// The facts of a database that has not changed since the parent.
fn unchanged(request: &DumpRequest<'_>, info: DatabaseInfo) -> DumpFacts {
    let asked = request.check != CheckLevel::Off;
    DumpFacts {
        version: rusqlite::version().to_owned(),
        facts: info.facts,
        check: request.parent_check.filter(|_| asked).map(str::to_owned),
        unchanged: true,
        ..DumpFacts::default()
    }
}

/// Gives every segment to `intake`, read into its own buffers. Returns what it was read from.
fn pour(
    snapshot: &mut Snapshot,
    info: &DatabaseInfo,
    intake: &mut dyn Intake,
) -> Result<&'static str, EngineError> {
    let intake = RefCell::new(intake);
    let buffer = || intake.borrow_mut().buffer();
    snapshot.segments(info, buffer, |segment| Ok(intake.borrow_mut().segment(segment)?))
}

fn facts(
    options: &Options,
    info: DatabaseInfo,
    outcome: CheckOutcome,
) -> Result<DumpFacts, EngineError> {
    if !outcome.problems.is_empty() {
        return Err(EngineError::known(
            FailureCode::SourceDamaged,
            format!(
                "{} is damaged according to SQLite's {}: {}. Restore an earlier backup, or save what \
                 is readable with `sqlite3 FILE .recover`; check = \"off\" backs it up as it is",
                options.path.display(),
                outcome.name.unwrap_or("check"),
                outcome.problems.join("; ")
            ),
        ));
    }
    let mut dump = DumpFacts {
        version: rusqlite::version().to_owned(),
        facts: info.facts,
        check: outcome.name.map(str::to_owned),
        check_ms: outcome.took_ms,
        ..DumpFacts::default()
    };
    for table in &outcome.unchecked {
        dump.leave_out(table, UNCHECKED);
    }
    for table in &outcome.stale {
        dump.leave_out(
            table,
            format!("{STALE} INSERT INTO {0}({0}) VALUES ('rebuild')", quoted(table)),
        );
    }
    if !outcome.unchecked.is_empty() {
        dump.facts.insert("tables_not_checked".to_owned(), Value::from(outcome.unchecked));
    }
    if outcome.odd_values > 0 {
        let count = Value::from(outcome.odd_values);
        dump.facts.insert("values_breaking_column_rules".to_owned(), count);
    }
    Ok(dump)
}
