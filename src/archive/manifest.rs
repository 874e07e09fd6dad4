//! The manifest: what an archive is, for people, scripts and a catalog that has to be rebuilt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, Flaw};
use super::order::Order;
use crate::domain::{
    BackupId, ContainerName, Datastore, InstanceId, Kind, ProjectId, SEGMENT_BYTES, Timestamp,
};

/// The longest manifest that is written or read.
pub(super) const LONGEST_MANIFEST: usize = 16 << 20;
/// The longest chain.
const LONGEST_CHAIN: usize = 10_000;

/// `.coffer/manifest.json`. Small whatever the backup's size: what is known of each file (path, size,
/// mode, owner, times, BLAKE3) is in the index, because 100,000 files would make 30 MB of JSON.
///
/// A reader ignores keys it does not know: a later Coffer may add some without a new format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's number.
    pub format: u32,
    /// The oldest format a reader must know to read this.
    pub min_reader: u32,
    /// `coffer` and its version.
    pub producer: String,
    /// `full` or `incremental`.
    #[serde(with = "kind")]
    pub kind: Kind,
    /// What the catalog knew of the backup.
    pub backup: BackupFacts,
    /// The engine, and the version of what it read.
    pub datastore: Datastore,
    /// The full backup this one is built on; of a full one itself.
    pub root_id: BackupId,
    /// Every backup needed to restore this one, the root first, this one last.
    pub chain: Vec<BackupId>,
    /// BLAKE3 of the parent's manifest, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_manifest: Option<String>,
    /// The unit in which an incremental stores changes, in bytes.
    pub page_bytes: u32,
    /// The unit in which files are cut, in bytes.
    pub segment_bytes: u32,
    /// When reading began.
    #[serde(with = "text")]
    pub started: Timestamp,
    /// When reading ended.
    #[serde(with = "text")]
    pub finished: Timestamp,
    /// The engine's facts of the source.
    pub source: serde_json::Value,
    /// Sums.
    pub totals: Totals,
    /// The index, which follows the manifest in the file.
    pub index: IndexFacts,
    /// The shell commands that restore without Coffer.
    pub restore: Vec<String>,
    /// Keys of later versions, kept as they are.
    #[serde(flatten)]
    pub further: BTreeMap<String, serde_json::Value>,
}

/// What the catalog knew of a backup: enough to make its row again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// Its id.
    pub id: BackupId,
    /// As given by the client.
    pub name: String,
    /// As given by the client.
    pub description: Option<String>,
    /// Whose it is.
    pub project_id: ProjectId,
    /// What it is a backup of.
    pub instance_id: Option<InstanceId>,
    /// That instance's name.
    pub instance_name: String,
    /// The backup it is built on. Filled in by the writer.
    pub parent_id: Option<BackupId>,
    /// The subfolder asked for.
    pub container: Option<ContainerName>,
    /// When it was asked for.
    #[serde(with = "text")]
    pub created: Timestamp,
}

/// Sums over an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: u64,
    /// Regular files among them.
    pub files: u64,
    /// Bytes in these files, holes included.
    pub content_bytes: u64,
    /// Segments that this archive holds whole.
    pub stored_segments: u64,
    /// Segments that this archive holds changed pages of.
    pub patched_segments: u64,
    /// Segments that were read and found as they were.
    pub unchanged_segments: u64,
    /// Files that were not read: size, times and inode said that they are as they were.
    pub unread_files: u64,
}

/// How to know the index again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFacts {
    /// BLAKE3 of the index's frames as they are stored, in hex.
    pub blake3: String,
    /// Its length before compression.
    pub raw_bytes: u64,
    /// In which order its entries are.
    #[serde(default)]
    pub order: Order,
}

/// What the maker of an archive says of it; the writer knows the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestDraft {
    /// What the catalog knows; `parent_id` is filled in by the writer.
    pub backup: BackupFacts,
    /// The engine, and the version of what it read.
    pub datastore: Datastore,
    /// When reading began.
    pub started: Timestamp,
    /// When reading ended.
    pub finished: Timestamp,
    /// The engine's facts of the source.
    pub source: serde_json::Value,
    /// The shell commands that restore without Coffer.
    pub restore: Vec<String>,
}

impl Manifest {
    /// The manifest as the member's content.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| ArchiveError::TooLarge(format!("the manifest ({error})")))?;
        json.push(b'\n');
        if json.len() > LONGEST_MANIFEST || self.chain.len() > LONGEST_CHAIN {
            let what =
                format!("a manifest of {} bytes, a chain of {}", json.len(), self.chain.len());
            return Err(ArchiveError::TooLarge(what));
        }
        Ok(json)
    }

    /// The manifest in this member's content.
    pub(super) fn parse(json: &[u8]) -> Result<Self, Flaw> {
        let found: Self = serde_json::from_slice(json)
            .map_err(|error| Flaw(format!("its manifest cannot be read ({error})")))?;
        let ends = (found.chain.first(), found.chain.last());
        let full = found.kind == Kind::Full;
        let sound = ends == (Some(&found.root_id), Some(&found.backup.id))
            && full == (found.chain.len() == 1)
            && full == found.backup.parent_id.is_none()
            && found.chain.len() <= LONGEST_CHAIN
            && usize::try_from(found.segment_bytes) == Ok(SEGMENT_BYTES);
        if sound { Ok(found) } else { Err(Flaw::new("its manifest contradicts itself")) }
    }
}

/// Times as RFC 3339 text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(it: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(it)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The kind as its word.
mod kind {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::domain::Kind;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(it: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(it.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let word = String::deserialize(from)?;
        [Kind::Full, Kind::Incremental]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| de::Error::custom(format!("unknown kind {word:?}")))
    }
}
