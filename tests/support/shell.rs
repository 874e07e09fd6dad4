//! The `sqlite3` program at work on a database: another process, with another build of `SQLite`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running `sqlite3`; ended with this value.
pub(crate) struct Shell {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// Opens the database. It gives up at the first error.
    pub(crate) fn open(path: &Path) -> Self {
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-bail", "-init", "/dev/null"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sqlite3 is installed: tests/run.sh sees to it");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Runs these statements and waits until it has; fails the test if one fails.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) {
        let input = self.input.as_mut().unwrap();
        let written = writeln!(input, "{sql}\nSELECT 'that is ' || 'done';");
        let mut line = String::new();
        while written.is_ok() && line != "that is done\n" {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                break;
            }
        }
        if line != "that is done\n" {
            let mut said = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("sqlite3 gave up: {said}");
        }
    }

    /// Lets it close the database and waits until it has ended well.
    #[track_caller]
    pub(crate) fn close(mut self) {
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    /// Ends it as a crash would: nothing is closed.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}
