//! A control group with the limits of the packaged systemd unit, as systemd would run the server in.

use std::path::{Path, PathBuf};

use super::{pause, write_file};

/// What `packaging/coffer.service` allows.
#[derive(Debug)]
pub(crate) struct UnitLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) tasks: u64,
    /// The variables by which the allocator gives memory back.
    pub(crate) environment: Vec<(String, String)>,
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
        let lines = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
        let words = lines.flat_map(str::split_whitespace).filter(|it| it.starts_with("MALLOC"));
        let pairs = words.map(|it| it.split_once('=').unwrap());
        Self {
            memory_bytes: number.parse::<u64>().unwrap() << shift,
            tasks: value("TasksMax").parse().unwrap(),
            environment: pairs.map(|(name, it)| (name.to_owned(), it.to_owned())).collect(),
        }
    }
}

/// A control group; removed with this value. Without the right to make one, the limits are those of `prlimit`.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    /// One folder in version 2, one for each controller in version 1, and none where there are no control groups.
    folders: Vec<PathBuf>,
}

/// The file of a limit, in version 2 or 1, with its value.
type Limit<'a> = (&'a str, u64);

impl ControlGroup {
    /// Makes one with these limits.
    pub(crate) fn with(limits: &UnitLimits) -> Self {
        let name = format!("coffer-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (memory, tasks) = (limits.memory_bytes, limits.tasks);
        let version_2 = make(&root.join(&name), &[("memory.max", memory), ("pids.max", tasks)]);
        let version_1 = || {
            let memory = [("memory.limit_in_bytes", memory)];
            let both = [("memory", memory), ("pids", [("pids.max", tasks)])];
            let made =
                both.map(|(controller, limit)| make(&root.join(controller).join(&name), &limit));
            made.into_iter().collect::<Option<Vec<_>>>()
        };
        let folders = version_2.map(|folder| vec![folder]).or_else(version_1).unwrap_or_default();
        Self { folders }
    }

    /// A program that runs the one under test in this group.
    pub(crate) fn program(&self, folder: &Path, limits: &UnitLimits) -> PathBuf {
        let (path, binary) = (folder.join("limited"), env!("CARGO_BIN_EXE_coffer"));
        let enter = |it: &PathBuf| format!("echo $$ >'{}/cgroup.procs'\n", it.display());
        let enter: String = self.folders.iter().map(enter).collect();
        let run = if enter.is_empty() {
            format!("exec prlimit --data={} '{binary}' \"$@\"\n", limits.memory_bytes)
        } else {
            format!("{enter}exec '{binary}' \"$@\"\n")
        };
        write_file(&path, format!("#!/bin/sh\nset -e\n{run}"));
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).unwrap();
        path
    }

    /// How often memory or a task was refused, or a process was ended for it.
    pub(crate) fn refusals(&self) -> u64 {
        let files = ["memory.events", "memory.oom_control", "pids.events"];
        let paths = self.folders.iter().flat_map(|it| files.map(|file| it.join(file)));
        let lines = paths.filter_map(|path| std::fs::read_to_string(path).ok());
        let counts = lines.flat_map(|text| {
            let refused = |line: &str| {
                let (key, count) = line.split_once(' ')?;
                ["oom", "oom_kill", "max"].contains(&key).then(|| count.trim().parse().ok())?
            };
            // "max" of the memory only means that caches were dropped.
            let of_memory = text.contains("oom_kill");
            let lines = text.lines().filter(|it| !(of_memory && it.starts_with("max")));
            lines.filter_map(refused).collect::<Vec<u64>>()
        });
        counts.sum()
    }
}

/// Makes the folder of a group with these limits; `None` if that cannot be.
fn make(folder: &Path, limits: &[Limit<'_>]) -> Option<PathBuf> {
    std::fs::create_dir(folder).ok()?;
    let set = |(file, value): &Limit<'_>| {
        let path = folder.join(file);
        path.exists() && {
            write_file(&path, value.to_string());
            true
        }
    };
    if limits.iter().all(set) {
        return Some(folder.to_owned());
    }
    std::fs::remove_dir(folder).unwrap_or_default();
    None
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            // The last process may not be gone yet.
            for _try in 0..50 {
                if std::fs::remove_dir(folder).is_ok() {
                    break;
                }
                pause();
            }
        }
    }
}
