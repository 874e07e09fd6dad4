//! A real S3-compatible server for tests, on a port of its own, ended with the value.
//!
//! A test includes this file with `#[path = "servers/s3.rs"]`; it needs nothing else of the project.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the server takes for an account: it does not compare secrets.
pub(crate) const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

/// A running server, empty at its start.
#[derive(Debug)]
pub(crate) struct S3Server {
    child: Child,
    base: String,
}

impl S3Server {
    pub(crate) fn start() -> Self {
        let program = program();
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; tests/run.sh installs it", program.display())
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("Running on http://")?;
            rest.split_whitespace().next().map(|it| it.trim_end_matches('/').to_owned())
        });
        // Somebody has to read on, or the server would wait for that.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let address = address.expect("the server says where it listens");
        Self { child, base: format!("http://{address}") }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Where it listens, as host and port.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub(crate) fn make_bucket(&self, name: &str) {
        let answer = ureq::put(format!("{}/{name}", self.base)).send_empty().unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// One that keeps every version, and can lock them.
    pub(crate) fn make_locking_bucket(&self, name: &str) {
        let request = ureq::put(format!("{}/{name}", self.base));
        let answer = request.header("x-amz-bucket-object-lock-enabled", "true").send_empty();
        assert!(answer.unwrap().status().is_success());
    }

    /// How many uploads of a bucket were begun, and neither completed nor given up.
    pub(crate) fn unfinished_uploads(&self, bucket: &str) -> usize {
        let mut answer = ureq::get(format!("{}/{bucket}?uploads", self.base)).call().unwrap();
        answer.body_mut().read_to_string().unwrap().matches("<UploadId>").count()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// Where `tests/run.sh` installs it, or where the environment says that it is.
fn program() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/moto_server");
    std::env::var_os("MOTO_SERVER").map_or(installed, PathBuf::from)
}
