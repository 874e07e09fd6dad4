//! What is wrong for as long as it is, for the health check. In memory only.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use super::{Catalog, Reply, Result};
use crate::domain::{Backup, BackupId, Location, Timestamp};
use crate::store::{Purpose, StoreError};

/// What a notice is about. There is one of each at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// The catalog was rebuilt since the process started.
    CatalogRebuilt,
    /// The catalog was older than the archives when the process started.
    CatalogOlder,
    /// The catalog's file is no longer where it was opened.
    CatalogMoved,
    /// The catalog's file is damaged.
    CatalogDamaged,
    /// Another program wrote to the catalog since the process started.
    CatalogWritten,
    /// The filesystem of the data directory is read-only.
    ReadOnly,
    /// A job failed because the disk reported an error, since the process started.
    DiskFailing,
    /// The disk is full, and nothing new is accepted.
    DiskFull,
    /// None of the archives is where it was.
    ArchivesMissing,
    /// The clock was or is wrong.
    ClockJumped,
    /// What the last process left is not settled yet.
    Unsettled,
    /// Keystone, whose tokens are taken, does not answer.
    KeystoneAway,
    /// The list of users cannot be read.
    UsersUnread,
    /// It was never tried that a secret key reads what is encrypted.
    KeyUntried,
    /// A secret key of the configuration cannot be used.
    KeyUnusable,
    /// The certificate of the port has ended, or will soon.
    CertificateEnds,
}

/// The notices of now.
#[derive(Debug, Default)]
pub(super) struct Notices(RwLock<BTreeMap<Notice, (Timestamp, String)>>);

impl Notices {
    /// All of them, with the time at which each began.
    pub(super) fn all(&self) -> Vec<(Notice, Timestamp, String)> {
        let all = self.0.read();
        all.iter().map(|(about, (since, text))| (*about, *since, text.clone())).collect()
    }
}

impl Catalog {
    /// Sets or clears a notice. Returns whether there was none before, or there is none now.
    pub fn set_notice(&self, about: Notice, text: Option<String>) -> bool {
        let mut notices = self.notices.0.write();
        match text {
            Some(text) => {
                let since = notices.get(&about).map(|(since, _)| *since);
                let began = since.unwrap_or_else(|| self.rules.now());
                notices.insert(about, (began, text)).is_none()
            }
            None => notices.remove(&about).is_some(),
        }
    }

    /// Whether there is a notice about this.
    pub fn has_notice(&self, about: Notice) -> bool {
        self.notices.0.read().contains_key(&about)
    }

    /// The texts of all notices.
    pub fn notices(&self) -> Vec<String> {
        self.notices.all().into_iter().map(|(_, _, text)| text).collect()
    }

    /// Why the catalog's file is no longer the one that is open, if so: then nothing is written to it.
    pub fn why_moved(&self) -> Option<String> {
        self.store.why_moved()
    }

    /// Why the catalog's file is damaged, if it was found to be: then it is not used until the next start.
    pub fn why_damaged(&self) -> Option<String> {
        self.store.why_damaged()
    }

    /// What is to be said if another program wrote to the catalog's file. Work goes on: who did so may have meant it.
    pub fn why_written_by_others(&self) -> Option<String> {
        const WRITTEN: &str = "another program wrote to the catalog while Coffer used it; what it changed or removed there is not \
             known. If nobody meant to, stop Coffer, move catalog.db, catalog.db-wal and catalog.db-shm away together, and \
             start it: a catalog that is missing is rebuilt from the archives. This is said until the next start";
        self.store.was_written_by_others().then(|| WRITTEN.to_owned())
    }

    /// Looks at the disk; why nothing can be written to the catalog, if so.
    pub fn why_read_only(&self) -> Option<String> {
        let refused = self.store.why_refused(Purpose::Record)?;
        Some(refused.to_string())
    }

    /// Why nothing new is accepted, if so. As of the last look at the disk.
    pub fn why_full(&self) -> Option<String> {
        let refused = self.store.why_refused(Purpose::NewWork)?;
        matches!(refused, StoreError::Full { .. }).then(|| refused.to_string())
    }

    /// Whether the catalog knows no archive, not even in the trash.
    pub fn is_empty(&self) -> Result<bool> {
        self.store.read(|db| Ok(!db.has_archives()?))
    }

    /// Where the archives of the newest backups are that were made after this.
    pub fn newest_archives(&self, after: Timestamp) -> Result<Vec<Location>> {
        self.store.read(|db| Ok(db.newest_archives(after)?))
    }

    /// Backups whose archive was reported as missing.
    pub fn missing_archives(&self) -> Result<Vec<Backup>> {
        self.store.read(|db| Ok(db.missing_archives()?))
    }

    /// The archive of this backup, which was reported as missing, is there again.
    pub fn archive_is_back(&self, id: BackupId) -> Reply<()> {
        self.write(move |db, rules| Ok(db.clear_missing(id, rules.now())?))
    }
}
