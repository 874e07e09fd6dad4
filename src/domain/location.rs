//! The location of an archive in its store.

use std::fmt;
use std::str::FromStr;

use memchr::memchr2;

use super::{BackupId, ContainerName, InstanceId, Kind, ProjectId};

/// How the names of archives end. An incremental's ending tells people that it needs others.
const FULL: &str = ".tar.zst";
const INCREMENTAL: &str = ".incr.zst";
/// What follows if it is encrypted.
const ENCRYPTED: &str = ".age";

const LONGEST: usize = 1024;

/// The path of an archive in the storage, `/`-separated.
///
/// Ours are `<project>/[<container>/]<instance>/<backup id>.tar.zst`, or `.incr.zst` for an incremental, with `.age`
/// behind it if it is encrypted. An
/// archive that a person put there may have any path that does not lead out of the storage, has no hidden
/// folder in it and ends as archives do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    text: String,
    backup: Option<BackupId>,
}

/// A text that is not the location of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the location of an archive in this storage")]
pub struct BadLocation {
    /// The text, cut to 200 characters.
    pub text: String,
}

impl BadLocation {
    pub fn new(text: &str) -> Self {
        Self { text: text.chars().take(200).collect() }
    }
}

impl Location {
    /// Where the archive of this backup belongs.
    pub fn of(
        project: &ProjectId,
        container: Option<&ContainerName>,
        instance: InstanceId,
        backup: BackupId,
        kind: Kind,
    ) -> Self {
        let folder = container.map_or_else(String::new, |name| format!("{name}/"));
        let name = Self::file_name(backup, kind);
        Self { text: format!("{project}/{folder}{instance}/{name}"), backup: Some(backup) }
    }

    /// The name of a backup's archive file.
    pub fn file_name(backup: BackupId, kind: Kind) -> String {
        let ending = if kind == Kind::Full { FULL } else { INCREMENTAL };
        format!("{backup}{ending}")
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn name(&self) -> &str {
        self.text.rsplit_once('/').map_or(&*self.text, |(_folders, name)| name)
    }

    /// The backup that the file is named after. A registered archive may have any name, and any content.
    pub const fn backup_id(&self) -> Option<BackupId> {
        self.backup
    }

    /// What the ending says: whether the archive restores on its own.
    pub fn kind(&self) -> Kind {
        if content_name(&self.text).ends_with(INCREMENTAL) { Kind::Incremental } else { Kind::Full }
    }

    /// What the ending says: whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.text.ends_with(ENCRYPTED)
    }

    /// The location of the same archive when it is encrypted.
    #[must_use]
    pub fn encrypted(&self) -> Self {
        let text = format!("{}{ENCRYPTED}", content_name(&self.text));
        Self { text, backup: self.backup }
    }

    /// The location of the same archive when it is not.
    #[must_use]
    pub fn decrypted(&self) -> Self {
        Self { text: content_name(&self.text).to_owned(), backup: self.backup }
    }

    /// The project whose folder it is in.
    pub fn project(&self) -> Option<ProjectId> {
        self.text.split_once('/').and_then(|(project, _rest)| project.parse().ok())
    }

    /// Whether it is in the folder of this project.
    pub fn is_in(&self, project: &ProjectId) -> bool {
        self.text.strip_prefix(project.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A name without what says that the file is encrypted.
fn content_name(text: &str) -> &str {
    text.strip_suffix(ENCRYPTED).unwrap_or(text)
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        // Byte for byte: every row of every list is read through here.
        let bytes = text.as_bytes();
        let stays_below = text.len() <= LONGEST
            && memchr2(b'\0', b'\\', bytes).is_none()
            && bytes.split(|it| *it == b'/').all(|part| !matches!(part.first(), None | Some(b'.')));
        let name = content_name(text);
        let is_archive = name.ends_with(FULL) || name.ends_with(INCREMENTAL);
        if !stays_below || !is_archive {
            return Err(BadLocation::new(text));
        }
        let mut location = Self { text: text.to_owned(), backup: None };
        location.backup = location.name().split('.').next().and_then(|stem| stem.parse().ok());
        Ok(location)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
