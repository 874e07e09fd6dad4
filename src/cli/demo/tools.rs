//! Restoring without Coffer: `zstd` and `tar`, as on any machine.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::cli::CommandError;
use crate::cli::doctor::tools;

use super::failed;

/// Whether both tools are here.
pub(super) fn are_installed() -> bool {
    ["zstd", "tar"].iter().all(|name| tools::find(name).is_some())
}

/// A process that is killed if it is dropped before it was waited for.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and that is fine.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// `zstd -dc ARCHIVE | tar -xf - -C FOLDER`.
pub(super) fn unpack(archive: &Path, folder: &Path) -> Result<(), CommandError> {
    let doing = || format!("zstd -dc {} | tar -xf -", archive.display());
    std::fs::create_dir(folder).map_err(failed(doing()))?;
    let mut zstd = Running(
        Command::new("zstd")
            .args(["-q", "-dc", "--"])
            .arg(archive)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed(doing()))?,
    );
    let stream = zstd.0.stdout.take().ok_or_else(|| failed(doing())("no pipe"))?;
    let tar = Command::new("tar")
        .args(["-xf", "-", "-C"])
        .arg(folder)
        .stdin(stream)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(failed(doing()))?;
    let complaint = complaint_of(&mut zstd.0).map_err(failed(doing()))?;
    let status = zstd.0.wait().map_err(failed(doing()))?;
    ended_well("zstd", status, &complaint)?;
    ended_well("tar", tar.status, &String::from_utf8_lossy(&tar.stderr))
}

/// What it wrote to its standard error, up to a few lines.
fn complaint_of(child: &mut Child) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(4096).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn ended_well(tool: &str, status: ExitStatus, complaint: &str) -> Result<(), CommandError> {
    if status.success() {
        return Ok(());
    }
    Err(CommandError::Damaged(format!("{tool} ended with {status}: {}", complaint.trim())))
}

/// The file that a `file://` URL names.
pub(super) fn path_of(url: &str) -> Option<PathBuf> {
    let mut rest = url.strip_prefix("file://")?.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_url_gives_its_path() {
        let path = |url: &str| path_of(url).map(|path| path.display().to_string());
        assert_eq!(path("file:///a/b%20c/%C3%A9.tar.zst").as_deref(), Some("/a/b c/é.tar.zst"));
        for bad in ["http://a/b", "/a", "file:///a%2", "file:///%zz", "file:///%ff"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_archive_that_does_not_unpack_is_an_error_with_the_tools_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(&folder.path().join("none.tar.zst"), &folder.path().join("out"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("none.tar.zst"), "{error}");
    }
}
