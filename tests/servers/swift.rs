//! A real OpenStack Swift for tests, on a port of its own, ended with the value. Its users log in at its own
//! `/auth/v1.0`.
//!
//! A test includes this file with `#[path = "servers/swift.rs"]`; it needs nothing else of the project.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Who may do everything in the account of the tests.
pub(crate) const LOGIN: [(&str, &str); 2] = [("ST_USER", "test:tester"), ("ST_KEY", "testing")];

/// A running server, empty at its start.
#[derive(Debug)]
pub(crate) struct SwiftServer {
    child: Child,
    base: String,
    _folder: tempfile::TempDir,
}

impl SwiftServer {
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().unwrap();
        let python = python(root);
        let mut command = Command::new(&python);
        command.arg(root.join("tests/servers/swift_server.py")).arg(folder.path());
        // It ends with its input.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; tests/run.sh installs it", python.display())
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(base) = line.trim().strip_prefix("Running on ") else {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("Swift does not start: {why}");
        };
        let base = base.to_owned();
        // Somebody has to read on, or the server would wait for that.
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(drop));
        Self { child, base, _folder: folder }
    }

    pub(crate) fn auth_url(&self) -> String {
        format!("{}/auth/v1.0", self.base)
    }

    /// Where it listens, as host and port.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Where it answers to requests of S3, with [`LOGIN`] as the keys.
    pub(crate) fn s3_endpoint(&self) -> &str {
        &self.base
    }

    /// The address of something in the account of the tests, and a token for it.
    fn at(&self, path: &str) -> (String, String) {
        let login = ureq::get(self.auth_url());
        let login = login.header("x-auth-user", LOGIN[0].1).header("x-auth-key", LOGIN[1].1);
        let answer = login.call().unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        (format!("{}/{path}", header("x-storage-url")), header("x-auth-token"))
    }

    pub(crate) fn make_container(&self, name: &str) {
        let (url, token) = self.at(name);
        let answer = ureq::put(url).header("x-auth-token", token).send_empty().unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Lets somebody read what is in a container.
    pub(crate) fn let_read(&self, container: &str, who: &str) {
        let (url, token) = self.at(container);
        let request = ureq::post(url).header("x-auth-token", token);
        request.header("x-container-read", who).send_empty().unwrap();
    }

    /// Writes a small object by each of these names.
    pub(crate) fn put(&self, container: &str, names: impl IntoIterator<Item = String>) {
        let ((url, token), agent) = (self.at(container), ureq::agent());
        for name in names {
            let put = agent.put(format!("{url}/{name}")).header("x-auth-token", &token);
            assert!(put.send(&b"x"[..]).unwrap().status().is_success(), "{name}");
        }
    }

    /// The names of all objects in a container.
    pub(crate) fn objects(&self, container: &str) -> Vec<String> {
        let (url, token) = self.at(container);
        let mut answer = ureq::get(url).header("x-auth-token", token).call().unwrap();
        answer.body_mut().read_to_string().unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) fn remove(&self, path: &str) {
        let (url, token) = self.at(path);
        ureq::delete(url).header("x-auth-token", token).call().unwrap();
    }
}

impl Drop for SwiftServer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// The Python that `tests/run.sh` installs Swift for, or where the environment says that it is.
fn python(root: &Path) -> PathBuf {
    let installed = root.join("target/venv/bin/python");
    std::env::var_os("SWIFT_PYTHON").map_or(installed, PathBuf::from)
}
