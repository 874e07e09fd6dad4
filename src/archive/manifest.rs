//! The manifest: what an archive is. It is for people, for scripts, and for rebuilding the catalog.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, Damage, Result};
use super::order::Order;
use crate::domain::{
    BackupId, ContainerName, Datastore, InstanceId, Kind, ProjectId, SEGMENT_BYTES, Timestamp,
};

/// The longest manifest that is written or read.
pub(crate) const MAX_MANIFEST_BYTES: usize = 8 << 20;
/// The most values that the JSON of one may have: in memory each takes up to a hundred times its text.
const MAX_VALUES: usize = 1 << 16;
const MAX_CHAIN: usize = 10_000;

/// `.coffer/manifest.json`. It is small whatever the size of the backup: the metadata of each file (path, size,
/// mode, owner, times, BLAKE3) is in the index, because 100,000 files would make 30 MB of JSON.
///
/// A reader ignores keys that it does not know, so that a later Coffer can add some without a new format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The lowest format number that a reader must support. The trailer has it too, and is checked first.
    pub min_reader: u32,
    /// `coffer` and its version: what wrote the archive.
    pub producer: String,
    pub kind: Kind,
    /// What the catalog knew of the backup when the archive was made.
    pub backup: BackupDescription,
    pub datastore: Datastore,
    /// The full backup at the root of the chain; of a full backup, its own id.
    pub root_id: BackupId,
    /// Every backup that is needed to restore this one: the root first, this one last.
    pub chain: Vec<BackupId>,
    /// BLAKE3 of the parent's manifest in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_manifest: Option<String>,
    /// If it was made of other archives and not of the source: of which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consolidated: Option<Consolidated>,
    /// The unit in which an incremental stores changes, in bytes.
    pub page_bytes: u32,
    pub segment_bytes: u32,
    /// When reading the source began.
    #[serde(with = "rfc3339")]
    pub started: Timestamp,
    #[serde(with = "rfc3339")]
    pub finished: Timestamp,
    /// What the engine recorded of the source.
    pub source: serde_json::Value,
    pub totals: Totals,
    /// How to check the index, which follows the manifest in the file.
    pub index: IndexSummary,
    /// Shell commands that restore the backup without Coffer.
    pub restore: Vec<String>,
    /// Keys of later versions, which this one does not know and keeps unchanged.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// What the catalog knows of a backup: enough to write its row again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupDescription {
    pub id: BackupId,
    pub name: String,
    pub description: Option<String>,
    pub project_id: ProjectId,
    pub instance_id: Option<InstanceId>,
    pub instance_name: String,
    /// The backup that it is built on. The writer fills it in.
    pub parent_id: Option<BackupId>,
    pub container: Option<ContainerName>,
    #[serde(with = "rfc3339")]
    pub created: Timestamp,
}

/// What a full backup was made of that has the same moment and content as an incremental one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consolidated {
    /// The incremental backup.
    pub from: BackupId,
    /// The archives that were read for it: the root first, `from` last.
    pub chain: Vec<BackupId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: u64,
    pub files: u64,
    /// Bytes in these files, holes included.
    pub content_bytes: u64,
    /// Those of them that are in holes. Zero in older archives, which did not count them.
    pub hole_bytes: u64,
    /// Segments that this archive has completely.
    pub stored_segments: u64,
    /// Segments of which this archive has the changed pages.
    pub patched_segments: u64,
    /// Segments that were read and had not changed.
    pub unchanged_segments: u64,
    /// Files that were not read, because size, times and inode showed that they had not changed.
    pub unread_files: u64,
}

impl Totals {
    /// How many bytes a restore takes on a disk.
    pub const fn restored_bytes(&self) -> u64 {
        self.content_bytes.saturating_sub(self.hole_bytes)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSummary {
    /// BLAKE3 of the index's compressed frames, in hex.
    pub blake3: String,
    /// Its length before compression.
    pub raw_bytes: u64,
    #[serde(default)]
    pub order: Order,
}

/// What the writer needs for the manifest; it knows the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestDraft {
    /// What the catalog knows. The writer fills in `parent_id`.
    pub backup: BackupDescription,
    pub datastore: Datastore,
    pub started: Timestamp,
    pub finished: Timestamp,
    /// What the engine recorded of the source.
    pub source: serde_json::Value,
    /// Shell commands that restore the backup without Coffer.
    pub restore: Vec<String>,
    /// Of what it is made, if not of the source.
    pub consolidated: Option<Consolidated>,
    /// A second `.coffer/RESTORE.txt`, which replaces the first one when the archive is unpacked: for what is
    /// only known at the end.
    pub final_text: Option<String>,
}

impl Manifest {
    /// The content of `.coffer/manifest.json`.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        // In memory only the size of the text can be a reason.
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| ArchiveError::TooLarge(format!("the manifest ({error})")))?;
        json.push(b'\n');
        let values = count_values(&json);
        if json.len() > MAX_MANIFEST_BYTES || values > MAX_VALUES || self.chain.len() > MAX_CHAIN {
            let (bytes, chain) = (json.len(), self.chain.len());
            let what =
                format!("a manifest of {bytes} bytes and {values} values, a chain of {chain}");
            return Err(ArchiveError::TooLarge(what));
        }
        Ok(json)
    }

    /// Reads `.coffer/manifest.json`, and checks that kind, chain, parent and segment length agree.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Damage> {
        if count_values(json) > MAX_VALUES {
            return Err(Damage::new("its manifest has more values than any that is written"));
        }
        let found: Self = serde_json::from_slice(json)
            .map_err(|error| Damage(format!("its manifest cannot be read ({error})")))?;
        let ends = (found.chain.first(), found.chain.last());
        let full = found.kind == Kind::Full;
        let sound = ends == (Some(&found.root_id), Some(&found.backup.id))
            && full == (found.chain.len() == 1)
            && full == found.backup.parent_id.is_none()
            && found.chain.len() <= MAX_CHAIN
            && usize::try_from(found.segment_bytes) == Ok(SEGMENT_BYTES);
        if sound { Ok(found) } else { Err(Damage::new("its manifest contradicts itself")) }
    }
}

/// How many values a JSON text has, at most: each is behind a comma or a bracket.
fn count_values(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

/// Times as RFC 3339 text.
mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::domain::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_without_what_is_in_texts() {
        for (json, count) in [
            (&br#"{"a": 1, "b": [2, 3]}"#[..], 5),
            (br#"["a,[{", "\"," , "\\", 1]"#, 5),
            (b"[[],[],[]]", 7),
        ] {
            assert_eq!(count_values(json), count, "{}", String::from_utf8_lossy(json));
        }
    }
}
