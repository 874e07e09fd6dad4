//! Bytes out of a tree.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use serde_json::Value;

use super::content::{Cut, Reading, settled};
use super::entry::{entry, extents, xattrs};
use super::options::Options;
use super::totals::totals;
use super::walk::{Member, Visitor, failed, walk};
use crate::domain::{EntryKind, EntryPath};
use crate::engine::look::{Look, look_open, now_ns};
use crate::engine::{DumpFacts, DumpOrder, EngineError, Intake, PassedOver, Wants, printable};

/// How often a file that changes while it is read is begun again.
const TRIES: u32 = 3;

/// How long a file that is lent out is waited for: the kernel takes it back from its holder after 45 seconds
/// (`/proc/sys/fs/lease-break-time`).
const LENT_OUT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How many members a list in the facts names; the rest is counted.
const LISTED: usize = 1000;

/// Reads the tree once into `intake`.
pub(super) fn dump(
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    dump_begun_at(now_ns(), order, intake)
}

/// The same, at a time the caller says.
pub(super) fn dump_begun_at(
    began_ns: i128,
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let options = Options::parse(order.source)?;
    let scratch = std::fs::metadata(order.scratch).ok().map(|found| {
        use std::os::unix::fs::MetadataExt as _;
        (found.dev(), found.ino())
    });
    let (bytes, _) = totals(&options, scratch)?;
    intake.expect(bytes)?;
    let mut dump = Dump {
        options: &options,
        intake,
        trust_stamps: order.trust_stamps,
        began_ns,
        scratch,
        first_names: HashMap::new(),
        facts: DumpFacts { version: super::VERSION.to_owned(), ..DumpFacts::default() },
        counts: Counts::default(),
    };
    walk(&options, &mut dump)?;
    let Dump { mut facts, counts, .. } = dump;
    counts.tell(&mut facts);
    Ok(facts)
}

#[derive(Debug, Default)]
struct Counts {
    files: u64,
    bytes: u64,
    folders: u64,
    symbolic_links: u64,
    hard_links: u64,
    passed_over: u64,
    changed_while_read: u64,
}

impl Counts {
    fn tell(&self, facts: &mut DumpFacts) {
        for (name, count) in [
            ("files", self.files),
            ("bytes", self.bytes),
            ("folders", self.folders),
            ("symbolic_links", self.symbolic_links),
            ("hard_links", self.hard_links),
            ("passed_over", self.passed_over),
            ("changed_while_read", self.changed_while_read),
        ] {
            facts.facts.insert(name.to_owned(), Value::from(count));
        }
    }
}

/// Device, number and time of birth: the number of a file that is gone is given to another one at once.
type Identity = (u64, u64, Option<i128>);

fn identity(found: &Look) -> Identity {
    (found.device, found.inode, found.born_ns)
}

struct Dump<'dump> {
    options: &'dump Options,
    intake: &'dump mut dyn Intake,
    trust_stamps: bool,
    began_ns: i128,
    scratch: Option<(u64, u64)>,
    /// Files with several names: the first of them, and how many are still to come.
    first_names: HashMap<Identity, (EntryPath, u32)>,
    facts: DumpFacts,
    counts: Counts,
}

impl Visitor for Dump<'_> {
    fn folder(
        &mut self,
        path: &EntryPath,
        found: &Look,
        folder: BorrowedFd<'_>,
    ) -> Result<(), EngineError> {
        let mut made = entry(path, EntryKind::Directory, found);
        made.xattrs = xattrs(folder).map_err(|error| self.failed(path, error))?;
        self.intake.entry(&made, false)?;
        self.counts.folders += 1;
        Ok(())
    }

    fn member(&mut self, member: &Member<'_>) -> Result<(), EngineError> {
        let read = if member.found.kind == FileType::Symlink {
            self.link(member)
        } else {
            self.file(member)
        };
        match read {
            Ok(()) => Ok(()),
            Err(Cut::Refused(refused)) => Err(refused.into()),
            // Gone since the folder was read, or something else took its place.
            Err(Cut::Read(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::INVAL)) => {
                self.passed_over(&member.path, "vanished");
                Ok(())
            }
            Err(Cut::Read(error)) => Err(self.failed(&member.path, error)),
        }
    }

    fn passed_over(&mut self, path: &EntryPath, reason: &str) {
        self.counts.passed_over += 1;
        if self.facts.passed_over.len() < LISTED {
            let reason = reason.to_owned();
            self.facts.passed_over.push(PassedOver { path: printable(path), reason });
        }
    }

    fn is_foreign(&self, found: &Look) -> bool {
        self.scratch == Some(found.identity())
    }
}

