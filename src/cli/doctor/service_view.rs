//! What the server that runs sees of a source, and may read. As a service of systemd it has a view of its own of the files,
//! so what is there for this shell need not be there for it; and what root reads, the server's user may not.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{major, minor};
use rustix::process::geteuid;

use crate::config::Config;
use crate::server::{group_name, user_name};

/// The server that runs on a data directory.
#[derive(Debug)]
pub(super) struct ServiceView {
    /// Its process.
    process: u32,
    /// Its root directory, as it sees it.
    root: PathBuf,
    /// Whose rights it has, where this process is root and can take them on. `None`: its own.
    user: Option<User>,
}

/// A user with groups, as the kernel has them for a process.
#[derive(Debug, PartialEq, Eq)]
struct User {
    id: String,
    group: String,
    /// Its further groups.
    groups: Vec<String>,
    /// Whether it has the right to read whatever there is.
    reads_everything: bool,
}

impl User {
    /// Of a process that is not root's, by what /proc says of it.
    fn of_process(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let rights = u64::from_str_radix(field("CapEff:")?.first()?, 16).ok()?;
        let id = field("Uid:")?.get(1)?.clone();
        let reads_everything = rights & (DAC_OVERRIDE | DAC_READ_SEARCH) != 0;
        let group = field("Gid:")?.get(1)?.clone();
        let groups = field("Groups:")?;
        (id != "0").then_some(Self { id, group, groups, reads_everything })
    }

    /// The arguments of `setpriv` by which a command has its rights.
    fn rights(&self) -> Vec<String> {
        let groups = match self.groups.as_slice() {
            [] => "--clear-groups".to_owned(),
            groups => format!("--groups={}", groups.join(",")),
        };
        let mut rights =
            vec![format!("--reuid={}", self.id), format!("--regid={}", self.group), groups];
        if self.reads_everything {
            rights.extend(
                ["--inh-caps", "--ambient-caps"].map(|it| format!("{it}=+dac_read_search")),
            );
        }
        rights
    }

    /// Its name, or else its number.
    fn name(&self) -> String {
        self.id.parse().ok().and_then(user_name).unwrap_or_else(|| self.id.clone())
    }

    /// Whether it cannot read this; `None` where that cannot be tried.
    fn is_kept_from(&self, path: &Path) -> Option<bool> {
        let mut tried = Command::new("setpriv");
        tried.args(self.rights()).args(["--", "test", "-r"]).arg(path);
        if path.is_dir() {
            tried.args(["-a", "-x"]).arg(path);
        }
        let output = tried.stdin(Stdio::null()).output().ok()?;
        // `test` says nothing; what could not be started does.
        (output.stderr.is_empty() && output.status.code().is_some_and(|it| it < 2))
            .then(|| !output.status.success())
    }
}

/// The rights of processes that read whatever there is.
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;

impl ServiceView {
    /// Of the process that holds the lock; `None` where none does, or this user may not see what it sees.
    pub(super) fn of_server(config: &Config) -> Option<Self> {
        let lock = fs::metadata(config.data_dir.join("lock")).ok()?;
        let holder = holder(&fs::read_to_string("/proc/locks").ok()?, &lock)?;
        let root = PathBuf::from(format!("/proc/{holder}/root"));
        fs::metadata(root.join("proc")).ok()?;
        let status = fs::read_to_string(format!("/proc/{holder}/status")).ok();
        let user = status.filter(|_| geteuid().is_root()).and_then(|it| User::of_process(&it));
        Some(Self { process: holder, root, user })
    }

    /// A command that runs with the rights of the server, in its environment and its view of the files; `None`: these are this
    /// user's own.
    pub(super) fn command(&self) -> Option<Command> {
        let user = self.user.as_ref()?;
        let environment = fs::read(format!("/proc/{}/environ", self.process)).ok()?;
        let variables = environment.split(|it| *it == 0).filter_map(|it| {
            let at = it.iter().position(|it| *it == b'=')?;
            Some((OsStr::from_bytes(it.get(..at)?), OsStr::from_bytes(it.get(at + 1..)?)))
        });
        let mut command = Command::new("nsenter");
        command.env_clear().envs(variables);
        command.arg(format!("--target={}", self.process)).args(["--mount", "--", "setpriv"]);
        command.args(user.rights()).arg("--");
        Some(command)
    }

    /// What is wrong and what mends it, if root sees something at `path` that the server's user may not read.
    pub(super) fn remedy_if_unreadable(&self, path: &Path) -> Option<(String, String)> {
        let user = self.user.as_ref().filter(|it| !it.reads_everything)?;
        if user.is_kept_from(path) != Some(true) {
            return None;
        }
        let group = group_that_reads(user, path);
        let (path, name) = (path.display(), user.name());
        Some((
            format!("{path} is there, but the service that runs, as user {name}, may not read it"),
            format!(
                "give it a group that may: with systemctl edit coffer, write SupplementaryGroups={group} below [Service]; then \
                 systemctl restart coffer. Or give the user rights of its own, here and x on every folder above: setfacl -R -m \
                 u:{name}:rX {path}"
            ),
        ))
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

/// The group that may read what keeps the user from `path`: the first folder on the way, or the file.
fn group_that_reads(user: &User, path: &Path) -> String {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    let closed = way.into_iter().find(|it| user.is_kept_from(it) == Some(true));
    let found = closed.and_then(|it| it.metadata().ok());
    // Not root's: its members may do more than read this.
    let group = found.filter(|it| it.gid() != 0 && it.mode() & 0o040 != 0).map(|it| it.gid());
    let name = group.map(|it| group_name(it).unwrap_or_else(|| it.to_string()));
    name.unwrap_or_else(|| "GROUP".to_owned())
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
    fn the_user_of_a_process_has_its_groups_and_its_right_to_read_everything_and_root_is_none() {
        let status = |id: &str, rights: &str, groups: &str| {
            format!(
                "Name:\tcoffer\nUid:\t0\t{id}\t0\t0\nGid:\t9\t996\t9\t9\nGroups:\t{groups}\nCapEff:\t{rights}\n"
            )
        };
        let none = "0000000000000000";
        let text = |it: &str| it.to_owned();
        let user =
            |groups| User { id: text("995"), group: text("996"), groups, reads_everything: false };
        assert_eq!(User::of_process(&status("995", none, "")), Some(user(Vec::new())));
        let two = vec![text("33"), text("44")];
        assert_eq!(User::of_process(&status("995", none, "33 44 ")), Some(user(two)));
        assert_eq!(User::of_process(&status("0", none, "")), None);
        let all = User { reads_everything: true, ..user(Vec::new()) };
        assert!(all.rights().contains(&text("--ambient-caps=+dac_read_search")), "{all:?}");
        assert_eq!(User::of_process(&status("995", "0000000000000004", "")), Some(all));
        assert_eq!(User::of_process("nothing"), None);
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
