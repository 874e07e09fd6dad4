//! Mounted filesystems: where they are, and whether they answer.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use rustix::fs::{CWD, Dir, OFlags};

use super::source_path::invalid;
use super::{EngineError, Result};
use crate::disk::open_quietly;
use crate::domain::{FailureCode, Source};

/// How long to wait for a filesystem that does not answer, unless `source.answer_wait_s` says otherwise.
const DEFAULT_WAIT: Duration = Duration::from_secs(15);
const MAX_WAIT_S: u64 = 3600;

/// The paths that were asked and have not answered yet, and since when. A thread that waits for such an answer cannot
/// be ended, so there is one for each path, and not one for each backup.
static WAITING: Mutex<BTreeMap<PathBuf, Instant>> = Mutex::new(BTreeMap::new());

/// Whether the filesystem at `path` answers within `wait`. If a file server is gone, every call on its mount waits,
/// perhaps for ever; so a thread of its own makes this one.
pub(super) fn answers(path: &Path, wait: Duration) -> bool {
    let asked = Instant::now();
    if WAITING.lock().get(path).is_some_and(|since| asked.duration_since(*since) > wait) {
        return false;
    }
    let (done, is_done) = bounded::<()>(1);
    let path = path.to_owned();
    let thread = std::thread::Builder::new().name("mount".to_owned()).spawn(move || {
        WAITING.lock().entry(path.clone()).or_insert(asked);
        let _found = std::fs::metadata(&path);
        // Some servers answer for the mount itself, but not for what is in it.
        let folder = open_quietly(CWD, path.as_os_str(), OFlags::DIRECTORY | OFlags::CLOEXEC);
        let _first = folder.map(|it| Dir::read_from(it).map(|mut names| names.next()));
        WAITING.lock().remove(&path);
        drop(done);
    });
    // The channel closes when the thread ends. Without a thread, the caller has to find out itself.
    thread.is_err()
        || is_done.recv_timeout(wait) != Err(crossbeam_channel::RecvTimeoutError::Timeout)
}

/// Fails if the filesystem that the source at `path` is on does not answer.
pub(super) fn require_answer(path: &Path, wait: Duration) -> Result<()> {
    if answers(path, wait) {
        return Ok(());
    }
    Err(EngineError::known(
        FailureCode::SourceMissing,
        format!(
            "the filesystem of {} has not answered for {} s: is its file server up? For one that is slow, \
             raise source.answer_wait_s",
            path.display(),
            wait.as_secs()
        ),
    ))
}

pub(super) fn answer_wait(source: &Source) -> Result<Duration> {
    let Some(value) = source.0.get("answer_wait_s") else { return Ok(DEFAULT_WAIT) };
    let seconds = value.as_u64().filter(|seconds| (1..=MAX_WAIT_S).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        invalid(format!(
            "source.answer_wait_s must be a whole number of seconds from 1 to {MAX_WAIT_S}, not {value}"
        ))
    })
}

/// The places below `root` at which filesystems are mounted, and of which kind these are. Does not ask them.
pub(super) fn mounts_below(root: &Path) -> Vec<(PathBuf, String)> {
    let list = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mounts = list.split(|byte| *byte == b'\n').filter_map(mount);
    mounts.filter_map(|(at, kind)| Some((at.strip_prefix(root).ok()?.to_owned(), kind))).collect()
}

/// The fifth field of a line, in which special characters are written as octal numbers, and the one after the hyphen.
fn mount(line: &[u8]) -> Option<(PathBuf, String)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut parts = fields.nth(4)?.split(|byte| *byte == b'\\');
    let mut path = parts.next()?.to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        path.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?);
        path.extend_from_slice(rest);
    }
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some((PathBuf::from(OsString::from_vec(path)), String::from_utf8_lossy(kind).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_special_characters_is_read() {
        let line =
            br"36 35 98:0 /mnt1 /srv/a\040b\134\011c rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount(line).unwrap(), ("/srv/a b\\\tc".into(), "ext3".to_owned()));
        assert_eq!(mount(b"36 35"), None);
    }

    #[test]
    fn a_local_folder_and_a_missing_path_answer_at_once() {
        assert!(answers(Path::new("/proc"), DEFAULT_WAIT));
        assert!(answers(Path::new("/nowhere"), DEFAULT_WAIT));
    }
}
