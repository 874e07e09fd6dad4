//! Reading archives again: which one is next, and what was found.

use std::time::Duration;

use crate::domain::{
    Backup, BackupId, Damage, DamageIn, InstanceId, RunEnd, RunKind, RunResult, Timestamp,
    VerifyLevel,
};
use crate::store::Records;

use super::rules::{LAST_INSTANT, Rules};
use super::steps::require_archive;
use super::{Catalog, CatalogError, Reply, Result};

/// How long an archive that could not be read is not tried again, so that it does not hold up the others.
const TRIED_LATELY: Duration = Duration::from_secs(24 * 3600);

impl Catalog {
    /// The archive to read again now: the one whose proof is oldest, if that is old enough.
    pub fn next_scrub(&self) -> Result<Option<Backup>> {
        let Some(after) = self.rules.settings.scrub_after else { return Ok(None) };
        let now = self.rules.now();
        self.store.read(|db| {
            let found = oldest_proof_of_all(db, now.minus(TRIED_LATELY))?;
            let Some((id, _)) = found.filter(|(_, proof)| proof.plus(after) <= now) else {
                return Ok(None);
            };
            Ok(db.backup(id)?.map(|it| it.backup))
        })
    }

    /// Whether work waits or is under way that reading archives again would slow down.
    pub fn is_working(&self) -> Result<bool> {
        self.store.read(|db| Ok::<_, CatalogError>(db.is_working()?))
    }

    /// An archive was read again. `level`: how far its backup was proven when it was made.
    pub fn end_scrub(
        &self,
        id: BackupId,
        end: RunEnd,
        level: VerifyLevel,
        damage: Option<Damage>,
    ) -> Reply<()> {
        self.write(move |db, _rules| {
            let facts = require_archive(db, id)?;
            if end.result == RunResult::Done {
                let level = level.max(facts.verify_level);
                db.set_verified(id, end.at, level, DamageIn::Archive)?;
            }
            if let Some(damage) = damage {
                db.set_damaged(&damage, end.at)?;
            }
            Ok(db.add_run(RunKind::Verify, id, &end)?)
        })
    }
}

impl Rules {
    /// When the first archive of an instance is to be read again.
    pub(super) fn next_scrub(&self, db: Records<'_>, id: InstanceId) -> Result<Option<Timestamp>> {
        let Some(after) = self.settings.scrub_after else { return Ok(None) };
        let oldest = db.oldest_proof(Some(id), Timestamp::from_micros(LAST_INSTANT))?;
        Ok(oldest.map(|(_, proof)| proof.plus(after).max(self.now())))
    }
}

fn oldest_proof_of_all(db: Records<'_>, tried: Timestamp) -> Result<Option<(BackupId, Timestamp)>> {
    let mut oldest = db.oldest_proof(None, tried)?;
    let mut after = String::new();
    while let Some(instance) = db.instance_with_archives(&after)? {
        let of_instance = db.oldest_proof(Some(instance), tried)?;
        oldest = oldest.into_iter().chain(of_instance).min_by_key(|(id, proof)| (*proof, *id));
        after = instance.to_string();
    }
    Ok(oldest)
}
