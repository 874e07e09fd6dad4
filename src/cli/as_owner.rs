//! A command of root, run as the user whose data directory it is about.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::geteuid;

use crate::config::Config;
use crate::server::user_name;

/// Runs this command again as the owner of the data directory, if this is root and the owner is not: the server of a drill has
/// not root's rights, and could not enter a folder of that user. It returns where there is nothing to do, or where that fails.
pub(super) fn go_on_as_owner(config: &Config) {
    let Ok(owner) = config.data_dir.metadata() else { return };
    if !geteuid().is_root() || owner.uid() == 0 {
        return;
    }
    // That user need not reach the program by its path, and may run it all the same.
    let Ok(program) = File::open("/proc/self/exe") else { return };
    let groups = if user_name(owner.uid()).is_some() { "--init-groups" } else { "--clear-groups" };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", owner.uid())).arg(format!("--regid={}", owner.gid()));
    command.args([groups, "--", "/proc/self/fd/0"]).args(std::env::args_os().skip(1));
    let error = command.env("HOME", &config.data_dir).stdin(program).exec();
    log::debug!("this goes on as root, because setpriv could not be run: {error}");
}
