//! A tree, changes of it by chance, and all that was ever true of it.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use rustix::fs::{CWD, RenameFlags, XattrFlags};

/// What a file, link or folder holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    File {
        hash: [u8; 32],
        mode: u32,
        label: Vec<u8>,
    },
    Link(Vec<u8>),
    Folder,
    /// Another name of the file at this path; only in a backup.
    Name(String),
}

/// One file at one moment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) what: What,
    pub(super) paths: Vec<String>,
}

/// Inode number and birth: numbers are used again.
type Id = (u64, SystemTime);

pub(super) type State = BTreeMap<Id, Seen>;

pub(super) struct World {
    root: PathBuf,
    pub(super) random: fastrand::Rng,
    /// The tree before the dump, and after each change.
    pub(super) states: Vec<State>,
    /// What was done since then.
    pub(super) done: Vec<String>,
    made: u64,
    mapper: Mapper,
}

impl World {
    pub(super) fn new(root: &Path, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let (states, done) = (Vec::new(), Vec::new());
        let mut world =
            Self { root: root.to_owned(), random, states, done, made: 0, mapper: Mapper::start() };
        for folder in ["a", "a/b", "c", "c/d", "c/d/e", "x"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        for number in 0..20 {
            let length = if number % 7 == 0 { 2_300_000 } else { 3000 };
            world.make(length);
        }
        for _ in 0..3 {
            let path = world.free_path();
            symlink("nowhere", path).unwrap();
        }
        world
    }

    /// Forgets what was.
    pub(super) fn begin(&mut self) {
        self.states = vec![self.state()];
        self.done.clear();
    }

    fn state(&self) -> State {
        let mut state = State::new();
        for (path, is_folder) in self.all() {
            let found = std::fs::symlink_metadata(&path).unwrap();
            let what = if is_folder {
                What::Folder
            } else if found.is_symlink() {
                What::Link(std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
            } else {
                let mut label = [0; 8];
                let length = rustix::fs::getxattr(&path, "user.label", &mut label).unwrap_or(0);
                What::File {
                    hash: *blake3::hash(&std::fs::read(&path).unwrap()).as_bytes(),
                    mode: found.mode() & 0o7777,
                    label: label[..length].to_vec(),
                }
            };
            let id = (found.ino(), found.created().unwrap());
            let name = path.strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned();
            let seen = state.entry(id).or_insert(Seen { what, paths: Vec::new() });
            seen.paths.push(name);
        }
        state
    }

    /// Everything below the root, sorted, and which of it are folders.
    fn all(&self) -> Vec<(PathBuf, bool)> {
        let mut found = Vec::new();
        let mut left = vec![self.root.clone()];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let is_folder = entry.file_type().unwrap().is_dir();
                if is_folder {
                    left.push(entry.path());
                }
                found.push((entry.path(), is_folder));
            }
        }
        found.sort();
        found
    }

    fn pick(&mut self, wanted: impl Fn(&Path, bool) -> bool) -> Option<PathBuf> {
        let mut all = self.all();
        all.retain(|(path, is_folder)| wanted(path, *is_folder));
        (!all.is_empty()).then(|| all.swap_remove(self.random.usize(..all.len())).0)
    }

    fn folder(&mut self) -> PathBuf {
        let root = self.root.clone();
        if self.random.u8(..4) == 0 {
            root
        } else {
            self.pick(|_, is_folder| is_folder).unwrap_or(root)
        }
    }

    fn file(&mut self) -> Option<PathBuf> {
        self.pick(|path, is_folder| !is_folder && !path.is_symlink())
    }

    /// Where nothing is, before or behind the others of its folder.
    fn free_path(&mut self) -> PathBuf {
        self.made += 1;
        let first = self.random.alphabetic();
        self.folder().join(format!("{first}{}", self.made))
    }

