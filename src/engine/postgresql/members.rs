//! The members of a base backup: read from its tar streams, given to the intake under their archive names.
//!
//! The data directory goes to `pgdata` and each tablespace to `tablespaces/<oid>`, with relative links, so that
//! the archive can be unpacked anywhere. `tablespace_map` is left out: a server that finds it would create
//! links to the original's tablespaces.

use std::io::{self, BufReader, Read};

use tar::{Archive, EntryType};

use super::cluster::{CLUSTER_FILE, Cluster, DATA_FOLDER, TABLESPACES};
use super::manifest::{Checksums, Manifest, ManifestSummary};
use super::server_info::SettingsFile;
use super::settings::{SettingsEntry, no_settings};
use crate::domain::{Entry, EntryKind, EntryPath, FailureCode, LeftOut, num};
use crate::engine::file_stat::now_ns;
use crate::engine::pour::{PourError, pour};
use crate::engine::{EngineError, Intake, Result};

/// The server's list of the files that it sent.
const MANIFEST: &str = "backup_manifest";
const TABLESPACE_MAP: &[u8] = b"tablespace_map";
/// The folder of the links to tablespaces. The server does not send the links themselves.
const LINKS: &str = "pg_tblspc";

/// For reading headers; content bypasses the buffer.
const BUFFER: usize = 64 << 10;

/// One of a base backup's streams.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Base,
    Tablespace(u32),
}

/// Reads the streams of one base backup.
pub(super) struct Members<'a> {
    intake: &'a mut dyn Intake,
    cluster: &'a Cluster,
    /// Configuration files from outside of the data directory.
    settings: &'a [SettingsFile],
    /// The data directory holds a `postgresql.conf`.
    has_settings: bool,
    /// The number of files of unlogged tables and their indexes, of which a base backup has only the empty beginning.
    unlogged: u64,
    checksums: Option<Checksums>,
    /// Owner and group of the server's files; known from the first member on.
    owner: Option<(u32, u32)>,
    manifest: Option<Result<ManifestSummary, String>>,
}

impl<'a> Members<'a> {
    /// `compare`: compare the content with the checksums in the server's manifest.
    pub(super) fn new(
        intake: &'a mut dyn Intake,
        cluster: &'a Cluster,
        settings: &'a [SettingsFile],
        compare: bool,
    ) -> Self {
        let checksums = compare.then(Checksums::default);
        Self {
            intake,
            cluster,
            settings,
            has_settings: !settings.is_empty(),
            unlogged: 0,
            checksums,
            owner: None,
            manifest: None,
        }
    }

    pub(super) fn read(&mut self, stream: &mut impl Read, part: Part) -> Result<(), PourError> {
        let mut archive = Archive::new(BufReader::with_capacity(BUFFER, &mut *stream));
        for member in archive.entries().map_err(PourError::Read)? {
            self.member(&mut member.map_err(PourError::Read)?, part)?;
        }
        // After the archive there may be padding, which its writer waits to get rid of.
        io::copy(stream, &mut io::sink()).map(drop).map_err(PourError::Read)
    }

    /// Reads a manifest that is a file of its own.
    pub(super) fn read_manifest(
        &mut self,
        content: &mut impl Read,
        size: u64,
    ) -> Result<(), PourError> {
        let path = format!("{DATA_FOLDER}/{MANIFEST}");
        let entry = self.new_entry(&path, EntryKind::File { size, extents: None }, 0o600)?;
        self.manifest(&entry, content)
    }

    /// After the last stream: what the manifest says, if everything agrees with it.
    pub(super) fn finish(self) -> Result<ManifestSummary> {
        match self.manifest {
            Some(Ok(summary)) => Ok(summary),
            Some(Err(problem)) => Err(EngineError::known(
                FailureCode::SourceDamaged,
                format!(
                    "the base backup does not match the server's backup manifest: {problem}; look for \
                     errors of disk, memory and network, and try again"
                ),
            )),
            None => Err(EngineError::known(
                FailureCode::Tool,
                "the base backup ended before its manifest, which is its last file; try again",
            )),
        }
    }

