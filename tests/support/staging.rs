//! Restores into staging, which are due once a month: a test that wants one makes everything older than that.

use rusqlite::Connection;

use super::{TestServer, wait_until};

/// When nothing is due while a test runs: what a test wants done is overdue by days.
pub(crate) const MONTHLY: &str = "monthly 1 04:00";

const FORTY_DAYS: i64 = 40 * 86_400_000_000;

impl TestServer {
    /// Its catalog, as a database that is open beside it.
    fn open_catalog(&self) -> Connection {
        Connection::open(self.data_dir().join("catalog.db")).unwrap()
    }

    /// Stops it, makes everything forty days older, and starts it again: what is due once a month is overdue.
    pub(crate) fn forty_days_later(&mut self) {
        self.terminate();
        let ago = format!(
            "UPDATE backups SET created = created - {FORTY_DAYS}, verified_at = verified_at - {FORTY_DAYS};
             UPDATE runs SET asked = asked - {FORTY_DAYS}, begun = begun - {FORTY_DAYS}, ended = ended - {FORTY_DAYS};"
        );
        self.open_catalog().execute_batch(&ago).unwrap();
        self.restart();
    }

    /// How the restores into staging ended, oldest first.
    pub(crate) fn stagings(&self) -> Vec<String> {
        let sql =
            "SELECT result FROM runs WHERE kind = 'staging' AND ended IS NOT NULL ORDER BY id";
        let catalog = self.open_catalog();
        let mut statement = catalog.prepare(sql).unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    }

    /// Waits until they ended like this.
    #[track_caller]
    pub(crate) fn wait_for_stagings(&self, expected: &[&str]) {
        wait_until("the restore into staging", || (self.stagings() == expected).then_some(()));
    }
}
