//! Runs statements, each compiled once per connection and kept, and macros that name columns once.

use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::Result;

pub(super) type Read<T> = fn(&Row<'_>) -> rusqlite::Result<T>;

/// The first row, if there is one.
pub(super) fn query_first<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    read: Read<T>,
) -> Result<Option<T>> {
    Ok(db.prepare_cached(statement)?.query_row(params, read).optional()?)
}

/// The only row of a statement that always has one.
pub(super) fn query_one<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    read: Read<T>,
) -> Result<T> {
    Ok(db.prepare_cached(statement)?.query_row(params, read)?)
}

pub(super) fn query_all<T>(
    db: &Connection,
    statement: &str,
    params: impl Params,
    read: Read<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(statement)?;
    let rows = statement.query_map(params, read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many rows were added, changed or deleted.
pub(super) fn execute(db: &Connection, statement: &str, params: impl Params) -> Result<usize> {
    Ok(db.prepare_cached(statement)?.execute(params)?)
}

/// Declares the columns of a query once: a struct with a field for each, which is read from a row, and a
/// macro with their list for the statement's text. So none can be read as another. A `part` of the columns is read
/// where others end.
macro_rules! columns {
    (
        part $(#[$doc:meta])*
        $name:ident, $list:ident {
            $first:ident: $first_type:ty = $first_sql:literal,
            $($field:ident: $type:ty = $sql:literal),+ $(,)?
        }
    ) => {
        macro_rules! $list {
            () => { concat!($first_sql, $(", ", $sql),+) };
        }

        $(#[$doc])*
        struct $name {
            $first: $first_type,
            $($field: $type),+
        }

        impl $name {
            fn read_from(
                row: &rusqlite::Row<'_>,
                columns: &mut std::ops::RangeFrom<usize>,
            ) -> rusqlite::Result<Self> {
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self { $first: row.get(next())?, $($field: row.get(next())?),+ })
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $list:ident { $($columns:tt)+ }) => {
        $crate::store::sql::columns! { part $(#[$doc])* $name, $list { $($columns)+ } }

        impl $name {
            fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                Self::read_from(row, &mut (0..))
            }
        }
    };
}

/// `INSERT INTO table (a, b) VALUES (:a, :b)` with each column beside its own parameter, and what follows.
macro_rules! insert {
    ($table:literal ($first:literal $(, $column:literal)* $(,)?) $($rest:literal)?) => {
        concat!(
            "INSERT INTO ", $table, " (", $first, $(", ", $column,)*
            ") VALUES (:", $first, $(", :", $column,)* ")" $(, " ", $rest)?
        )
    };
}

/// Names the statements of a file, and lists them for the test of their plans.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+

        #[cfg(test)]
        pub(in crate::store) const STATEMENTS: &[&str] = &[$($name),+];
    };
}

pub(super) use {columns, insert, statements};