    /// What of the server is in none of the members that were read.
    pub(super) fn left_out(&self, role: &str) -> Vec<LeftOut> {
        let mut list = Vec::new();
        if !self.has_settings {
            list.push(no_settings(role));
        }
        if self.unlogged > 0 {
            let why = "an unlogged table is empty in a base backup, as after a crash";
            list.push(LeftOut::new(
                format!("unlogged tables and their indexes ({})", self.unlogged),
                why,
            ));
        }
        list
    }

    fn member<R: Read>(
        &mut self,
        member: &mut tar::Entry<'_, R>,
        part: Part,
    ) -> Result<(), PourError> {
        let name = without_dot_and_slash(&member.path_bytes()).to_vec();
        let entry = entry_of(member, &name, part)?;
        self.begin(&entry)?;
        self.has_settings |= matches!(part, Part::Base) && name == b"postgresql.conf";
        self.unlogged += u64::from(name.ends_with(b"_init"));
        match part {
            Part::Base if name == TABLESPACE_MAP => self.leave_out(member, &name),
            Part::Base if name == MANIFEST.as_bytes() => {
                let (uid, gid) = self.owner.unwrap_or_default();
                self.manifest(&Entry { uid, gid, ..entry }, member)
            }
            Part::Base => {
                self.content(&entry, member, &name)?;
                if name == LINKS.as_bytes() { self.links() } else { Ok(()) }
            }
            Part::Tablespace(oid) => {
                let in_manifest = [format!("{LINKS}/{oid}/").as_bytes(), &name].concat();
                self.content(&entry, member, &in_manifest)
            }
        }
    }

    /// `path`: the file's name in the manifest.
    fn content(
        &mut self,
        entry: &Entry,
        from: &mut impl Read,
        path: &[u8],
    ) -> Result<(), PourError> {
        let mut crc = 0;
        let compare = self.checksums.is_some();
        let poured = pour(entry, from, self.intake, |piece| {
            if compare {
                crc = crc32c::crc32c_append(crc, piece);
            }
        });
        poured.map_err(|failed| name_cut_member(failed, path))?;
        if let (EntryKind::File { size, .. }, Some(checksums)) = (&entry.kind, &mut self.checksums)
        {
            checksums.add(path, *size, crc);
        }
        Ok(())
    }

    fn links(&mut self) -> Result<(), PourError> {
        for oid in &self.cluster.tablespaces {
            let target = format!("../../{TABLESPACES}/{oid}").into_bytes();
            let path = format!("{DATA_FOLDER}/{LINKS}/{oid}");
            self.add(&path, EntryKind::Symlink { target }, 0o777)?;
        }
        Ok(())
    }

    fn leave_out(&mut self, from: &mut impl Read, path: &[u8]) -> Result<(), PourError> {
        let mut content = Vec::new();
        from.read_to_end(&mut content).map_err(PourError::Read)?;
        if let Some(checksums) = &mut self.checksums {
            let size = num::to_u64(content.len());
            checksums.add(path, size, crc32c::crc32c(&content));
        }
        Ok(())
    }

    fn manifest(&mut self, entry: &Entry, from: &mut impl Read) -> Result<(), PourError> {
        let mut manifest = Manifest::new(self.checksums.take());
        pour(entry, from, self.intake, |piece| manifest.update(piece))?;
        self.manifest = Some(manifest.finish());
        Ok(())
    }

