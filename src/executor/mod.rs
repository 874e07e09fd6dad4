//! The threads that do the work: they claim jobs from the catalog and bring engine, archive and storage
//! together. The command line uses the same functions without the threads.
//!
//! A backup runs engine → archive → storage → catalog: the engine's dump goes into an archive under a temporary
//! name, which is synced, read back and proven, and published; only then is the backup COMPLETED. Whenever the
//! process dies, at the next start [`settle`] settles every job that was running and removes unfinished files.

mod chain;
mod consolidate;
mod copies;
mod copy;
mod copy_source;
mod drill;
mod error;
mod export;
mod facts;
mod fetch;
mod fleet;
mod in_place;
mod instance_file;
mod inventory;
mod jobs;
mod key_trials;
mod leaving;
mod older_catalog;
mod outline;
mod pace;
mod places;
mod presence;
mod proof;
mod rebuild;
mod recover;
mod restore;
mod salvage;
mod scrub;
mod staging;
mod undelete;
mod verify;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bell::Bell;
use crate::catalog::Catalog;
use crate::domain::{Cancel, Clock};
use crate::encryption::SigningKey;
use crate::storage::{Local, Storage};

pub use chain::{appended, open as open_chain, open_files};
pub use drill::{DrillPlan, PassedDrill, drill, record as record_drill};
pub use error::{BadLink, JobError, Result};
pub use export::export;
pub use facts::left_out;
pub use fetch::{Fetched, fetch};
pub use fleet::{FleetTarget, read_fleet};
pub use in_place::{InPlacePlan, restore_in_place};
pub use inventory::Inventory;
pub use key_trials::{EncryptedTo, note_keys};
pub use pace::Pace;
pub use places::{
    CopyTarget, Places, accept_loss as accept_loss_of_place, look_at_disks,
    settle as settle_places, take_over,
};
pub use presence::{accept_loss, note_room, why_archives_missing};
pub use proof::{record as record_proof, record_pin};
pub use rebuild::{BROUGHT_BACK, NOT_BROUGHT_BACK, RebuildReport, rebuild};
pub use recover::{Recovery, settle};
pub use restore::{RestorePlan, RestoreReport, restore};
pub use salvage::{SalvageReport, open_bytes, salvage};
pub use undelete::undelete;
pub use verify::{VerifyReport, check_bytes, verify};
pub use worker::Executor;

#[derive(Debug, Clone)]
pub struct Settings {
    pub workers: usize,
    /// Threads that hash and compress, within one job.
    pub compression_threads: usize,
    pub compression_level: i32,
    /// Every Nth backup of an instance reads every file, also if size, times and inode are unchanged; 0: none does.
    pub reread_every: u64,
    /// The nice value of the threads that run jobs.
    pub nice: i32,
    pub pace: Arc<Pace>,
    /// How long a deleted archive can still be fetched out of the trash.
    pub trash_window: Duration,
    /// Bytes that a drill leaves free where it restores to.
    pub headroom_bytes: u64,
    /// For how many more backups of every instance there should be room.
    pub room_for_backups: u32,
    pub drill_limit: Option<Duration>,
    /// How fast archives are read again; `None`: they are not.
    pub scrub: Option<Arc<Pace>>,
}

/// Everything a job needs. `bell` is rung when there is something to do; `cancel` is cancelled at shutdown;
/// `places` are where copies go.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the types say what the fields are")]
pub struct Context {
    pub catalog: Arc<Catalog>,
    pub storage: Arc<dyn Storage>,
    /// The data directory: temporary files, restored instances and the trash, wherever the archives are.
    pub local: Arc<Local>,
    pub clock: Arc<dyn Clock>,
    pub bell: Arc<Bell>,
    pub settings: Settings,
    pub cancel: Cancel,
    /// Whether nothing more is begun, and nothing waits for better times.
    pub stopping: Arc<AtomicBool>,
    pub places: Places,
    /// Signs archives; `None`: they are not signed.
    pub signer: Option<Arc<SigningKey>>,
}

impl Context {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The signature of an archive whose manifest has this hash.
    fn sign(&self, manifest_hash: &[u8; 32]) -> Vec<u8> {
        self.signer.as_ref().map_or_else(Vec::new, |it| it.sign(manifest_hash).to_bytes())
    }
}

/// A duration as it is recorded.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Called with the bytes done so far, and the total.
pub type OnProgress<'a> = &'a (dyn Fn(u64, u64) + Sync);
