//! What the server that runs sees of a source. As a service of systemd it has a view of its own of the files, so what is
//! there for this shell need not be there for it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use crate::config::Config;

/// The server that runs on a data directory.
#[derive(Debug)]
pub(super) struct ServiceView {
    /// Its root directory, as it sees it.
    root: PathBuf,
}

impl ServiceView {
    /// Of the process that holds the lock; `None` where none does, or this user may not see what it sees.
    pub(super) fn of_server(config: &Config) -> Option<Self> {
        let lock = fs::metadata(config.data_dir.join("lock")).ok()?;
        let holder = holder(&fs::read_to_string("/proc/locks").ok()?, &lock)?;
        let root = PathBuf::from(format!("/proc/{holder}/root"));
        fs::metadata(root.join("proc")).ok()?;
        Some(Self { root })
    }

    /// What mends that this user sees something at `path`, and the server does not see the same.
    pub(super) fn remedy_if_hidden(&self, path: &Path) -> Option<String> {
        // Without symbolic links, which would be followed from the root of this process.
        let path = fs::canonicalize(path).ok()?;
        let here = fs::metadata(&path).ok()?;
        let there = fs::metadata(self.root.join(path.strip_prefix("/").ok()?));
        let same = |there: Metadata| (there.dev(), there.ino()) == (here.dev(), here.ino());
        (!there.is_ok_and(same)).then(|| remedy(&path))
    }
}

/// The process that holds the lock of this file, in what /proc/locks says.
fn holder(locks: &str, file: &Metadata) -> Option<u32> {
    let (major, minor) = (major(file.dev()), minor(file.dev()));
    let of_file = format!("{major:02x}:{minor:02x}:{}", file.ino());
    let mut lines = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find_map(|line| match line[..] {
        [_, "FLOCK", _, "WRITE", process, of, ..] if of == of_file => process.parse().ok(),
        _ => None,
    })
}

fn remedy(path: &Path) -> String {
    let below = |folders: &[&str]| folders.iter().any(|it| path.starts_with(it));
    let line = if below(&["/home", "/root", "/run/user"]) {
        "ProtectHome=read-only"
    } else if below(&["/tmp", "/var/tmp"]) {
        "PrivateTmp=no"
    } else {
        return "the service was started before this was mounted, or its unit hides it: \
                systemctl restart coffer"
            .to_owned();
    };
    format!(
        "its unit hides it: with systemctl edit coffer, write {line} below [Service]; then systemctl restart coffer"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = file.as_file().metadata().unwrap();
        let (major, minor) = (major(file.dev()), minor(file.dev()));
        let line = |kind: &str, inode: u64| {
            format!("1: {kind}  ADVISORY  WRITE 42 {major:02x}:{minor:02x}:{inode} 0 EOF\n")
        };
        for (kind, inode, found) in [
            ("FLOCK", file.ino(), Some(42)),
            ("POSIX", file.ino(), None),
            ("FLOCK", file.ino() + 1, None),
        ] {
            assert_eq!(holder(&line(kind, inode), &file), found, "{kind}");
        }
    }

    #[test]
    fn the_line_that_mends_it_is_the_one_that_hides_it() {
        for (path, line) in [
            ("/home/ada/shop.db", "ProtectHome=read-only"),
            ("/var/tmp/shop.db", "PrivateTmp=no"),
            ("/srv/shop.db", "systemctl restart coffer"),
        ] {
            assert!(remedy(Path::new(path)).contains(line), "{path}");
        }
    }
}
