//! The backup of a tree.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, OFlags, readlinkat};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::Value;

use super::content::{ReadAttempt, hides_its_length, stat_after_tick};
use super::extents::extents;
use super::inode_flags::InodeFlags;
use super::options::Options;
use super::walk::{Member, Visit, failed, mounts, open_root, totals, walk};
use super::write_back::WriteBack;
use crate::disk::open_quietly;
use crate::domain::{EntryKind, EntryPath};
use crate::engine::file_stat::{FileStat, now_ns, stat_open};
use crate::engine::pour::PourError;
use crate::engine::tree::{Folders, path_in};
use crate::engine::xattrs::{xattrs, xattrs_at};
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake, NeedsContent, Pulse, printable};

/// How often a file is read that changes meanwhile.
const ATTEMPTS: u32 = 3;

/// How long to wait for a file under a lease: the kernel breaks a lease after 45 seconds
/// (`/proc/sys/fs/lease-break-time`).
const LEASE_WAIT: Duration = Duration::from_secs(60);
const LEASE_POLL: Duration = Duration::from_millis(10);

/// How long the disk may take to write what is dirty.
const SYNC_WAIT: Duration = Duration::from_secs(600);

/// Why the names in a folder cannot be vouched for.
const NAMES_CHANGED: &str =
    "changed after its names were read: what was moved into it meanwhile may be missing";

/// Why a file that changed during every attempt to read it cannot be vouched for.
const CHANGED: &str = "changed while it was read: its content may be inconsistent";

/// Why an entry of a kernel's or a special filesystem is empty.
const LENGTH_UNKNOWN: &str =
    "its filesystem calls it empty, but it can be read: its content is not in the backup";

type Outcome<T> = Result<T, PourError<Errno>>;

/// Reads the tree once into `intake`.
pub(super) fn dump(
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let began_ns = now_ns();
    let options = Options::parse(request.source)?;
    let scratch = std::fs::metadata(request.scratch).ok().map(|found| {
        use std::os::unix::fs::MetadataExt as _;
        (found.dev(), found.ino())
    });
    let pulse = intake.pulse();
    pulse.watch(&options.path, options.answer_wait);
    let bytes = totals(&options, scratch, &pulse)?.bytes;
    intake.announce(bytes)?;
    let mut dump = Dump {
        options: &options,
        intake,
        pulse,
        trust_stamps: request.trust_stamps,
        began_ns,
        write_back: WriteBack::new(began_ns),
        flags: InodeFlags::default(),
        folders: Vec::new(),
        has_mounts: !mounts(&options).is_empty(),
        first_names: HashMap::new(),
        facts: DumpFacts { version: super::VERSION.to_owned(), ..DumpFacts::default() },
        counts: Counts::default(),
    };
    walk(&options, scratch, &mut |visit| dump.visit(visit))?;
    dump.check_folders();
    let Dump { mut facts, counts, .. } = dump;
    if let Ok(Value::Object(counts)) = serde_json::to_value(counts) {
        facts.facts.extend(counts);
    }
    Ok(facts)
}

/// Counted for the facts, under these names.
#[derive(Debug, Default, Serialize)]
struct Counts {
    files: u64,
    bytes: u64,
    folders: u64,
    symbolic_links: u64,
    hard_links: u64,
    passed_over: u64,
    changed_while_read: u64,
}

/// Device, inode and birth time: the inode number of a deleted file is soon reused.
type Identity = (u64, u64, Option<i128>);

fn identity(found: &FileStat) -> Identity {
    (found.device, found.inode, found.born_ns)
}

struct Dump<'dump> {
    options: &'dump Options,
    intake: &'dump mut dyn Intake,
    pulse: Pulse,
    trust_stamps: bool,
    began_ns: i128,
    write_back: WriteBack,
    flags: InodeFlags,
    /// The folders whose names were read, with their inode number and time of change before that.
    folders: Vec<(EntryPath, (u64, i128))>,
    has_mounts: bool,
    /// Files and links with several names: the first name, and how many are still to come.
    first_names: HashMap<Identity, (EntryPath, u32)>,
    facts: DumpFacts,
    counts: Counts,
}

