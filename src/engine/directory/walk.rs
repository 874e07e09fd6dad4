//! A sorted, depth-first walk that stays inside the tree even if it changes meanwhile.
//!
//! Every folder is opened relative to the one it is in, and no symbolic link is followed, so the walk never leaves the
//! root, whatever is renamed. It keeps the names of the folders it is in, and few of those open.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::content::stat_after_tick;
use super::options::{Options, toml_text};
use crate::disk::open_quietly;
use crate::domain::shell_word;
use crate::domain::{EntryPath, FailureCode, LeftOut};
use crate::engine::file_stat::{FileStat, stat_at, stat_open};
use crate::engine::mounts::{answers, mounts_below, require_answer};
use crate::engine::source_path::invalid;
use crate::engine::tree::Folders;
use crate::engine::{EngineError, Pulse, hidden_home, printable};

/// How many folders are open at once. Others are opened again on the way back.
const MAX_OPEN_FOLDERS: usize = 32;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const OTHER_FILE_SYSTEM: &str = "another filesystem (one_file_system)";
const KERNEL: &str =
    "filesystem of the kernel's own: it shows the running system, and holds no files";

/// Filesystems that the kernel makes up (`/proc/filesystems`).
const OF_KERNEL: [&str; 20] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// What a walk finds.
#[derive(Clone, Copy)]
pub(super) enum Visit<'walk> {
    /// An open folder. Its members come next.
    Folder { path: &'walk EntryPath, found: &'walk FileStat, folder: BorrowedFd<'walk> },
    /// A file or symbolic link.
    Member(&'walk Member<'walk>),
    /// Something that is not read, and why.
    Skipped { path: &'walk EntryPath, reason: &'static str },
}

type Visitor<'visit> = dyn FnMut(Visit<'_>) -> Result<(), EngineError> + 'visit;

/// A file or symbolic link, and the open folder it is in.
pub(super) struct Member<'walk> {
    pub(super) path: EntryPath,
    pub(super) found: FileStat,
    pub(super) folder: BorrowedFd<'walk>,
    pub(super) name: &'walk OsStr,
}

/// The names in one folder, the last first, in one allocation.
#[derive(Debug, Default)]
struct Names {
    bytes: Vec<u8>,
    spans: Vec<(usize, usize)>,
}

struct Level {
    path: EntryPath,
    names: Names,
    /// `None` if it was closed so that few are open.
    folder: Option<OwnedFd>,
}

/// Walks the tree that `options` describe. Skips the folder that is `scratch`, by device and inode number.
pub(super) fn walk(
    options: &Options,
    scratch: Option<(u64, u64)>,
    visit: &mut Visitor<'_>,
) -> Result<(), EngineError> {
    require_answer(&options.path, options.answer_wait)?;
    let root = open_root(&options.path)?;
    let mut levels = Vec::new();
    let device = stat_open(root.as_fd()).map_or(0, |found| found.device);
    let opened = open_quietly(root.as_fd(), OsStr::new("."), FOLDER)
        .map_err(|error| failed(&options.path, &EntryPath::root(), error))?;
    let folders = RefCell::new(Folders::below(root));
    let walker = Walker { options, scratch, folders, device, mounts: mounts(options) };
    walker.enter(EntryPath::root(), opened, &mut levels, visit)?;
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop();
            continue;
        };
        let path = level.path.join(&name).map_err(|error| invalid(error.to_string()))?;
        if options.excludes(&path) {
            continue;
        }
        if let Some(reason) = walker.passes_mount(&path) {
            visit(Visit::Skipped { path: &path, reason })?;
            continue;
        }
        if let Some(folder) = walker.step(level, path, &name, visit)? {
            let (path, opened) = folder;
            if levels.len() >= MAX_OPEN_FOLDERS
                && let Some(above) = levels.last_mut()
            {
                above.folder = None;
            }
            walker.enter(path, opened, &mut levels, visit)?;
        }
    }
    Ok(())
}

/// What a tree has, from metadata alone.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// About how many bytes of content. Holes do not count, and a file with several names counts once.
    pub(super) bytes: u64,
    pub(super) members: u64,
    /// What is not read, with the reason.
    pub(super) skipped: Vec<LeftOut>,
}

pub(super) fn totals(
    options: &Options,
    scratch: Option<(u64, u64)>,
    pulse: &Pulse,
) -> Result<Totals, EngineError> {
    let mut totals = Totals::default();
    walk(options, scratch, &mut |visit| {
        pulse.beat();
        match visit {
            Visit::Skipped { path, reason } => {
                totals.skipped.push(LeftOut::new(printable(path), reason));
                return Ok(());
            }
            Visit::Member(Member { found, .. }) if found.kind == FileType::RegularFile => {
                let allocated = found.size.min(found.allocated) / u64::from(found.links.max(1));
                totals.bytes = totals.bytes.saturating_add(allocated);
            }
            Visit::Member(_) | Visit::Folder { .. } => {}
        }
        totals.members += 1;
        Ok(())
    })?;
    Ok(totals)
}

struct Walker<'walk> {
    options: &'walk Options,
    scratch: Option<(u64, u64)>,
    /// For those that were closed.
    folders: RefCell<Folders>,
    /// The device of the root.
    device: u64,
    mounts: HashMap<EntryPath, String>,
}

/// Where filesystems are mounted in the tree, and of which kind they are.
pub(super) fn mounts(options: &Options) -> HashMap<EntryPath, String> {
    let root = std::fs::canonicalize(&options.path).unwrap_or_else(|_| options.path.clone());
    let mounts = mounts_below(&root).into_iter();
    mounts
        .filter_map(|(at, kind)| Some((EntryPath::new(at.into_os_string().into_vec()).ok()?, kind)))
        .collect()
}

