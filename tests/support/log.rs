//! The lines that a server writes to stderr.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStderr;
use std::sync::{Arc, Condvar, Mutex};

use super::PATIENCE;

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    closed: bool,
}

/// The lines so far, over all starts of one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    lines: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    /// Collects the lines of `stderr` until it ends.
    pub(crate) fn follow(&self, stderr: ChildStderr) {
        self.lines.0.lock().unwrap().closed = false;
        let lines = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                lines.0.lock().unwrap().lines.push(line);
                lines.1.notify_all();
            }
            lines.0.lock().unwrap().closed = true;
            lines.1.notify_all();
        });
    }

    /// How many lines there are: the index of the next one.
    pub(crate) fn len(&self) -> usize {
        self.lines.0.lock().unwrap().lines.len()
    }

    /// Waits for a line that contains `text`, from index `from` on. `None` if the server ends without one, or
    /// after [`PATIENCE`].
    pub(crate) fn wait_for(&self, text: &str, from: usize) -> Option<String> {
        let find =
            |lines: &Lines| lines.lines.iter().skip(from).find(|line| line.contains(text)).cloned();
        let (mutex, changed) = &*self.lines;
        let waiting = |lines: &mut Lines| !lines.closed && find(lines).is_none();
        let guard = mutex.lock().unwrap();
        let (lines, _timeout) = changed.wait_timeout_while(guard, PATIENCE, waiting).unwrap();
        find(&lines)
    }

    /// Waits until the server has closed its stderr.
    pub(crate) fn wait_for_end(&self) {
        let (mutex, changed) = &*self.lines;
        let guard = mutex.lock().unwrap();
        let (_lines, timeout) =
            changed.wait_timeout_while(guard, PATIENCE, |lines| !lines.closed).unwrap();
        assert!(!timeout.timed_out(), "the server's stderr was not closed");
    }

    /// Every line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().lines.clone()
    }

    /// Every line as one text.
    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The warnings, errors and panics that contain none of the `allowed` texts.
    pub(crate) fn complaints(&self, allowed: &[String]) -> Vec<String> {
        let mut lines = self.lines();
        // Whether a test makes its database before the server looks for it is a matter of speed.
        let is_race = |line: &str| line.contains("its source is not there or not readable");
        lines.retain(|line| {
            is_complaint(line)
                && !is_race(line)
                && !allowed.iter().any(|text| line.contains(text.as_str()))
        });
        lines
    }
}

/// Whether the line is a panic's, or its level, the first word in capitals, is WARN or ERROR.
fn is_complaint(line: &str) -> bool {
    line.contains(" panicked at ")
        || line
            .split(|letter: char| !letter.is_ascii_uppercase())
            .find(|word| word.len() > 1)
            .is_some_and(|word| word == "WARN" || word == "ERROR")
}

#[test]
fn warnings_errors_and_panics_are_complaints() {
    for line in [
        "[2026-01-02T03:04:05Z WARN  coffer::executor] x",
        "2026-01-02T03:04:05.678Z ERROR executor-0 x",
        "WARN x",
        "thread 'executor-0' panicked at src/x.rs:1:2:",
    ] {
        assert!(is_complaint(line), "{line}");
    }
    assert!(!is_complaint("[2026-01-02T03:04:05Z INFO  coffer] HTTP said WARN"));
    assert!(!is_complaint("[2026-01-02T03:04:05Z INFO  coffer] listening"));
}
