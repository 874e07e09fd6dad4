//! The server: this same program, as a child process.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::CommandError;

use super::failed;
use super::interrupt::Interrupt;
use super::stage::Stage;

/// How long the server may take to listen; it takes a fraction of a second.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// How long it may take to stop; nothing runs by then.
const STOPS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The log is looked at up to here.
const LOG_READ: u64 = 1 << 20;

const LISTENING: &str = "listening on ";

/// The running server. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    url: String,
    left: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.left {
            // One that has ended already cannot be killed, and that is fine.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// This program with these arguments, untouched by what this process was told through its environment.
pub(super) fn this_program(arguments: &[&str]) -> Result<Command, CommandError> {
    let program = std::env::current_exe().map_err(failed("finding this program's own file"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _value) in std::env::vars_os() {
        let ours = name.to_string_lossy().starts_with("COFFER_");
        if ours || ["RUST_LOG", "NOTIFY_SOCKET", "JOURNAL_STREAM"].iter().any(|it| name == *it) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

impl Server {
    /// Starts it and waits until it says where it listens.
    pub(super) fn start(stage: &Stage, interrupt: &Interrupt) -> Result<Self, CommandError> {
        let log = stage.log_file();
        let written = File::options()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&log)
            .map_err(failed(format!("writing {}", log.display())))?;
        let mut command = this_program(&["serve", "--config"])?;
        // In a process group of its own: Ctrl-C reaches the tour, and the tour stops the server.
        command.arg(stage.config_file()).process_group(0);
        command.stdout(Stdio::null()).stderr(written).current_dir("/");
        let child = command.spawn().map_err(failed("starting the server"))?;
        let mut server = Self { child, url: String::new(), left: false };
        server.url = server.wait_until_it_listens(&log, interrupt)?;
        Ok(server)
    }

    fn wait_until_it_listens(
        &mut self,
        log: &Path,
        interrupt: &Interrupt,
    ) -> Result<String, CommandError> {
        let deadline = Instant::now() + STARTS_WITHIN;
        loop {
            let ended = self.child.try_wait().map_err(failed("looking after the server"))?;
            let text = read_start(log).map_err(failed(format!("reading {}", log.display())))?;
            if let Some(url) = url_in(&text) {
                return Ok(url);
            }
            if let Some(status) = ended {
                return Err(gave_up(&format!("the server ended at once ({status})"), &text));
            }
            if Instant::now() >= deadline {
                return Err(gave_up("the server does not say that it listens", &text));
            }
            interrupt.pause(LOOK_EVERY)?;
        }
    }

    /// Where it answers.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on when this process ends.
    pub(super) fn leave(mut self) {
        self.left = true;
    }

    /// Stops it as a service manager would; not stopping, or not well, is an error.
    pub(super) fn stop(mut self, interrupt: &Interrupt) -> Result<(), CommandError> {
        let status = self.ask_to_end(interrupt)?;
        if status.success() {
            Ok(())
        } else {
            Err(CommandError::Failed(format!("the server did not stop well: {status}")))
        }
    }

    fn ask_to_end(&mut self, interrupt: &Interrupt) -> Result<ExitStatus, CommandError> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(|errno| failed("stopping the server")(io::Error::from(errno)))?;
        let deadline = Instant::now() + STOPS_WITHIN;
        loop {
            if let Some(status) =
                self.child.try_wait().map_err(failed("looking after the server"))?
            {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                let why = "the server was asked to stop and did not; it was killed";
                return Err(CommandError::Failed(why.to_owned()));
            }
            interrupt.pause(LOOK_EVERY)?;
        }
    }
}

fn read_start(log: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(log)?.take(LOG_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The address in the log, once its line is whole.
fn url_in(log: &str) -> Option<String> {
    let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let mut urls = whole.filter_map(|line| line.split_once(LISTENING));
    urls.next().map(|(_before, url)| url.trim().to_owned()).filter(|url| url.starts_with("http://"))
}

fn gave_up(what: &str, log: &str) -> CommandError {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n  ");
    CommandError::Failed(format!("{what}; its log ends with:\n  {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_from_a_whole_line_only() {
        let before = "[2026-11-23T20:00:00Z INFO  coffer] coffer 0.1.0 starts\n";
        let line = "[2026-11-23T20:00:01Z INFO  coffer] listening on http://127.0.0.1:40961";
        assert_eq!(url_in(before), None);
        assert_eq!(url_in(&format!("{before}{line}")), None);
        let whole = format!("{before}{line}\nmore");
        assert_eq!(url_in(&whole).as_deref(), Some("http://127.0.0.1:40961"));
    }
}
