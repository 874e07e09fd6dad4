//! Unix sockets, whose files have an owner and a mode, and stay when a process is killed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use socket2::{Domain, SockAddr, Socket, Type};

use super::Handle;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// The file of a socket, removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that stays is replaced by the next.
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

impl SocketFile {
    /// Listens on a socket with this mode and, unless it is empty, this group.
    pub fn listen(path: &Path, mode: u32, group: &str) -> io::Result<(Self, UnixListener)> {
        let listener = open(path, mode, group)?;
        Ok((Self(path.to_owned()), listener))
    }
}

/// Makes it under another name first, so that nobody connects before its owner and mode are right, and so that
/// one that a killed server left is replaced.
fn open(path: &Path, mode: u32, group: &str) -> io::Result<UnixListener> {
    ensure_replaceable(path)?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&new)?)?;
    let ready = || {
        let placed = Handle::open(CWD, &new)?;
        if !group.is_empty() {
            placed.set_owner(None, Some(group_id(group)?))?;
        }
        placed.set_mode(mode)?;
        socket.listen(BACKLOG)?;
        #[expect(clippy::disallowed_methods, reason = "a socket holds nothing that can be lost")]
        fs::rename(&new, path)
    };
    if let Err(error) = ready() {
        fs::remove_file(&new)?;
        return Err(error);
    }
    Ok(socket.into())
}

/// An error if something else is there, or a server that answers.
fn ensure_replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(ErrorKind::AlreadyExists, "another kind of file is there"))
        }
        Ok(_socket) if UnixStream::connect(path).is_ok() => {
            Err(io::Error::new(ErrorKind::AddrInUse, "another server listens there"))
        }
        Ok(_left) => Ok(()),
    }
}

/// The number of a group, by its name or number.
fn group_id(group: &str) -> io::Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let lines = fs::read_to_string("/etc/group")?;
    let mut lines = lines.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.first() == Some(&group));
    let number = line.and_then(|fields| fields.get(2)?.parse().ok());
    number.ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("there is no group {group}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_socket_has_the_mode_and_group_asked_for_and_replaces_one_that_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.sock");
        let group = rustix::process::getgid().as_raw();
        for (mode, group) in [(0o600, ""), (0o660, group.to_string().as_str())] {
            // What a killed server leaves.
            drop(open(&path, mode, group).unwrap());
            let listener = open(&path, mode, group).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
            assert!(UnixStream::connect(&path).is_ok());
            let busy = open(&path, mode, group).unwrap_err();
            assert_eq!(busy.kind(), ErrorKind::AddrInUse);
            drop(listener);
        }
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "only the socket is left");
    }

    #[test]
    fn another_file_is_not_replaced_and_an_unknown_group_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.sock");
        assert!(open(&path, 0o600, "no such group").unwrap_err().to_string().contains("no such"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::create_dir(&path).unwrap();
        assert_eq!(open(&path, 0o600, "").unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_file_is_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.sock");
        let (file, _listener) = SocketFile::listen(&path, 0o600, "").unwrap();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
    }
}
