//! The `sqlite3` program on a database: another process, with another build of `SQLite`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running `sqlite3`; killed with this value.
pub(crate) struct SqliteShell {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl SqliteShell {
    /// Opens the database. The program ends at the first error.
    pub(crate) fn open(path: &Path) -> Self {
        let mut child = Command::new("sqlite3")
            .args(["-batch", "-bail", "-init", "/dev/null"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sqlite3 is installed by tests/run.sh");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Runs these statements and waits for their end; fails the test if one fails.
    #[track_caller]
    pub(crate) fn run(&mut self, sql: &str) {
        let input = self.input.as_mut().unwrap();
        let written = writeln!(input, "{sql}\nSELECT 'done with ' || 'that';");
        let mut line = String::new();
        while written.is_ok() && line != "done with that\n" {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                break;
            }
        }
        if line != "done with that\n" {
            let mut errors = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("sqlite3 failed: {errors}");
        }
    }

    /// Lets it close the database; fails the test unless it ends with success.
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

impl Drop for SqliteShell {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}
