//! Backups, and requests for them.

use super::words::words;
use super::{
    BackupCopy, BackupId, ContainerName, Datastore, Drill, Failure, InstanceId, Kind, LeftOut,
    Location, ProjectId, Status, Timestamp, VerifyLevel,
};

/// What is known of an archive once it is published. A row cannot become COMPLETED without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFacts {
    pub location: Location,
    pub stored_bytes: u64,
    /// What it restores to, in bytes of file content.
    pub source_bytes: u64,
    /// BLAKE3 of the archive file, in hex: what `b3sum` prints.
    pub checksum: String,
    pub verified_at: Timestamp,
    pub verify_level: VerifyLevel,
    /// What it does not hold of the source; the archive's manifest may list more.
    pub left_out: Vec<LeftOut>,
}

words! {
    /// Whether the archive of a backup lies in the data directory.
    pub enum Here {
        Yes = "yes",
        /// It is to go from there, because its copies are proven.
        Leaving = "leaving",
        /// It went: only its copies are left.
        No = "no",
    }
}

/// A backup, as the catalog knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    pub id: BackupId,
    pub project: ProjectId,
    /// What it is a backup of; `None` for a registered archive.
    pub instance: Option<InstanceId>,
    pub name: String,
    pub description: Option<String>,
    /// Full or incremental; until a worker has it, what was asked for.
    pub kind: Kind,
    pub parent: Option<BackupId>,
    pub status: Status,
    pub datastore: Datastore,
    /// The subfolder asked for.
    pub container: Option<ContainerName>,
    pub created: Timestamp,
    /// When its row last changed.
    pub updated: Timestamp,
    /// Present from the moment its archive is published.
    pub facts: Option<ArchiveFacts>,
    pub failure: Option<Failure>,
    /// How much of the source has been read, 0 to 1. Kept in memory only.
    pub progress: f64,
    pub drill: Drill,
    /// When a person asked to keep it, whatever the retention says.
    pub pinned: Option<Timestamp>,
    /// Those in further places, by the name of the place; empty where nobody asked for them.
    pub copies: Vec<BackupCopy>,
    pub here: Here,
}

impl Backup {
    /// A full backup that was just asked for; what else is known of it is set field by field.
    pub fn new(
        id: BackupId,
        project: ProjectId,
        name: String,
        datastore: Datastore,
        created: Timestamp,
    ) -> Self {
        Self {
            id,
            project,
            instance: None,
            name,
            description: None,
            kind: Kind::Full,
            parent: None,
            status: Status::New,
            datastore,
            container: None,
            created,
            updated: created,
            facts: None,
            failure: None,
            progress: 0.0,
            drill: Drill::default(),
            pinned: None,
            copies: Vec::new(),
            here: Here::Yes,
        }
    }
}

/// What a new backup is to be built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentChoice {
    /// Nothing: a full one.
    None,
    /// The newest COMPLETED backup of the instance; a full one if there is none or its chain is broken.
    Newest,
    This(BackupId),
}

/// A request for a backup, already checked field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// 1 to 255 characters, at least one letter or digit.
    pub name: String,
    /// The same, if given.
    pub description: Option<String>,
    pub instance: InstanceId,
    pub parent: ParentChoice,
    /// Subfolder of the project's archives; `None`: the strategy's, else none.
    pub container: Option<ContainerName>,
}

/// A request to register an archive that is already in the storage (`restore_from`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// 1 to 255 characters, at least one letter or digit.
    pub name: String,
    /// The same, if given.
    pub description: Option<String>,
    pub location: Location,
    /// The datastore version the client says it is for.
    pub version_id: String,
}
