//! Bytes out of a SQLite database.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use super::check::{Checked, check, name_of};
use super::member_name;
use super::options::Options;
use super::shape::Shape;
use super::snapshot::Snapshot;
use super::spool::Spool;
use crate::domain::{CheckLevel, Entry, EntryKind, EntryPath, FailureCode};
use crate::engine::look::now_ns;
use crate::engine::{DumpFacts, DumpOrder, EngineError, Intake, Refused, Wants};

/// Reads the database once, as it was at one commit, into `intake`.
pub(super) fn dump(
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let began_ns = now_ns();
    let options = Options::parse(order.source)?;
    let mut snapshot = Snapshot::open(&options)?;
    let mut shape = snapshot.shape()?;
    let mut entry = entry(&options, order.instance_name, shape.bytes())?;
    entry.stamp = snapshot.stamp(began_ns);
    intake.expect(shape.bytes())?;
    let trust = order.trust_stamps && entry.stamp.is_some() && is_checked_enough(order);
    let wants = intake.entry(&entry, trust)?;
    if wants == Wants::Nothing && trust {
        return Ok(unchanged(order, shape));
    }
    let checked = if shape.wal {
        // Writers go on while this reads, however slowly the archive takes it.
        if wants == Wants::Content {
            let read_from = pour(&mut snapshot, &shape, intake)?;
            shape.facts.insert("read_from".to_owned(), Value::from(read_from));
        }
        check(&snapshot.connection, order.check, order.cancel)
            .map_err(|error| given_up(order).unwrap_or_else(|| snapshot.explain(&error)))?
    } else {
        let mut spool = Spool::copy(&mut snapshot, &shape, order.scratch)?;
        // The lock goes back to the writers.
        drop(snapshot);
        if wants == Wants::Content {
            spool.pour(intake)?;
        }
        check(&spool.connection, order.check, order.cancel).map_err(|error| {
            let wait = options.lock_wait;
            given_up(order).unwrap_or_else(|| super::fault::explain(&options.path, wait, &error))
        })?
    };
    facts(&options, shape, checked)
}

/// The error of a check that was ended because the job is cancelled.
fn given_up(order: &DumpOrder<'_>) -> Option<EngineError> {
    order.cancel.is_cancelled().then(|| Refused.into())
}

/// Whether the check that the parent's source passed is what is asked for now: what is not read is not
/// checked either.
fn is_checked_enough(order: &DumpOrder<'_>) -> bool {
    match order.check {
        CheckLevel::Off => true,
        CheckLevel::Quick => order.parent_check.is_some(),
        CheckLevel::Full => order.parent_check == name_of(CheckLevel::Full),
    }
}

/// The facts of a database that is what its parent holds.
fn unchanged(order: &DumpOrder<'_>, shape: Shape) -> DumpFacts {
    let asked = order.check != CheckLevel::Off;
    DumpFacts {
        version: rusqlite::version().to_owned(),
        facts: shape.facts,
        check: order.parent_check.filter(|_| asked).map(str::to_owned),
        unchanged: true,
        ..DumpFacts::default()
    }
}

/// Pours every segment, read into the buffer it goes on in. Says how it was read.
fn pour(
    snapshot: &mut Snapshot,
    shape: &Shape,
    intake: &mut dyn Intake,
) -> Result<&'static str, EngineError> {
    let intake = RefCell::new(intake);
    let buffer = || intake.borrow_mut().buffer();
    snapshot.segments(shape, buffer, |segment| Ok(intake.borrow_mut().segment(segment)?))
}

/// Mode, owner and time come from stat(2). The file is never opened here: closing it again would drop
/// every POSIX lock that any SQLite connection of this process holds on it.
fn entry(options: &Options, instance: &str, size: u64) -> Result<Entry, EngineError> {
    let found = std::fs::metadata(&options.path)
        .map_err(|error| EngineError::io("looking at", &options.path, error))?;
    Ok(Entry {
        path: EntryPath::new(member_name(instance))
            .map_err(|error| EngineError::known(FailureCode::Internal, error.to_string()))?,
        kind: EntryKind::File { size, extents: None },
        mode: found.mode() & 0o7777,
        uid: found.uid(),
        gid: found.gid(),
        mtime_ns: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
        xattrs: Vec::new(),
        stamp: None,
    })
}

fn facts(options: &Options, shape: Shape, checked: Checked) -> Result<DumpFacts, EngineError> {
    if !checked.damage.is_empty() {
        return Err(EngineError::known(
            FailureCode::SourceDamaged,
            format!(
                "{} is damaged, says SQLite's {}: {}. Restore an earlier backup, or save what can \
                 be saved with `sqlite3 FILE .recover`; check = \"off\" backs it up as it is",
                options.path.display(),
                checked.name.unwrap_or("check"),
                checked.damage.join("; ")
            ),
        ));
    }
    let mut facts = shape.facts;
    if !checked.left_out.is_empty() {
        facts.insert("tables_not_checked".to_owned(), Value::from(checked.left_out));
    }
    Ok(DumpFacts {
        version: rusqlite::version().to_owned(),
        facts,
        check: checked.name.map(str::to_owned),
        check_ms: checked.took_ms,
        ..DumpFacts::default()
    })
}