impl Dump<'_> {
    fn link(&mut self, member: &Member<'_>) -> Result<(), Cut> {
        let target = readlinkat(member.folder, member.name, Vec::new())?.into_bytes();
        let kind = EntryKind::Symlink { target };
        self.intake.entry(&entry(&member.path, kind, &member.found), false)?;
        self.counts.symbolic_links += 1;
        Ok(())
    }

    fn file(&mut self, member: &Member<'_>) -> Result<(), Cut> {
        if self.is_later_name(&member.path, &member.found)? {
            return Ok(());
        }
        let file = opened(member)?;
        if look_open(file.as_fd())?.kind != FileType::RegularFile {
            return Err(Errno::NOENT.into());
        }
        let found = self.content(&member.path, &file)?;
        self.counts.files += 1;
        self.counts.bytes += found.size;
        if found.links > 1 {
            let rest = (member.path.clone(), found.links - 1);
            self.first_names.insert(identity(&found), rest);
        }
        Ok(())
    }

    /// Whether the file came before under another name; then it is given as a link to that.
    fn is_later_name(&mut self, path: &EntryPath, found: &Look) -> Result<bool, Cut> {
        let Some((first, left)) = self.first_names.get_mut(&identity(found)) else {
            return Ok(false);
        };
        let kind = EntryKind::HardLink { to: first.clone() };
        *left -= 1;
        if *left == 0 {
            self.first_names.remove(&identity(found));
        }
        self.intake.entry(&entry(path, kind, found), false)?;
        self.counts.hard_links += 1;
        Ok(true)
    }

    /// Gives one file, again if it changed meanwhile. What still changes at the last try is kept as it
    /// came and named in the facts: its content is torn, and it has no stamp that could be trusted.
    fn content(&mut self, path: &EntryPath, file: &OwnedFd) -> Result<Look, Cut> {
        let mut tried = 1;
        loop {
            let last_try = tried == TRIES;
            let (found, quiet) = settled(file.as_fd())?;
            let extents = extents(file.as_fd(), &found);
            let kind = EntryKind::File { size: found.size, extents: extents.clone() };
            let mut made = entry(path, kind, &found);
            made.xattrs = xattrs(file.as_fd())?;
            made.stamp = if last_try { None } else { found.stamp(self.began_ns) };
            let trust = self.trust_stamps && made.stamp.is_some();
            if self.intake.entry(&made, trust)? == Wants::Nothing {
                return Ok(found);
            }
            let reading = Reading { file, found, quiet, extents: extents.as_deref(), last_try };
            if reading.pour(self.intake)? {
                return Ok(found);
            }
            if last_try {
                self.counts.changed_while_read += 1;
                if self.facts.changed_while_read.len() < LISTED {
                    self.facts.changed_while_read.push(printable(path));
                }
                return Ok(found);
            }
            self.intake.retract()?;
            tried += 1;
        }
    }

    fn failed(&self, path: &EntryPath, error: Errno) -> EngineError {
        failed(&self.options.path, path, error)
    }
}

/// Opens a file. A file server may have lent it to a client (a lease): then the open asks for it back, and
/// has to wait until the client has written what it still held.
fn opened(member: &Member<'_>) -> Result<OwnedFd, Errno> {
    // Not blocking: a pipe that took the file's place would make this wait for ever.
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let deadline = Instant::now() + LENT_OUT;
    loop {
        match openat(member.folder, member.name, flags, Mode::empty()) {
            Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::park_timeout(LOOK_AGAIN),
            other => return other,
        }
    }
}
