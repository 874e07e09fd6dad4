//! Drills: asked for, handed out, and what they found. A drill is no step of a backup's life: the row
//! stays what it is, and a drill is given up as soon as its backup is to be removed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::lineage;
use super::rules::{Rules, visible_backup};
use super::settle::archived;
use super::{Catalog, CatalogError, DrillJob, Job, Read, Reply, Scope, Write};
use crate::domain::{
    Backup, BackupId, Cancel, Datastore, DrillFacts, DrillTurn, Failure, InstanceId, RowsByTable,
    Source, Timestamp,
};
use crate::store::{DamageIn, Records};

/// The flags of the drills that run.
#[derive(Debug, Default)]
pub(super) struct RunningDrills(Mutex<HashMap<BackupId, Cancel>>);

impl RunningDrills {
    fn set(&self, id: BackupId, cancel: Cancel) {
        self.0.lock().insert(id, cancel);
    }

    fn forget(&self, id: BackupId) {
        self.0.lock().remove(&id);
    }

    /// Asks those to end whose backup is to be removed.
    pub(super) fn give_up_removed(&self, db: Records<'_>) -> Result<(), CatalogError> {
        for (id, cancel) in &*self.0.lock() {
            if db.backup(*id)?.is_none_or(|it| it.removal.is_some()) {
                cancel.cancel();
            }
        }
        Ok(())
    }
}

/// How a drill ended, and when.
#[derive(Debug, Clone, Copy)]
pub struct DrillEnd {
    /// When.
    pub at: Timestamp,
    /// After how long.
    pub took: Duration,
}

impl Catalog {
    /// Asks for a drill of a finished backup; one that waits or runs already is not asked for twice.
    pub fn ask_drill(&self, scope: &Scope<Write>, id: BackupId) -> Reply<Backup> {
        let scope = scope.clone();
        self.write_and_ring(move |db, rules| rules.accept_drill(db, &scope, id))
    }

    /// The rows that the last drill counted in each table; none if it did not pass.
    pub fn drill_rows(
        &self,
        scope: &Scope<Read>,
        id: BackupId,
    ) -> Result<RowsByTable, CatalogError> {
        self.store.read(|db| {
            visible_backup(db, scope, id)?;
            Ok(db.drill_rows(id)?)
        })
    }

    /// A claimed drill begins, and runs until this flag is asked: a delete asks it. False: one did already,
    /// and it does not begin.
    pub fn drill_begins(&self, id: BackupId, cancel: Cancel) -> Reply<bool> {
        let drills = Arc::clone(&self.drills);
        // Behind every delete that did not see the flag.
        self.write(move |db, _rules| {
            let claimed =
                db.backup(id)?.is_some_and(|it| it.backup.drill.next == Some(DrillTurn::Claimed));
            if claimed {
                drills.set(id, cancel);
            }
            Ok(claimed)
        })
    }

    /// A drill passed: its backup is proven as far as can be, and what an earlier drill found wrong is taken
    /// back. A backup that is gone by now is fine.
    pub fn drill_passed(
        &self,
        id: BackupId,
        end: DrillEnd,
        facts: DrillFacts,
        rows: RowsByTable,
    ) -> Reply<()> {
        self.drill_ended(id, move |db| {
            db.set_drill_passed(id, (end.at, end.took), &facts, &rows)?;
            Ok(())
        })
    }

    /// A drill could not be made, or found damage: `damaged` says in which backup, and whether in what it
    /// restores to (as opposed to the archive's bytes). Nothing is built on that one from then on.
    pub fn drill_failed(
        &self,
        id: BackupId,
        end: DrillEnd,
        failure: Failure,
        damaged: Option<(BackupId, Failure, bool)>,
    ) -> Reply<()> {
        self.drill_ended(id, move |db| {
            db.set_drill_failed(id, (end.at, end.took), &failure)?;
            if let Some((culprit, damage, in_data)) = damaged {
                let place = if in_data { DamageIn::Data } else { DamageIn::Archive };
                db.set_damaged(culprit, (&damage, place), end.at)?;
            }
            Ok(())
        })
    }

    /// A claimed drill was interrupted and is to be made again, unless its backup is to be removed.
    pub fn drill_interrupted(&self, id: BackupId) -> Reply<()> {
        let drills = Arc::clone(&self.drills);
        self.write_then(
            move |db, _rules| Ok(db.reopen_drill(id).map(drop)?),
            move |()| drills.forget(id),
        )
    }

    fn drill_ended(
        &self,
        id: BackupId,
        write: impl FnOnce(Records<'_>) -> Result<(), CatalogError> + Send + 'static,
    ) -> Reply<()> {
        let drills = Arc::clone(&self.drills);
        self.write_then(
            move |db, _rules| {
                db.close_drill(id)?;
                write(db)
            },
            move |()| drills.forget(id),
        )
    }

    /// The database of an instance was reached and told its version.
    pub fn note_version(&self, id: InstanceId, seen: Datastore) -> Reply<()> {
        self.write(move |db, rules| {
            db.set_version(id, &seen, rules.now())?;
            Ok(())
        })
    }
}

impl Rules {
    fn accept_drill(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        id: BackupId,
    ) -> Result<Backup, CatalogError> {
        let record = visible_backup(db, scope, id)?;
        if record.removal.is_some() {
            let why = format!("Backup {id} is being deleted: there is nothing left to prove.");
            return Err(CatalogError::NotNow { why });
        }
        let Backup { status, datastore, project, .. } = record.backup;
        if !status.is_usable() {
            let why = format!("Backup {id} is {status}: only COMPLETED ones can be drilled.");
            return Err(CatalogError::NotNow { why });
        }
        if !self.has_engine(&datastore.engine) {
            let engine = datastore.engine;
            return Err(CatalogError::NotSupported { operation: "backup_drill", engine });
        }
        archived(db, id)?;
        lineage::chain_to_look_at(db, &project, id)?.map_err(|broken| broken.refuse(id))?;
        db.ask_drill(id, self.now())?;
        Ok(visible_backup(db, scope, id)?.backup)
    }

    /// The oldest drill whose chain is there; those whose chain broke meanwhile fail here.
    pub(super) fn next_drill(&self, db: Records<'_>) -> Result<Option<Job>, CatalogError> {
        while let Some(record) = db.claim_drill()? {
            let Backup { id, project, instance, datastore, .. } = record.backup;
            match lineage::chain_to_look_at(db, &project, id)? {
                Ok(chain) => {
                    let source = source_of(db, instance, &datastore)?;
                    return Ok(Some(Job::Drill(Box::new(DrillJob { chain, id, source }))));
                }
                Err(broken) => {
                    db.close_drill(id)?;
                    db.set_drill_failed(id, (self.now(), Duration::ZERO), &broken.failure())?;
                }
            }
        }
        Ok(None)
    }
}

/// Where the instance's data is, if it is still of the engine that made the backup.
fn source_of(
    db: Records<'_>,
    instance: Option<InstanceId>,
    datastore: &Datastore,
) -> Result<Option<Source>, CatalogError> {
    let Some(id) = instance else { return Ok(None) };
    let found = db.instance(id)?.map(|it| it.instance);
    let same =
        found.filter(|it| it.datastore.engine == datastore.engine && !it.source.0.is_empty());
    Ok(same.map(|it| it.source))
}
