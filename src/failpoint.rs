//! Points where tests kill the process.
//!
//! In a build with the feature `failpoints`, a process with the name of such a point in `COFFER_FAILPOINT` kills
//! itself there with SIGKILL: as in a power cut, no destructor runs. In every other build nothing happens.

/// Kills the process if this is the point that `COFFER_FAILPOINT` names.
#[cfg(feature = "failpoints")]
pub fn at(name: &str) {
    if std::env::var("COFFER_FAILPOINT").is_ok_and(|wanted| wanted == name) {
        let itself = rustix::process::getpid();
        rustix::process::kill_process(itself, rustix::process::Signal::KILL)
            .expect("a process may always kill itself");
    }
}

/// Nothing, in a build without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub fn at(_name: &str) {}
