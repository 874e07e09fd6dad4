//! The members of a base backup, as they come in its tar streams, poured under their names in the archive.
//!
//! The data directory goes to `pgdata`, the tablespaces beside it to `tablespaces/<oid>`, and the links to
//! them lead there wherever the archive is unpacked. `tablespace_map` is left out: a server that finds it
//! would make links to where the tablespaces of the original are.

use std::io::{self, BufReader, Read};

use tar::{Archive, EntryType};

use super::cluster::{CLUSTER_FILE, Cluster, DATA_FOLDER, TABLESPACES};
use super::manifest::{Manifest, Sums, Told};
use crate::domain::{Entry, EntryKind, EntryPath, FailureCode};
use crate::engine::look::now_ns;
use crate::engine::spool::{NotPoured, pour};
use crate::engine::{EngineError, Intake, Refused};

/// The server's list of what it sent.
const MANIFEST: &str = "backup_manifest";
/// Where the tablespaces of the original are.
const TABLESPACE_MAP: &[u8] = b"tablespace_map";
/// The folder of the links to tablespaces. The server does not send the links themselves.
const LINKS: &str = "pg_tblspc";

/// Small reads of headers are served from a buffer; content passes it by.
const BUFFER: usize = 64 << 10;

/// Why a stream was not taken to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// The stream could not be read, or is no tar stream.
    Read(io::Error),
    /// Something else.
    Engine(EngineError),
}

impl From<Refused> for Broken {
    fn from(refused: Refused) -> Self {
        Self::Engine(refused.into())
    }
}

impl From<NotPoured> for Broken {
    fn from(failed: NotPoured) -> Self {
        match failed {
            NotPoured::Read(error) => Self::Read(error),
            NotPoured::Refused(refused) => refused.into(),
        }
    }
}

/// Which of a base backup's streams it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The data directory.
    Base,
    /// The tablespace with this OID.
    Tablespace(u32),
}

/// Pours what comes.
pub(super) struct Members<'a> {
    intake: &'a mut dyn Intake,
    cluster: &'a Cluster,
    sums: Option<Sums>,
    compares: bool,
    /// Whose the server's files are; known from the first member on.
    owner: Option<(u32, u32)>,
    told: Option<Result<Told, String>>,
}

impl<'a> Members<'a> {
    /// `compares`: with the server's manifest.
    pub(super) fn new(intake: &'a mut dyn Intake, cluster: &'a Cluster, compares: bool) -> Self {
        let sums = compares.then(Sums::default);
        Self { intake, cluster, sums, compares, owner: None, told: None }
    }

    /// Takes one stream to its end.
    pub(super) fn take(&mut self, stream: &mut impl Read, part: Part) -> Result<(), Broken> {
        let mut archive = Archive::new(BufReader::with_capacity(BUFFER, &mut *stream));
        for member in archive.entries().map_err(Broken::Read)? {
            self.member(&mut member.map_err(Broken::Read)?, part)?;
        }
        // Behind the end of the archive there may be padding, which its writer must get rid of.
        io::copy(stream, &mut io::sink()).map(drop).map_err(Broken::Read)
    }

    /// Takes a manifest that came as a file of its own.
    pub(super) fn take_manifest(
        &mut self,
        content: &mut impl Read,
        size: u64,
    ) -> Result<(), Broken> {
        let path = format!("{DATA_FOLDER}/{MANIFEST}");
        let entry = self.own(&path, EntryKind::File { size, extents: None }, 0o600)?;
        self.manifest(&entry, content)
    }

    /// Everything came. What the manifest told, if it and what came agree.
    pub(super) fn finish(self) -> Result<Told, EngineError> {
        match self.told {
            Some(Ok(told)) => Ok(told),
            Some(Err(wrong)) => Err(EngineError::known(
                FailureCode::SourceDamaged,
                format!(
                    "the base backup is not what the server's backup manifest says: {wrong}; look for \
                     errors of disk, memory and network, and try again"
                ),
            )),
            None => Err(EngineError::known(
                FailureCode::Tool,
                "the base backup ended before its manifest, its last file, came; try again",
            )),
        }
    }

    fn member<R: Read>(
        &mut self,
        member: &mut tar::Entry<'_, R>,
        part: Part,
    ) -> Result<(), Broken> {
        let name = plain(&member.path_bytes()).to_vec();
        let entry = entry_of(member, &name, part)?;
        self.begin(&entry)?;
        match part {
            Part::Base if name == TABLESPACE_MAP => self.left_out(member, &name),
            Part::Base if name == MANIFEST.as_bytes() => {
                let (uid, gid) = self.owner.unwrap_or_default();
                self.manifest(&Entry { uid, gid, ..entry }, member)
            }
            Part::Base => {
                self.content(&entry, member, &name)?;
                if name == LINKS.as_bytes() { self.links() } else { Ok(()) }
            }
            Part::Tablespace(oid) => {
                let whole = [format!("{LINKS}/{oid}/").as_bytes(), &name].concat();
                self.content(&entry, member, &whole)
            }
        }
    }

    /// `path`: how the manifest calls it.
    fn content(&mut self, entry: &Entry, from: &mut impl Read, path: &[u8]) -> Result<(), Broken> {
        let mut crc = 0;
        let compares = self.compares;
        let poured = pour(entry, from, self.intake, |piece| {
            if compares {
                crc = crc32c::crc32c_append(crc, piece);
            }
        });
        poured.map_err(|failed| cut(failed, path))?;
        if let (EntryKind::File { size, .. }, Some(sums)) = (&entry.kind, &mut self.sums) {
            sums.add(path, *size, crc);
        }
        Ok(())
    }

