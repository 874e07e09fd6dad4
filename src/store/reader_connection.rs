//! Connections that read. Each takes some hundred KiB of memory, so those that a crowd had opened end as soon as they are of no
//! more use: the pool itself would look for them only every half minute.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use r2d2::ManageConnection;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;

/// Opens connections, and counts them.
#[derive(Debug)]
pub(super) struct ReaderConnections {
    connect: SqliteConnectionManager,
    /// So many may stay open while nobody reads.
    few: usize,
    open: Arc<AtomicUsize>,
}

/// A connection, counted until it is dropped.
#[derive(Debug)]
pub(super) struct ReaderConnection {
    db: Connection,
    open: Arc<AtomicUsize>,
}

impl ReaderConnections {
    pub(super) fn new(connect: SqliteConnectionManager, few: usize) -> Self {
        Self { connect, few, open: Arc::default() }
    }
}

impl ManageConnection for ReaderConnections {
    type Connection = ReaderConnection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<ReaderConnection> {
        let db = self.connect.connect()?;
        self.open.fetch_add(1, Ordering::AcqRel);
        Ok(ReaderConnection { db, open: Arc::clone(&self.open) })
    }

    fn is_valid(&self, connection: &mut ReaderConnection) -> rusqlite::Result<()> {
        self.connect.is_valid(&mut connection.db)
    }

    /// Asked when a read has ended: whether the pool is to close the connection.
    fn has_broken(&self, _connection: &mut ReaderConnection) -> bool {
        self.open.load(Ordering::Acquire) > self.few
    }
}

impl Deref for ReaderConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.db
    }
}

impl Drop for ReaderConnection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }
}
