//! The words everything else is written in: ids, states, backups, instances, tree entries.
//!
//! Nothing here does I/O, knows a wire format or names another room.

mod backup;
mod backup_row;
mod caller;
mod cancel;
mod causes;
mod clock;
mod drill;
mod entry;
mod failure;
mod id;
mod instance;
mod page;
mod proof;
mod status;

pub use backup::{ArchiveFacts, Backup, Kind, NewBackup, ParentChoice, Registration};
pub use backup_row::{ArchiveFactsRef, BackupRow};
pub use caller::{Caller, Role};
pub use cancel::Cancel;
pub use causes::with_causes;
pub use clock::{Clock, FixedClock, SystemClock, Timestamp, WireTime};
pub use drill::{Drill, DrillFacts, DrillOutcome, DrillTurn, RowsByTable};
pub use entry::{BadPath, Entry, EntryKind, EntryPath, Extent, Stamp};
pub use failure::{Failure, FailureCode};
pub use id::{BackupId, ContainerName, InstanceId, MalformedId, ProjectId, ProjectIdRef};
pub use instance::{Datastore, Instance, InstanceOrigin, InstanceStatus, Source, Strategy};
pub use page::{Limit, Position};
pub use proof::{CheckLevel, Verify, VerifyLevel};
pub use status::{IllegalTransition, Status};

/// The fixed span a file is cut into, in bytes: every segment but a file's last is this long.
///
/// Positions are what makes an incremental possible: the same span of two versions of a file is
/// compared, whatever was inserted elsewhere. 1 MiB is where zstd's ratio stops growing.
pub const SEGMENT_BYTES: usize = 1 << 20;