    fn links(&mut self) -> Result<(), Broken> {
        for oid in &self.cluster.tablespaces {
            let target = format!("../../{TABLESPACES}/{oid}").into_bytes();
            let path = format!("{DATA_FOLDER}/{LINKS}/{oid}");
            let link = self.own(&path, EntryKind::Symlink { target }, 0o777)?;
            self.intake.entry(&link, false)?;
        }
        Ok(())
    }

    fn left_out(&mut self, from: &mut impl Read, path: &[u8]) -> Result<(), Broken> {
        let mut content = Vec::new();
        from.read_to_end(&mut content).map_err(Broken::Read)?;
        if let Some(sums) = &mut self.sums {
            let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
            sums.add(path, size, crc32c::crc32c(&content));
        }
        Ok(())
    }

    fn manifest(&mut self, entry: &Entry, from: &mut impl Read) -> Result<(), Broken> {
        let mut manifest = Manifest::new(self.sums.take());
        pour(entry, from, self.intake, |piece| manifest.see(piece))?;
        self.told = Some(manifest.finish());
        Ok(())
    }

    /// Before the first member: what the archive holds besides the server's files, as its owner's.
    fn begin(&mut self, first: &Entry) -> Result<(), Broken> {
        if self.owner.is_some() {
            return Ok(());
        }
        self.owner = Some((first.uid, first.gid));
        let folder = |members: &Self, path: &str| members.own(path, EntryKind::Directory, 0o700);
        let root = folder(self, "")?;
        self.intake.entry(&root, false)?;
        let note = self.cluster.to_json();
        let size = u64::try_from(note.len()).unwrap_or_default();
        let entry = self.own(CLUSTER_FILE, EntryKind::File { size, extents: None }, 0o600)?;
        pour(&entry, &mut note.as_slice(), self.intake, |_| ())?;
        let data = folder(self, DATA_FOLDER)?;
        self.intake.entry(&data, false)?;
        if self.cluster.tablespaces.is_empty() {
            return Ok(());
        }
        let all = folder(self, TABLESPACES)?;
        self.intake.entry(&all, false)?;
        for oid in &self.cluster.tablespaces {
            let one = folder(self, &format!("{TABLESPACES}/{oid}"))?;
            self.intake.entry(&one, false)?;
        }
        Ok(())
    }

    /// An entry that no stream has.
    fn own(&self, path: &str, kind: EntryKind, mode: u32) -> Result<Entry, Broken> {
        let (uid, gid) = self.owner.unwrap_or_default();
        let mtime_ns = now_ns();
        let path = placed(path.as_bytes())?;
        Ok(Entry { path, kind, mode, uid, gid, mtime_ns, xattrs: Vec::new(), stamp: None })
    }
}

/// A stream that ends within a member, in words.
fn cut(failed: NotPoured, path: &[u8]) -> NotPoured {
    match failed {
        NotPoured::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let shown = String::from_utf8_lossy(path);
            NotPoured::Read(io::Error::new(
                error.kind(),
                format!("it ends in the middle of {shown}"),
            ))
        }
        other => other,
    }
}

/// A member's name: the server writes `./pg_wal/archive_status`, and others with a slash at the end.
fn plain(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_suffix(b"/").unwrap_or(name)
}

/// The entry of a member.
fn entry_of<R: Read>(member: &tar::Entry<'_, R>, name: &[u8], part: Part) -> Result<Entry, Broken> {
    let header = member.header();
    let (path, kind) = match part {
        Part::Base => {
            let path = [DATA_FOLDER.as_bytes(), b"/", name].concat();
            (path, kind_of(member, name)?)
        }
        Part::Tablespace(oid) => {
            let path = [format!("{TABLESPACES}/{oid}/").as_bytes(), name].concat();
            (path, kind_of(member, name)?)
        }
    };
    let number = |read: io::Result<u64>| {
        read.and_then(|it| u32::try_from(it).map_err(io::Error::other)).map_err(Broken::Read)
    };
    Ok(Entry {
        path: placed(&path)?,
        kind,
        mode: header.mode().map_err(Broken::Read)? & 0o7777,
        uid: number(header.uid())?,
        gid: number(header.gid())?,
        mtime_ns: i128::from(header.mtime().map_err(Broken::Read)?) * 1_000_000_000,
        xattrs: Vec::new(),
        stamp: None,
    })
}

fn kind_of<R: Read>(member: &tar::Entry<'_, R>, name: &[u8]) -> Result<EntryKind, Broken> {
    let strange = || {
        let shown = String::from_utf8_lossy(name).into_owned();
        Broken::Read(io::Error::other(format!("{shown} is nothing that a data directory holds")))
    };
    match member.header().entry_type() {
        EntryType::Directory => Ok(EntryKind::Directory),
        EntryType::Regular | EntryType::Continuous => {
            Ok(EntryKind::File { size: member.size(), extents: None })
        }
        _ => Err(strange()),
    }
}

fn placed(path: &[u8]) -> Result<EntryPath, Broken> {
    EntryPath::new(path).map_err(|error| Broken::Read(io::Error::other(error)))
}
