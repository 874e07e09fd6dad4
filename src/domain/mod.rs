//! The types every room shares: ids, states, backups, instances, runs, entries of a source, events.
//!
//! Nothing here does I/O, knows a wire format or uses another room.

mod backup;
mod caller;
mod cancel;
mod causes;
mod clock;
mod copy;
mod drill;
mod entry;
mod event;
mod failure;
mod fleet;
mod harmless;
mod health;
mod id;
mod instance;
mod io;
mod kind;
mod left_out;
mod location;
mod log_format;
pub mod num;
mod page;
mod proof;
mod quota;
mod run;
mod secret;
mod shell_word;
mod status;
mod words;

pub use backup::{ArchiveFacts, Backup, Here, NewBackup, ParentChoice, Registration};
pub use caller::{Caller, IssuedTokenSource, Role};
pub use cancel::Cancel;
pub use causes::with_causes;
pub use clock::{Clock, FixedClock, SystemClock, Timestamp};
pub use copy::{
    BackupCopy, CopyProof, CopyState, FailingCopy, Holding, InstanceCopies, PlaceCopies,
    PlaceTrouble, RemovedPlace, SentPart,
};
pub use drill::{Drill, DrillFacts, DrillOutcome, NextDrill, RowsByTable, Verdict};
pub use entry::{BadPath, Entry, EntryKind, EntryPath, Extent, Stamp};
pub use event::{Action, Actor, Event, EventHash, Origin, Outcome, Recorded};
pub use failure::{Damage, DamageIn, Failure, FailureCode};
pub use fleet::{FleetArchive, FleetBackup, FleetInstance, FleetReading, is_device};
pub use harmless::{for_json, for_people, harmless};
pub use health::{
    BadBackup, CompletedBackup, DiskRoom, DrillRun, FailedAttempt, PassedDrill, Queues,
};
pub use id::{
    AlertId, BackupId, ContainerName, DeliveryId, InstanceId, MalformedId, ProjectId, RunId,
};
pub use instance::{Datastore, Instance, InstanceOrigin, InstanceStatus, Source, Strategy};
pub use io::{ReadAt, WriteAt};
pub use kind::Kind;
pub use left_out::LeftOut;
pub use location::{BadLocation, Location};
pub use log_format::LogFormat;
pub use page::{Limit, Position};
pub use proof::{CheckLevel, Verify, VerifyLevel};
pub use quota::{ProjectQuota, QuotaResource};
pub use run::{BackupPhases, PastOutcome, PastRun, Run, RunEnd, RunKind, RunNumbers, RunResult};
pub use secret::Secret;
pub use shell_word::shell_word;
pub use status::Status;
pub(crate) use words::words;

/// The length of a segment in bytes. Files are cut at multiples of it; only a file's last segment is shorter.
///
/// Because the cuts are at fixed positions, an incremental backup compares the same range of two versions
/// of a file. 1 MiB is where zstd's compression ratio stops growing.
pub const SEGMENT_BYTES: usize = 1 << 20;
