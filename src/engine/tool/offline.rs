//! What keeps a private server from other servers, whatever its data tells it to do: it accepts connections, but can
//! make none, neither over a network nor to a socket of this machine.
//!
//! A filter of system calls needs no right and no namespace. It belongs to a thread and to everything that this thread
//! starts, so a thread of its own starts the server.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::Ne;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// The thread that has started a program. The kernel ends the program with it, so it lives as long as this.
#[derive(Debug)]
pub(super) struct Starter {
    /// The thread waits until this is dropped.
    _end: Sender<()>,
}

/// Starts a program that can connect to nothing, if the kernel supports that.
pub(super) fn start(mut command: Command) -> io::Result<(Child, Starter)> {
    let (started, is_started) = mpsc::channel();
    let (end, is_over) = mpsc::channel();
    let run = move || {
        // If it is refused, the server's settings and its network namespace remain.
        let _refused = forbid_connections();
        if started.send(command.spawn()).is_ok() {
            is_over.recv().unwrap_or_default();
        }
    };
    thread::Builder::new().name("private-server".to_owned()).spawn(run)?;
    Ok((is_started.recv().map_err(io::Error::other)??, Starter { _end: end }))
}

/// What keeps a drill's server from other servers, for `coffer doctor`.
pub(crate) fn drill_network() -> &'static str {
    static CAN_FORBID: OnceLock<bool> = OnceLock::new();
    let try_it = || thread::spawn(|| forbid_connections().is_ok()).join().unwrap_or(false);
    if *CAN_FORBID.get_or_init(try_it) {
        "without a network"
    } else if has_network_namespaces() {
        "without a network, but for the sockets of this machine: the kernel filters no system calls here"
    } else {
        "kept from other servers by its settings only: the kernel filters no system calls here, and gives this \
         user no network namespace"
    }
}

/// Whether a program can be run without any network, not even this machine's own: the kernel gives this user a
/// network namespace. Tried once.
pub(super) fn has_network_namespaces() -> bool {
    static TRIED: OnceLock<bool> = OnceLock::new();
    *TRIED.get_or_init(|| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-user=1000", "--net", "--", "true"]);
        let tried = unshare.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    })
}

/// From now on, this thread and what it starts are refused every connection.
fn forbid_connections() -> Result<(), seccompiler::Error> {
    apply_filter(&program()?)
}

fn program() -> Result<BpfProgram, BackendError> {
    let differs = |argument, length, from| {
        let condition = SeccompCondition::new(argument, length, Ne, from)?;
        SeccompRule::new(vec![condition])
    };
    let local = u64::from(libc::AF_UNIX.unsigned_abs());
    let rules = BTreeMap::from([
        (libc::SYS_connect, Vec::new()),
        // What is not connected can be sent with an address.
        (libc::SYS_sendto, vec![differs(4, Qword, 0)?]),
        (libc::SYS_socket, vec![differs(0, Dword, local)?]),
        // It could connect without these calls. Servers do without it where it is missing.
        (libc::SYS_io_uring_setup, Vec::new()),
    ]);
    let denied = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    let here = ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, denied, here)?.try_into()
}
