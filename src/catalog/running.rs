//! What runs on a finished backup, beside its life: drills, consolidations and verifications. A delete of the backup cancels
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::{BackupId, Cancel, RunKind};
use crate::store::{Records, RunOf};

use super::{Catalog, Reply, Result};

/// Those that a worker has.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<(RunKind, BackupId), Cancel>>);

impl Running {
    pub(super) fn insert(&self, kind: RunKind, id: BackupId, cancel: Cancel) {
        self.0.lock().insert((kind, id), cancel);
    }

    pub(super) fn remove(&self, kind: RunKind, id: BackupId) {
        self.0.lock().remove(&(kind, id));
    }

    /// Cancels those whose backup is to be removed.
    pub(super) fn cancel_removed(&self, db: Records<'_>) -> Result<()> {
        for ((_kind, id), cancel) in &*self.0.lock() {
            if db.backup(*id)?.is_none_or(|it| it.removal.is_some()) {
                cancel.cancel();
            }
        }
        Ok(())
    }
}

impl Catalog {
    /// A claimed run of this kind begins; a delete of its backup cancels it through this flag. False: it was deleted
    /// already.
    pub fn begin_run(&self, kind: RunKind, id: BackupId, cancel: Cancel) -> Reply<bool> {
        let running = Arc::clone(&self.running);
        // A write, so that it comes after every delete that did not see the flag.
        self.write(move |db, _rules| {
            let wanted = db.backup(id)?.is_some_and(|it| it.removal.is_none());
            if wanted {
                running.insert(kind, id, cancel);
            }
            Ok(wanted)
        })
    }

    /// A claimed run of this kind was interrupted, and is made again unless its backup is to be removed.
    pub fn retry_run(&self, kind: RunKind, id: BackupId) -> Reply<()> {
        let running = Arc::clone(&self.running);
        self.write_then(
            move |db, rules| Ok(db.retry_run(RunOf::backup(kind, id), rules.now()).map(drop)?),
            move |()| running.remove(kind, id),
        )
    }
}