impl Walker<'_> {
    /// Why the filesystem that is mounted at `path` is not read; `None` if there is none, or it is read.
    fn passes_mount(&self, path: &EntryPath) -> Option<&'static str> {
        let kind = self.mounts.get(path)?;
        if OF_KERNEL.contains(&kind.as_str()) {
            return Some(KERNEL);
        }
        if self.options.one_file_system {
            return Some(OTHER_FILE_SYSTEM);
        }
        let answers = answers(&self.options.path.join(path.as_path()), self.options.answer_wait);
        (!answers).then_some("mounted filesystem that does not answer")
    }

    /// Visits one name. Returns an opened folder, to be entered.
    fn step(
        &self,
        level: &mut Level,
        path: EntryPath,
        name: &[u8],
        visit: &mut Visitor<'_>,
    ) -> Result<Option<(EntryPath, OwnedFd)>, EngineError> {
        let name = OsStr::from_bytes(name);
        let opened = self.reopened(level).and_then(|folder| {
            let found = stat_at(folder.as_fd(), name)?;
            let is_read = self.scratch != Some(found.identity()) && !self.is_elsewhere(&found);
            if found.kind == FileType::Directory && is_read {
                return Ok((found, Some(open_quietly(folder.as_fd(), name, FOLDER)?)));
            }
            Ok((found, None))
        });
        let found = match opened {
            Ok((_, Some(opened))) => return Ok(Some((path, opened))),
            Ok((found, None)) => found,
            // Removed or replaced meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                visit(Visit::Skipped { path: &path, reason: "vanished" })?;
                return Ok(None);
            }
            Err(error) => return Err(self.failed(&path, error)),
        };
        let reason = match found.kind {
            _ if self.is_elsewhere(&found) => OTHER_FILE_SYSTEM,
            FileType::RegularFile | FileType::Symlink => {
                let Some(folder) = &level.folder else { return Ok(None) };
                let member = Member { path, found, folder: folder.as_fd(), name };
                return visit(Visit::Member(&member)).map(|()| None);
            }
            FileType::Directory => "Coffer's own working folder",
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            _ => "device",
        };
        visit(Visit::Skipped { path: &path, reason }).map(|()| None)
    }

    fn is_elsewhere(&self, found: &FileStat) -> bool {
        self.options.one_file_system && found.device != self.device
    }

    /// The folder of a level, opened again if it was closed.
    fn reopened<'level>(&self, level: &'level mut Level) -> Result<&'level OwnedFd, Errno> {
        let folder = match level.folder.take() {
            Some(folder) => folder,
            None => self.folders.borrow_mut().opened(level.path.as_bytes())?,
        };
        Ok(level.folder.insert(folder))
    }

    fn enter(
        &self,
        path: EntryPath,
        folder: OwnedFd,
        levels: &mut Vec<Level>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        // The metadata first: a change of the names from here on has a later time.
        let read = || Ok((stat_after_tick(folder.as_fd())?.0, Names::of(&folder)?));
        let (found, names) = read().map_err(|error| self.failed(&path, error))?;
        visit(Visit::Folder { path: &path, found: &found, folder: folder.as_fd() })?;
        levels.push(Level { path, names, folder: Some(folder) });
        Ok(())
    }

    fn failed(&self, path: &EntryPath, error: Errno) -> EngineError {
        failed(&self.options.path, path, error)
    }
}

/// The failure to read `path` in the tree at `root`.
pub(super) fn failed(root: &Path, path: &EntryPath, error: Errno) -> EngineError {
    let shown = root.join(path.as_path());
    if !matches!(error, Errno::ACCESS | Errno::PERM) {
        return EngineError::io("reading", &shown, error);
    }
    let uid = rustix::process::geteuid().as_raw();
    let exclude = if path.is_root() {
        String::new()
    } else {
        format!(", or leave it out with source.exclude = [{}]", toml_text(&printable(path)))
    };
    EngineError::known(
        FailureCode::SourceDenied,
        format!(
            "{} may not be read by the user Coffer runs as (uid {uid}): give it the right, with \
             `setfacl -R -m u:{uid}:rX {}`{exclude}",
            shown.display(),
            shell_word(root)
        ),
    )
}

pub(super) fn open_root(path: &PathBuf) -> Result<OwnedFd, EngineError> {
    // The root itself may be a symbolic link, since it is named by the configuration.
    let flags = FOLDER.difference(OFlags::NOFOLLOW);
    let open = rustix::fs::open(path, flags, Mode::empty());
    open.map_err(|error| hidden_home::failure(path).unwrap_or_else(|| not_opened(path, error)))
}

fn not_opened(path: &Path, error: Errno) -> EngineError {
    match error {
        Errno::NOENT => EngineError::known(
            FailureCode::SourceMissing,
            format!("{} does not exist: correct source.path", path.display()),
        ),
        Errno::NOTDIR => invalid(format!(
            "{} is not a folder; the engine directory reads a tree of files",
            path.display()
        )),
        other => failed(path, &EntryPath::root(), other),
    }
}

impl Names {
    fn of(folder: &OwnedFd) -> Result<Self, Errno> {
        let mut names = Self::default();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let begin = names.bytes.len();
                names.bytes.extend_from_slice(name);
                names.spans.push((begin, names.bytes.len()));
            }
        }
        let Self { bytes, spans } = &mut names;
        spans.sort_unstable_by(|one, other| {
            bytes.get(other.0..other.1).cmp(&bytes.get(one.0..one.1))
        });
        Ok(names)
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let (begin, end) = self.spans.pop()?;
        self.bytes.get(begin..end).map(<[u8]>::to_vec)
    }
}
