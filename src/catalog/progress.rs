//! How far running backups are. In memory only: the number changes many times a second, and nobody needs
//! it after a crash.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::domain::{Backup, BackupId};

/// Shares of 1 by backup, of those that run.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<HashMap<BackupId, f64>>);

impl Progress {
    /// Sets how far it is, clamped to 0 to 1.
    pub(super) fn set(&self, id: BackupId, share: f64) {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self.0.lock().insert(id, share);
    }

    pub(super) fn forget(&self, id: BackupId) {
        self.0.lock().remove(&id);
    }

    /// Sets how far the backup is, if it runs.
    pub(super) fn read_into(&self, backup: &mut Backup) {
        if backup.status.is_running() {
            backup.progress = self.0.lock().get(&backup.id).copied().unwrap_or(0.0);
        }
    }
}
