//! A program of the user's, which gets each message as JSON on its standard input.

use std::env;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{self, Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::domain::DeliveryId;
use crate::policy::Message;

use super::{NotifyError, Result, request};

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is shown of what it says, in bytes from the end.
const SHOWN: u64 = 400;

/// The variables that it inherits.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ"];

/// A program and its arguments. No shell is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Command {
    /// The program comes first.
    pub fn new(line: &[String]) -> Result<Self> {
        let (program, arguments) = line
            .split_first()
            .ok_or_else(|| NotifyError::Settings("command names no program".to_owned()))?;
        let program = PathBuf::from(program);
        if !program.is_absolute() {
            let why =
                format!("command has to begin with an absolute path, not {}", program.display());
            return Err(NotifyError::Settings(why));
        }
        Ok(Self { program, arguments: arguments.to_vec() })
    }

    fn failed(&self, why: String) -> NotifyError {
        NotifyError::Command { program: self.program.clone(), why }
    }

    /// Whether there is such a program.
    pub(super) fn check(&self) -> Result<()> {
        let about = self.program.metadata().map_err(|error| self.failed(error.to_string()))?;
        if about.is_file() && about.permissions().mode() & 0o111 != 0 {
            return Ok(());
        }
        Err(self.failed("is not a program: chmod +x makes it one".to_owned()))
    }

    /// Runs it to its end. What it has started is killed with it.
    pub(super) fn run(&self, id: DeliveryId, message: &Message) -> Result<String> {
        let output = |error: io::Error| self.failed(error.to_string());
        let input = memory_file(request::document(id, message).to_string().as_bytes());
        let said = memory_file(&[]).map_err(output)?;
        let mut command = process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(INHERITED.into_iter().filter_map(|name| Some((name, env::var_os(name)?))))
            .stdin(input.map_err(output)?)
            .stdout(Stdio::from(said.try_clone().map_err(output)?))
            .stderr(Stdio::from(said.try_clone().map_err(output)?))
            .process_group(0);
        let child = command.spawn().map_err(output)?;
        let status = wait(child).map_err(output)?;
        let said = last_words(said);
        match status {
            None => Err(self.failed(format!(
                "has not ended within {} s, and was killed{said}",
                TIMEOUT.as_secs()
            ))),
            Some(status) if status.success() => {
                Ok(format!("{} ended with 0", self.program.display()))
            }
            Some(status) => Err(self.failed(format!("ended with {status}{said}"))),
        }
    }
}

/// Waits for its end, for as long as it may take; then it is killed. `None`: it was.
fn wait(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(&child);
    let ended = pidfd_open(pid, PidfdFlags::empty()).map(|ended| {
        let longest = Timespec::try_from(TIMEOUT).ok();
        poll(&mut [PollFd::new(&ended, PollFlags::IN)], longest.as_ref()).is_ok_and(|it| it > 0)
    });
    // Before it is waited for: until then its process id belongs to nobody else.
    kill_process_group(pid, Signal::KILL).unwrap_or_default();
    let status = child.wait()?;
    Ok(ended?.then_some(status))
}

/// A file that touches no disk, at its beginning.
fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("coffer-alert", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

/// The end of what it said, as the end of a sentence.
fn last_words(mut said: File) -> String {
    let mut text = Vec::new();
    let from = said.metadata().map_or(0, |it| it.len().saturating_sub(SHOWN));
    let read =
        said.seek(SeekFrom::Start(from)).and_then(|_at| said.take(SHOWN).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    if read.is_err() || words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) }
}