    /// A file whose content no other ever has.
    fn make(&mut self, length: usize) -> PathBuf {
        let path = self.free_path();
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes);
        bytes[..8].copy_from_slice(&self.made.to_le_bytes());
        let file = File::options().write(true).create_new(true).open(&path).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        path
    }

    /// Changes something, and notes what is true then.
    pub(super) fn change(&mut self) {
        let changes: [fn(&mut Self) -> Option<String>; 9] = [
            Self::move_something,
            Self::move_something,
            Self::replace,
            Self::exchange,
            Self::write,
            Self::write,
            Self::write_mapped,
            Self::change_metadata,
            Self::add_or_remove,
        ];
        let change = changes[self.random.usize(..changes.len())];
        if let Some(done) = change(self) {
            self.done.push(done);
            self.states.push(self.state());
        }
    }

    fn move_something(&mut self) -> Option<String> {
        let from = self.pick(|_, _| true)?;
        let to = self.free_path();
        // A folder cannot be moved into itself.
        std::fs::symlink_metadata(to.parent()?).ok().filter(|_| !to.starts_with(&from))?;
        rustix::fs::rename(&from, &to).unwrap();
        Some(format!("{} moved to {}", from.display(), to.display()))
    }

    fn replace(&mut self) -> Option<String> {
        let to = self.file()?;
        let from = if self.random.bool() { self.make(2000) } else { self.file()? };
        rustix::fs::rename(&from, &to).unwrap();
        Some(format!("{} replaced by {}", to.display(), from.display()))
    }

    fn exchange(&mut self) -> Option<String> {
        let [one, other] = [self.pick(|_, _| true)?, self.pick(|_, _| true)?];
        if one.starts_with(&other) || other.starts_with(&one) {
            return None;
        }
        rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
        Some(format!("{} and {} exchanged", one.display(), other.display()))
    }

    fn write(&mut self) -> Option<String> {
        let path = self.file()?;
        let file = File::options().write(true).open(&path).unwrap();
        let found = file.metadata().unwrap();
        let bytes = self.random.u64(..).to_le_bytes();
        let how = self.random.u8(..4);
        match how {
            0 => file.write_all_at(&bytes, found.len()).unwrap(),
            1 => file.set_len(self.random.u64(8..=found.len())).unwrap(),
            _ => {
                for _ in 0..3 {
                    file.write_all_at(&bytes, self.random.u64(8..=found.len())).unwrap();
                }
            }
        }
        if how == 3 {
            file.set_modified(found.modified().unwrap()).unwrap();
        }
        Some(format!("{} written ({how})", path.display()))
    }

    fn write_mapped(&mut self) -> Option<String> {
        let path = self.file()?;
        let length = path.metadata().unwrap().len();
        for _ in 0..2 {
            let (offset, byte) = (self.random.u64(8..length.max(9)), self.random.u8(..));
            self.mapper.write(&path, offset.min(length - 1), byte);
        }
        Some(format!("{} written through a mapping", path.display()))
    }

    fn change_metadata(&mut self) -> Option<String> {
        let path = self.file()?;
        let mode = 0o600 | self.random.u32(..0o200);
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let label = [self.random.u8(..)];
        rustix::fs::setxattr(&path, "user.label", &label, XattrFlags::empty()).unwrap();
        Some(format!("{} has another mode and label", path.display()))
    }

    fn add_or_remove(&mut self) -> Option<String> {
        match self.random.u8(..5) {
            0 => Some(format!("{} made", self.make(1000).display())),
            1 => {
                let path = self.free_path();
                std::fs::create_dir(&path).unwrap();
                Some(format!("folder {} made", path.display()))
            }
            2 => {
                let (file, name) = (self.file()?, self.free_path());
                std::fs::hard_link(&file, &name).unwrap();
                Some(format!("{} is also {}", file.display(), name.display()))
            }
            3 => {
                let link = self.pick(|path, _| path.is_symlink())?;
                let other = self.free_path();
                symlink(format!("elsewhere {}", self.made), &other).unwrap();
                rustix::fs::rename(other, &link).unwrap();
                Some(format!("link {} replaced", link.display()))
            }
            _ => {
                let file = self.file()?;
                std::fs::remove_file(&file).unwrap();
                Some(format!("{} removed", file.display()))
            }
        }
    }
}

/// Writes through mappings that stay until the end.
const MAPPER: &str = "
import mmap, os, sys
maps = {}
for line in sys.stdin:
    offset, byte, path = line.rstrip('\\n').split(' ', 2)
    file = os.open(path, os.O_RDWR)
    key = os.fstat(file).st_ino
    if key not in maps or len(maps[key]) != os.fstat(file).st_size:
        maps[key] = mmap.mmap(file, 0)
    os.close(file)
    maps[key][int(offset)] = int(byte)
    print('written', flush=True)
";

struct Mapper {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Mapper {
    fn start() -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", MAPPER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, orders, answers }
    }

    fn write(&mut self, path: &Path, offset: u64, byte: u8) {
        writeln!(self.orders, "{offset} {byte} {}", path.to_str().unwrap()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "written\n");
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}
