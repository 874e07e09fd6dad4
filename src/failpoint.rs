//! Places where tests cut the power.
//!
//! In a build with the feature `failpoints`, a process whose environment names a place in
//! `COFFER_FAILPOINT` kills itself there with SIGKILL: no destructor runs, as in a power cut.
//! In every other build this is nothing.

/// Dies here, if this is the place the environment names.
#[cfg(feature = "failpoints")]
pub fn reached(place: &str) {
    if std::env::var("COFFER_FAILPOINT").is_ok_and(|wanted| wanted == place) {
        let itself = rustix::process::getpid();
        rustix::process::kill_process(itself, rustix::process::Signal::KILL)
            .expect("a process may always kill itself");
    }
}

/// Nothing, in a build without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub fn reached(_place: &str) {}
