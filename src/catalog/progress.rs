//! How far running backups are. In memory only: a number that changes many times a second and is worth
//! nothing after a crash does not belong on a disk that wears.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::{Backup, BackupId, Status};

/// Shares of 1, by backup; only those that run.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<HashMap<BackupId, f64>>);

impl Progress {
    /// Remembers how far it is. What is not a share of 1 is brought there.
    pub(super) fn set(&self, id: BackupId, share: f64) {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self.0.lock().insert(id, share);
    }

    /// It no longer runs.
    pub(super) fn forget(&self, id: BackupId) {
        self.0.lock().remove(&id);
    }

    /// How far it is, if it runs.
    pub(super) fn of(&self, id: BackupId, status: Status) -> Option<f64> {
        status.is_running().then(|| {
            let shares = self.0.lock();
            shares.get(&id).copied().unwrap_or(0.0)
        })
    }

    /// The backup with how far it is.
    pub(super) fn on(&self, backup: Backup) -> Backup {
        let progress = self.of(backup.id, backup.status).unwrap_or(backup.progress);
        Backup { progress, ..backup }
    }
}