impl Dump<'_> {
    fn visit(&mut self, visit: Visit<'_>) -> Result<(), EngineError> {
        self.pulse.beat();
        match visit {
            Visit::Folder { path, found, folder } => self.folder(path, found, folder),
            Visit::Member(member) => self.member(member),
            Visit::Skipped { path, reason } => {
                self.skipped(path, reason);
                Ok(())
            }
        }
    }

    fn folder(
        &mut self,
        path: &EntryPath,
        found: &FileStat,
        folder: BorrowedFd<'_>,
    ) -> Result<(), EngineError> {
        let mut made = found.entry(path.clone(), EntryKind::Directory);
        made.xattrs = xattrs(folder).map_err(|error| self.failed(path, error))?;
        self.intake.entry(&made, false)?;
        self.name_flags(path, folder, true);
        self.folders.push((path.clone(), (found.inode, found.ctime_ns)));
        self.counts.folders += 1;
        Ok(())
    }

    /// Lists the folders that changed after their names were read. A file that was moved from a folder still to be read
    /// into one of these may be missing in the backup, although it was in the tree all the time.
    fn check_folders(&mut self) {
        let Ok(root) = open_root(&self.options.path) else { return };
        let mut opened = Folders::below(root);
        for (path, before) in std::mem::take(&mut self.folders) {
            self.pulse.beat();
            let found = opened.at(path.as_bytes()).and_then(stat_open);
            let now = found.map(|found| (found.inode, found.ctime_ns));
            if now != Ok(before) {
                self.changed(&path, NAMES_CHANGED);
            }
        }
    }

    fn changed(&mut self, path: &EntryPath, why: &str) {
        self.counts.changed_while_read += 1;
        self.leave_out(path, why);
    }

    fn leave_out(&mut self, path: &EntryPath, why: impl Into<String>) {
        let what = if path.is_root() { ".".to_owned() } else { printable(path) };
        self.facts.leave_out(what, why);
    }

    fn name_flags(&mut self, path: &EntryPath, file: BorrowedFd<'_>, is_folder: bool) {
        if let Some(why) = self.flags.lost(path, file, is_folder) {
            self.leave_out(path, why);
        }
    }

    fn member(&mut self, member: &Member<'_>) -> Result<(), EngineError> {
        let read = if member.found.kind == FileType::Symlink {
            self.link(member)
        } else {
            self.file(member)
        };
        match read {
            Ok(()) => Ok(()),
            Err(PourError::Stopped(stop)) => Err(stop.into()),
            // Removed or replaced since the folder was read.
            Err(PourError::Read(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::INVAL)) => {
                self.skipped(&member.path, "vanished");
                Ok(())
            }
            Err(PourError::Read(error)) => Err(self.failed(&member.path, error)),
        }
    }

    fn skipped(&mut self, path: &EntryPath, reason: &str) {
        self.counts.passed_over += 1;
        self.leave_out(path, reason);
    }

    fn link(&mut self, member: &Member<'_>) -> Outcome<()> {
        if self.hard_link(&member.path, &member.found)? {
            return Ok(());
        }
        let target = readlinkat(member.folder, member.name, Vec::new())
            .map_err(PourError::Read)?
            .into_bytes();
        let mut made = member.found.entry(member.path.clone(), EntryKind::Symlink { target });
        made.xattrs = xattrs_at(&path_in(member.folder, member.name)).map_err(PourError::Read)?;
        self.intake.entry(&made, false)?;
        self.counts.symbolic_links += 1;
        self.await_links(&member.path, &member.found);
        Ok(())
    }

    fn file(&mut self, member: &Member<'_>) -> Outcome<()> {
        if self.hard_link(&member.path, &member.found)? {
            return Ok(());
        }
        let file = self.open(member).map_err(PourError::Read)?;
        if stat_open(file.as_fd()).map_err(PourError::Read)?.kind != FileType::RegularFile {
            return Err(PourError::Read(Errno::NOENT));
        }
        let found = self.content(&member.path, &file)?;
        self.counts.files += 1;
        self.counts.bytes += found.size;
        self.name_flags(&member.path, file.as_fd(), false);
        self.await_links(&member.path, &found);
        Ok(())
    }

    /// Notes a file or symbolic link that has more names.
    fn await_links(&mut self, path: &EntryPath, found: &FileStat) {
        if found.links > 1 {
            self.first_names.insert(identity(found), (path.clone(), found.links - 1));
        }
    }

    /// Gives the file or symbolic link as a hard link if it was read under another name. Returns whether it was.
    fn hard_link(&mut self, path: &EntryPath, found: &FileStat) -> Outcome<bool> {
        let Some((first, left)) = self.first_names.get_mut(&identity(found)) else {
            return Ok(false);
        };
        let kind = EntryKind::HardLink { to: first.clone() };
        *left = left.saturating_sub(1);
        // Through a mount inside the tree there are more names than the file knows of.
        if *left == 0 && !self.has_mounts {
            self.first_names.remove(&identity(found));
        }
        self.intake.entry(&found.entry(path.clone(), kind), false)?;
        self.counts.hard_links += 1;
        Ok(true)
    }

    /// Gives one file, again if it changed meanwhile. A file that changes at the last attempt too is kept as it was
    /// read and listed in the facts: its content may be inconsistent, and it has no stamp that could be trusted.
    fn content(&mut self, path: &EntryPath, file: &OwnedFd) -> Outcome<FileStat> {
        let mut attempt = 1;
        loop {
            let is_last = attempt == ATTEMPTS;
            let before = stat_open(file.as_fd()).map_err(PourError::Read)?;
            self.pulse.beat_for(SYNC_WAIT);
            let has_stamp = self.write_back.changes_show(file.as_fd(), &before) && !is_last;
            self.pulse.beat();
            let (found, changes_show) = stat_after_tick(file.as_fd()).map_err(PourError::Read)?;
            let extents = extents(file.as_fd(), &found, &self.pulse);
            let kind = EntryKind::File { size: found.size, extents };
            let mut made = found.entry(path.clone(), kind);
            made.xattrs = xattrs(file.as_fd()).map_err(PourError::Read)?;
            made.stamp = found.stamp(self.began_ns).filter(|_| has_stamp);
            let trust = self.trust_stamps && made.stamp.is_some();
            if self.intake.entry(&made, trust)? == NeedsContent::No {
                if hides_its_length(file, &found).map_err(PourError::Read)? {
                    self.changed(path, LENGTH_UNKNOWN);
                }
                return Ok(found);
            }
            let EntryKind::File { extents, .. } = &made.kind else { return Ok(found) };
            let extents = extents.as_deref();
            let compare = self.write_back.is_in_memory(found.device);
            let pulse = &self.pulse;
            let reading =
                ReadAttempt { file, found, changes_show, extents, compare, pulse, is_last };
            if reading.pour(self.intake)? {
                return Ok(found);
            }
            if is_last {
                self.changed(path, CHANGED);
                return Ok(found);
            }
            self.intake.retract()?;
            attempt += 1;
        }
    }

    fn failed(&self, path: &EntryPath, error: Errno) -> EngineError {
        failed(&self.options.path, path, error)
    }

    /// Opens a file. If a file server holds a lease on it, opening breaks the lease, and has to wait until the server's
    /// client has written its changes.
    fn open(&self, member: &Member<'_>) -> Result<OwnedFd, Errno> {
        // Without blocking: if a pipe took the file's place, this would wait for ever.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let deadline = Instant::now() + LEASE_WAIT;
        loop {
            match open_quietly(member.folder, member.name, flags) {
                Err(Errno::AGAIN) if Instant::now() < deadline => {
                    self.pulse.beat();
                    std::thread::park_timeout(LEASE_POLL);
                }
                other => return other,
            }
        }
    }
}