    /// Before the first member: the entries that the archive has besides the server's files. They get the
    /// same owner.
    fn begin(&mut self, first: &Entry) -> Result<(), PourError> {
        if self.owner.is_some() {
            return Ok(());
        }
        self.owner = Some((first.uid, first.gid));
        self.add("", EntryKind::Directory, 0o700)?;
        self.add_file(CLUSTER_FILE, &self.cluster.to_json())?;
        for entry in SettingsEntry::all(self.settings) {
            match entry {
                SettingsEntry::Folder(path) => self.add(&path, EntryKind::Directory, 0o700)?,
                SettingsEntry::File(path, content) => self.add_file(&path, content)?,
            }
        }
        self.add(DATA_FOLDER, EntryKind::Directory, 0o700)?;
        if self.cluster.tablespaces.is_empty() {
            return Ok(());
        }
        self.add(TABLESPACES, EntryKind::Directory, 0o700)?;
        for oid in &self.cluster.tablespaces {
            self.add(&format!("{TABLESPACES}/{oid}"), EntryKind::Directory, 0o700)?;
        }
        Ok(())
    }

    /// Adds a file that is in no stream.
    fn add_file(&mut self, path: &str, mut content: &[u8]) -> Result<(), PourError> {
        let size = num::to_u64(content.len());
        let entry = self.new_entry(path, EntryKind::File { size, extents: None }, 0o600)?;
        pour(&entry, &mut content, self.intake, |_| ())
    }

    /// Adds an entry without content that is in no stream.
    fn add(&mut self, path: &str, kind: EntryKind, mode: u32) -> Result<(), PourError> {
        let entry = self.new_entry(path, kind, mode)?;
        self.intake.entry(&entry, false).map(drop).map_err(PourError::Stopped)
    }

    fn new_entry(&self, path: &str, kind: EntryKind, mode: u32) -> Result<Entry, PourError> {
        let (uid, gid) = self.owner.unwrap_or_default();
        let (path, mtime_ns) = (entry_path(path.as_bytes())?, now_ns());
        Ok(Entry { path, kind, mode, uid, gid, mtime_ns, xattrs: Vec::new(), stamp: None })
    }
}

/// Names the member in which a stream ends too early.
fn name_cut_member(failed: PourError, path: &[u8]) -> PourError {
    match failed {
        PourError::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let path = String::from_utf8_lossy(path);
            PourError::Read(io::Error::new(error.kind(), format!("it ends within {path}")))
        }
        other => other,
    }
}

/// The server writes `./pg_wal/archive_status`, and some names with a slash at the end.
fn without_dot_and_slash(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_suffix(b"/").unwrap_or(name)
}

fn entry_of<R: Read>(
    member: &tar::Entry<'_, R>,
    name: &[u8],
    part: Part,
) -> Result<Entry, PourError> {
    let header = member.header();
    let folder = match part {
        Part::Base => format!("{DATA_FOLDER}/"),
        Part::Tablespace(oid) => format!("{TABLESPACES}/{oid}/"),
    };
    let number = |read: io::Result<u64>| {
        read.and_then(|it| u32::try_from(it).map_err(io::Error::other)).map_err(PourError::Read)
    };
    Ok(Entry {
        path: entry_path(&[folder.as_bytes(), name].concat())?,
        kind: kind_of(member, name)?,
        mode: header.mode().map_err(PourError::Read)? & 0o7777,
        uid: number(header.uid())?,
        gid: number(header.gid())?,
        mtime_ns: i128::from(header.mtime().map_err(PourError::Read)?) * 1_000_000_000,
        xattrs: Vec::new(),
        stamp: None,
    })
}

fn kind_of<R: Read>(member: &tar::Entry<'_, R>, name: &[u8]) -> Result<EntryKind, PourError> {
    match member.header().entry_type() {
        EntryType::Directory => Ok(EntryKind::Directory),
        EntryType::Regular | EntryType::Continuous => {
            Ok(EntryKind::File { size: member.size(), extents: None })
        }
        _ => {
            let name = String::from_utf8_lossy(name);
            let problem = format!("{name} is neither a file nor a folder");
            Err(PourError::Read(io::Error::other(problem)))
        }
    }
}

fn entry_path(path: &[u8]) -> Result<EntryPath, PourError> {
    EntryPath::new(path).map_err(|error| PourError::Read(io::Error::other(error)))
}
