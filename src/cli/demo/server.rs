//! The server: this same program, as a child process.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::error::{Result, failed};
use crate::cli::interrupt::Interrupt;

use super::workspace::{CONFIG, LOG, Workspace};

/// How long the server may take to start or to stop; it takes a fraction of a second.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The running server. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    keep: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.keep {
            // One that has exited already cannot be killed, and that is fine.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// This program with these arguments and without this process's settings in the environment.
pub(super) fn this_program(arguments: &[&str]) -> Result<Command> {
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
    /// Starts it and waits until it listens.
    pub(super) fn start(workspace: &Workspace, interrupt: &Interrupt) -> Result<Self> {
        let log = workspace.path(LOG);
        let doing = || failed(format!("the server's log {}", log.display()));
        let stderr = File::create_new(&log).map_err(doing())?;
        let mut command = this_program(&["serve", "--config"])?;
        command.arg(workspace.path(CONFIG)).current_dir("/");
        // In a process group of its own: Ctrl-C reaches the demo only, which then stops the server.
        command.process_group(0).stdout(Stdio::null()).stderr(stderr);
        let child = command.spawn().map_err(failed("starting the server"))?;
        let mut server = Self { child, url: String::new(), keep: false };
        server.url = interrupt.wait_for("the server's start", TIMEOUT, || {
            let exited = server.child.try_wait().map_err(doing())?;
            let text = fs::read_to_string(&log).map_err(doing())?;
            match (url_in(&text), exited) {
                (None, Some(status)) => Err(failed(format!("the server: {status}"))(text)),
                (url, _) => Ok(url),
            }
        })?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run on when this process exits.
    pub(super) fn keep(mut self) {
        self.keep = true;
    }

    /// Stops it as a service manager would, and fails unless it exits with success.
    pub(super) fn stop(mut self, interrupt: &Interrupt) -> Result<()> {
        let doing = || failed("stopping the server");
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).map_err(io::Error::from).map_err(doing())?;
        let status = interrupt
            .wait_for("the server's end", TIMEOUT, || self.child.try_wait().map_err(doing()))?;
        if status.success() { Ok(()) } else { Err(failed("the server's end")(status)) }
    }
}

/// The address in the log, once its line is complete.
fn url_in(log: &str) -> Option<String> {
    let (_before, after) = log.split_once("listening on ")?;
    let (url, _rest) = after.split_once('\n')?;
    Some(url.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_a_complete_line_only() {
        let before = "[2026-11-23T20:00:00Z INFO  coffer] coffer 0.1.0 starts\n";
        let line = "[2026-11-23T20:00:01Z INFO  coffer] listening on http://127.0.0.1:40961";
        assert_eq!(url_in(before), None);
        assert_eq!(url_in(&format!("{before}{line}")), None);
        let complete = format!("{before}{line}\nmore");
        assert_eq!(url_in(&complete).as_deref(), Some("http://127.0.0.1:40961"));
    }
}
