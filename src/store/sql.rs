//! Runs one statement. Every statement is compiled once per connection and kept.

use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::StoreError;
use crate::domain::Datastore;

/// How a row becomes a value.
pub(super) type Read<T> = fn(&Row<'_>) -> rusqlite::Result<T>;

/// The first row, if there is one.
pub(super) fn first<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    read: Read<T>,
) -> Result<Option<T>, StoreError> {
    Ok(db.prepare_cached(statement)?.query_row(params, read).optional()?)
}

/// The first row of a statement that always has one.
pub(super) fn the<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    read: Read<T>,
) -> Result<T, StoreError> {
    Ok(db.prepare_cached(statement)?.query_row(params, read)?)
}

/// Every row, in order.
pub(super) fn all<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    read: Read<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(statement)?;
    let rows = statement.query_map(params, read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Looks at every row where it lies, in order.
pub(super) fn each(
    db: &Connection,
    statement: &str,
    params: impl Params,
    mut look: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(statement)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        look(row)?;
    }
    Ok(())
}

/// How many rows it changed.
pub(super) fn change(
    db: &Connection,
    statement: &str,
    params: impl Params,
) -> Result<usize, StoreError> {
    Ok(db.prepare_cached(statement)?.execute(params)?)
}

/// Every engine and version, each found by one look into an index behind the one before: `next` gives
/// the first pair greater than its parameters.
pub(super) fn each_datastore(db: &Connection, next: &str) -> Result<Vec<Datastore>, StoreError> {
    let mut found: Vec<Datastore> = Vec::new();
    loop {
        let (engine, version) =
            found.last().map_or(("", ""), |it| (it.engine.as_str(), it.version.as_str()));
        let read: Read<Datastore> =
            |row| Ok(Datastore { engine: row.get("engine")?, version: row.get("version")? });
        match first(db, next, [engine, version], read)? {
            Some(datastore) => found.push(datastore),
            None => return Ok(found),
        }
    }
}
