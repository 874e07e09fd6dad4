//! What a program costs: wall clock, CPU, and the memory of it and all it started.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Outcome;

/// Times, memory, and bytes that were stored.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) rss_mib: f64,
    pub(crate) stored_mib: f64,
}

/// How often memory is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0
}

/// Waits until the disk has nothing left to write, and reads everything in these places. Otherwise what one
/// tool leaves behind, in the disk's queue or dropped from the page cache (borg drops what it has read), would
/// slow down the next one.
pub(crate) fn settle<'a>(places: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    for place in places {
        // A running server's files come and go.
        run_shell(&format!(
            "find '{}' -type f -exec cat {{}} + >/dev/null 2>&1 || true",
            place.display()
        ))?;
    }
    run_shell("sync")
}

/// Moves away what was restored: its bytes are freed at once, its files with everything else at the end. ext4
/// does not reuse an inode for minutes after it was freed, but examines every such inode when it makes a file,
/// so the next tool would pay for removing the 20,000 files of this one.
pub(crate) fn discard(target: &Path) -> Outcome<()> {
    let beside = target.parent().unwrap_or(Path::new(".")).display();
    let target = target.display();
    run_shell(&format!(
        "[ -e '{target}' ] || exit 0; find '{target}' -type f -exec truncate -s 0 {{}} +; \
         mv '{target}' \"$(mktemp -d -p '{beside}')\""
    ))
}

/// Runs a line of shell without measuring it.
pub(crate) fn run_shell(line: &str) -> Outcome<()> {
    let output = Command::new("sh").args(["-ec", line]).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{line}: {}: {message}", output.status).into())
}

/// What a line of shell prints; empty if it cannot be run.
pub(crate) fn output_of(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

/// Runs a line of shell and measures its cost, but not what it stored.
pub(crate) fn measure(line: &str) -> Outcome<Cost> {
    let (times, stderr) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    let started = Instant::now();
    let mut child = Command::new("/usr/bin/time")
        .args(["-f", "%U %S", "-o"])
        .arg(times.path())
        // A pipe whose first program fails is no backup.
        .args(["bash", "-o", "pipefail", "-ec", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.reopen()?)
        .spawn()?;
    let memory = MemoryWatch::start(child.id());
    let status = child.wait()?;
    let wall_s = started.elapsed().as_secs_f64();
    let rss_mib = memory.peak()?;
    if !status.success() {
        return Err(format!("{line}: {status}: {}", std::fs::read_to_string(stderr.path())?).into());
    }
    let times = std::fs::read_to_string(times.path())?;
    let cpu_s = times.split_whitespace().filter_map(|it| it.parse::<f64>().ok()).sum();
    Ok(Cost { wall_s, cpu_s, rss_mib, stored_mib: 0.0 })
}

/// Samples the memory of a process and its descendants.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    end: Sender<()>,
    watcher: JoinHandle<u64>,
}

impl MemoryWatch {
    pub(crate) fn start(root: u32) -> Self {
        let (end, ended) = channel::<()>();
        let watcher = std::thread::spawn(move || {
            let mut peak = 0;
            while ended.recv_timeout(SAMPLE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(resident(root));
            }
            peak
        });
        Self { end, watcher }
    }

    /// Ends, and returns the most MiB of all samples.
    pub(crate) fn peak(self) -> Outcome<f64> {
        drop(self.end);
        Ok(mib(self.watcher.join().map_err(|_panic| "the watcher panicked")?))
    }
}

/// Resident bytes of a process and its descendants, whichever of its threads started them.
fn resident(pid: u32) -> u64 {
    let own = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = own.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let children =
        threads.flatten().filter_map(|it| std::fs::read_to_string(it.path().join("children")).ok());
    let below: u64 = children
        .map(|it| it.split_whitespace().filter_map(|it| it.parse().ok()).map(resident).sum::<u64>())
        .sum();
    pages * 4096 + below
}

/// CPU seconds that a process and its children that ended took so far, to a hundredth.
pub(crate) fn cpu_of(pid: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind = stat.rsplit(") ").next().ok_or("no stat")?;
    let ticks = |at: usize| behind.split(' ').nth(at).and_then(|it| it.parse::<u32>().ok());
    Ok(f64::from((11..15).filter_map(ticks).sum::<u32>()) / 100.0)
}

/// A line of `/proc/<pid>/status`, in MiB.
pub(crate) fn memory_of(pid: u32, line: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|it| it.starts_with(line)).ok_or("no such line")?;
    let kib: u32 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// Resets the peak memory of a process (`VmHWM`).
pub(crate) fn reset_peak(pid: u32) -> Outcome<()> {
    let mut file =
        std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/clear_refs"))?;
    Ok(file.write_all(b"5")?)
}

/// Bytes of all files below a folder.
pub(crate) fn stored_below(folder: &Path) -> u64 {
    let text = output_of(&format!("du -sb --apparent-size '{}' | cut -f1", folder.display()));
    text.parse().unwrap_or(0)
}
