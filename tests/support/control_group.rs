//! A control group with the limits of the packaged systemd unit, as systemd would run the server in.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{pause, write_file};

/// What `packaging/coffer.service` allows.
#[derive(Debug)]
pub(crate) struct UnitLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) tasks: u64,
}

impl UnitLimits {
    #[track_caller]
    pub(crate) fn of_the_package() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/coffer.service");
        let unit = std::fs::read_to_string(path).unwrap();
        let value = |key: &str| {
            let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("the unit has no {key}"))
        };
        let memory = value("MemoryMax");
        let (number, shift) = match memory.split_at(memory.len() - 1) {
            (number, "G") => (number, 30),
            (number, "M") => (number, 20),
            _ => panic!("MemoryMax={memory}"),
        };
        Self {
            memory_bytes: number.parse::<u64>().unwrap() << shift,
            tasks: value("TasksMax").parse().unwrap(),
        }
    }
}

/// A control group; removed with this value. Where none can be made, the limits are those of `prlimit`.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    /// One folder in version 2, one for each controller in version 1, and none where there are no control groups.
    folders: Vec<Folder>,
}

impl ControlGroup {
    /// Makes one with these limits.
    pub(crate) fn with(limits: &UnitLimits) -> Self {
        let name = format!("coffer-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (memory, tasks) = (limits.memory_bytes, limits.tasks);
        let in_version_2 =
            Folder::make(root.join(&name), &[("memory.max", memory), ("pids.max", tasks)]);
        let in_version_1 = || {
            let (memory, tasks) = (("memory.limit_in_bytes", memory), ("pids.max", tasks));
            [("memory", memory), ("pids", tasks)]
                .map(|(controller, limit)| {
                    Folder::make(root.join(controller).join(&name), &[limit])
                })
                .into_iter()
                .collect::<Option<Vec<_>>>()
        };
        let made = in_version_2.map(|folder| vec![folder]).or_else(in_version_1);
        Self { folders: made.unwrap_or_default() }
    }

    /// A program that runs the one under test in this group.
    pub(crate) fn program(&self, folder: &Path, limits: &UnitLimits) -> PathBuf {
        let (path, binary) = (folder.join("limited"), env!("CARGO_BIN_EXE_coffer"));
        let enter: String = self.folders.iter().map(Folder::enter).collect();
        let run = if enter.is_empty() {
            format!("exec prlimit --data={} '{binary}' \"$@\"\n", limits.memory_bytes)
        } else {
            format!("{enter}exec '{binary}' \"$@\"\n")
        };
        write_file(&path, format!("#!/bin/sh\nset -e\n{run}"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// How often memory or a task was refused, or a process was ended for it.
    pub(crate) fn refusals(&self) -> u64 {
        // "max" of the memory only means that caches were dropped.
        let counted = [
            ("memory.events", &["oom", "oom_kill"][..]),
            ("memory.oom_control", &["oom_kill"]),
            ("pids.events", &["max"]),
        ];
        let count = |folder: &Folder| {
            let files = counted.iter().map(|(file, keys)| folder.sum_of(file, keys));
            files.sum::<u64>()
        };
        self.folders.iter().map(count).sum()
    }
}

/// The folder of a group; removed with this value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    /// Makes one with these limits; `None` if that cannot be, or if no process can enter it.
    fn make(path: PathBuf, limits: &[(&str, u64)]) -> Option<Self> {
        std::fs::create_dir(&path).ok()?;
        let folder = Self(path);
        let set: Vec<String> = limits
            .iter()
            .map(|(file, value)| format!("echo {value} >'{}/{file}'\n", folder.0.display()))
            .collect();
        // Not a file of the controller would be made where there is none.
        let has_all = limits.iter().all(|(file, _)| folder.0.join(file).exists());
        let mut shell = Command::new("sh");
        shell.args(["-ec", &(set.concat() + &folder.enter())]);
        (has_all && shell.output().is_ok_and(|it| it.status.success())).then_some(folder)
    }

    /// The line of shell by which a process enters it.
    fn enter(&self) -> String {
        format!("echo $$ >'{}/cgroup.procs'\n", self.0.display())
    }

    /// The sum of the numbers behind these keys in a file of the group.
    fn sum_of(&self, file: &str, keys: &[&str]) -> u64 {
        let text = std::fs::read_to_string(self.0.join(file)).unwrap_or_default();
        let number = |line: &str| {
            let (key, number) = line.split_once(' ')?;
            keys.contains(&key).then(|| number.trim().parse::<u64>().unwrap())
        };
        text.lines().filter_map(number).sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The last process may not be gone yet.
        for _try in 0..250 {
            if std::fs::remove_dir(&self.0).is_ok() {
                break;
            }
            pause();
        }
    }
}
