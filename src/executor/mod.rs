//! The threads that do the work: they claim jobs from the catalog and bring engine, archive and storage
//! together. No HTTP here; the command line uses the same functions without the threads.
//!
//! A backup runs engine → archive → storage → catalog: dump into a pending archive, finish it, sync it,
//! read it back and prove it, publish it, and only then is it COMPLETED. Whatever instant the process
//! dies, [`recover`] leaves no row running and no file half there at the next start.

mod backup;
mod chain;
mod drill;
mod error;
mod export;
mod facts;
mod guard;
mod pace;
mod pour;
mod rebuild;
mod recover;
mod register;
mod remove;
mod restore;
mod settle;
mod verify;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::catalog::Catalog;
use crate::domain::{Cancel, Clock};
use crate::storage::{Local, Storage};

pub use chain::{open as open_chain, open_files};
pub use drill::{Drilled, Drilling, drill, record as record_drill};
pub use error::JobError;
pub use export::export;
pub use pace::Pace;
pub use rebuild::{Rebuilt, rebuild};
pub use recover::{Recovery, recover};
pub use restore::{RestoreReport, Restoring, restore};
pub use verify::{Verified, verify};
pub use worker::Executor;

/// How the work is done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Jobs at a time.
    pub workers: usize,
    /// Threads that hash and compress, within one job.
    pub compression_threads: usize,
    /// zstd's level.
    pub compression_level: i32,
    /// Every Nth backup of an instance reads everything again, whatever the stamps say; 0: never.
    pub reread_every: u64,
    /// How much of the machine's time the jobs leave to others: their threads' nice value.
    pub nice: i32,
    /// How fast sources are read.
    pub pace: Arc<Pace>,
    /// How long a deleted archive can still be fetched out of the trash.
    pub trash_window: Duration,
    /// Bytes that a drill leaves free where it restores to.
    pub headroom_bytes: u64,
}

/// Everything a job needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The records.
    pub catalog: Arc<Catalog>,
    /// Where archives lie.
    pub storage: Arc<dyn Storage>,
    /// Where restored instances lie.
    pub local: Arc<Local>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung when there is something to do.
    pub bell: Arc<Bell>,
    /// How the work is done.
    pub settings: Settings,
    /// Asked at shutdown.
    pub cancel: Cancel,
}

/// How far something long has come: bytes done, and bytes in all.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);
