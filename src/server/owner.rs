//! What keeps this user from a file, and what mends that.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, ioctl_getflags};
use rustix::io::Errno;

use crate::domain::shell_word;

/// The inode flags `i` and `a`: nobody may change the file, or only add to it.
const UNCHANGEABLE: u32 = 0x10 | 0x20;

/// What mends that this user was refused `path`, which is read, and perhaps written: a command, or as whom to run this.
pub fn mended_by(path: &Path, written: bool) -> String {
    let mut above: Vec<&Path> = path.ancestors().filter(|it| !it.as_os_str().is_empty()).collect();
    above.reverse();
    for it in above {
        let needed = match (it == path, it.is_dir(), written) {
            (true, true, true) => Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
            (true, false, true) => Access::READ_OK | Access::WRITE_OK,
            (true, _, false) => Access::READ_OK,
            (false, ..) => Access::EXEC_OK,
        };
        match accessat(CWD, it, needed, AtFlags::EACCESS) {
            Ok(()) => {}
            // Nothing of a filesystem that is read-only can be changed, but another user may read it.
            Err(Errno::NOENT | Errno::ROFS) => break,
            Err(_refused) => return of(it),
        }
    }
    format!("run this {}", as_whom(path))
}

/// The same of a file or folder that refused this user.
fn of(path: &Path) -> String {
    let shown = path.display();
    let is_unchangeable = fs::File::open(path)
        .is_ok_and(|file| ioctl_getflags(file).is_ok_and(|it| it.bits() & UNCHANGEABLE > 0));
    if is_unchangeable {
        return format!(
            "lsattr shows that nobody may change it; as root: chattr -ia {}",
            shell_word(path)
        );
    }
    let Ok(found) = path.metadata() else { return format!("run this {}", as_whom(path)) };
    let (bits, rights) = if found.is_dir() { (0o700, "u+rwx") } else { (0o600, "u+rw") };
    let mode = found.mode() & 0o7777;
    if mode & bits == bits {
        return format!("run this {}", as_whom(path));
    }
    let whom = if found.uid() == rustix::process::geteuid().as_raw() { "" } else { "as root: " };
    format!(
        "the mode {mode:o} of {shown} keeps its owner out; {whom}chmod {rights} {}",
        shell_word(path)
    )
}

/// As whom to run what this user may not do with `path`: `as coffer (sudo -u coffer …) or as root`.
fn as_whom(path: &Path) -> String {
    let owner = path.ancestors().find_map(|it| it.metadata().ok()).map(|it| it.uid());
    match owner {
        Some(uid) if uid != 0 && uid != rustix::process::geteuid().as_raw() => {
            let name = user_name(uid).unwrap_or_else(|| format!("#{uid}"));
            format!("as {name} (sudo -u '{name}' …) or as root")
        }
        _ => "as root".to_owned(),
    }
}

/// The name of a user, if it has one on this machine.
pub fn user_name(uid: u32) -> Option<String> {
    fs::read_to_string("/etc/passwd").ok().and_then(|it| name_of(uid, &it))
}

/// The name of a group, if it has one on this machine.
pub fn group_name(gid: u32) -> Option<String> {
    fs::read_to_string("/etc/group").ok().and_then(|it| name_of(gid, &it))
}

/// The name of a user or group in the text of `/etc/passwd` or `/etc/group`.
fn name_of(id: u32, list: &str) -> Option<String> {
    let id = id.to_string();
    let mut lines = list.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(2) == Some(&id.as_str()));
    line.and_then(|fields| Some((*fields.first()?).to_owned()))
}
