//! Address, user and password in an option file that exists only in memory.
//!
//! A tool that gets this file reads no other: neither `/etc/my.cnf` nor `~/.my.cnf` changes where it connects.

use std::os::unix::ffi::OsStrExt as _;

use super::options::Options;
use super::programs::Maker;
use crate::engine::Result;
use crate::engine::server_source::{Address, ServerSource, Tls};
use crate::engine::source_path::invalid;
use crate::engine::tool::{Secret, SecretFile, Tool};

/// The tools cut the lines of an option file at 4096 bytes.
const MAX_LINE: usize = 4000;

/// An option file for the tools of one maker.
#[derive(Debug)]
pub(super) struct Login {
    file: SecretFile,
    secret: Option<Secret>,
}

impl Login {
    pub(super) fn new(options: &Options, maker: Maker) -> Result<Self> {
        let secret = options.server.password()?;
        let file = SecretFile::new(&content(&options.server, maker, secret.as_ref())?)?;
        Ok(Self { file, secret })
    }

    /// Gives the file to a tool that has no arguments yet: it must be the first. Removes the password from messages.
    pub(super) fn apply(&self, tool: Tool) -> Tool {
        let tool = tool.option("--defaults-file=", self.file.path());
        match &self.secret {
            Some(secret) => tool.redact(secret),
            None => tool,
        }
    }
}

fn content(server: &ServerSource, maker: Maker, secret: Option<&Secret>) -> Result<Vec<u8>> {
    let mut text = b"[client]\n".to_vec();
    if let Some(user) = &server.user {
        put(&mut text, "user", user.as_bytes());
    }
    if let Some(secret) = secret {
        put(&mut text, "password", secret.reveal().as_bytes());
    }
    match &server.address {
        Address::Socket(path) => {
            put(&mut text, "protocol", b"socket");
            put(&mut text, "socket", path.as_os_str().as_bytes());
        }
        Address::Tcp { host, port } => {
            put(&mut text, "protocol", b"tcp");
            put(&mut text, "host", host.as_bytes());
            put(&mut text, "port", port.to_string().as_bytes());
        }
    }
    for (name, file) in server.tls_files(["ssl-ca", "ssl-cert", "ssl-key"]) {
        put(&mut text, name, file.as_os_str().as_bytes());
    }
    text.extend_from_slice(tls_options(server.tls, maker).as_bytes());
    if text.split(|byte| *byte == b'\n').any(|line| line.len() > MAX_LINE) {
        return Err(invalid(
            "a password, user or path of source is too long for an option file, whose lines the database's \
             tools cut at 4096 bytes: choose a shorter one",
        ));
    }
    Ok(text)
}

/// The options for TLS. MariaDB's tools always compare the host when they verify a certificate, so `verify-ca` is
/// stricter there than its name says.
const fn tls_options(tls: Tls, maker: Maker) -> &'static str {
    match (maker, tls) {
        (_, Tls::Prefer) => "",
        (Maker::MariaDb, Tls::Off) => "skip-ssl\n",
        (Maker::MariaDb, Tls::Require) => "ssl\nssl-verify-server-cert=0\n",
        (Maker::MariaDb, Tls::VerifyCa | Tls::VerifyFull) => "ssl\nssl-verify-server-cert=1\n",
        (Maker::MySql, Tls::Off) => "ssl-mode=DISABLED\n",
        (Maker::MySql, Tls::Require) => "ssl-mode=REQUIRED\n",
        (Maker::MySql, Tls::VerifyCa) => "ssl-mode=VERIFY_CA\n",
        (Maker::MySql, Tls::VerifyFull) => "ssl-mode=VERIFY_IDENTITY\n",
    }
}

/// One quoted option; within quotes, only these characters need an escape.
fn put(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"=\"");
    for byte in value {
        match byte {
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'"' => text.extend_from_slice(b"\\\""),
            other => text.push(*other),
        }
    }
    text.extend_from_slice(b"\"\n");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Brand;
    use super::*;

    fn written(source: Value, maker: Maker, password: &str) -> Result<String> {
        let source = serde_json::from_value(source).unwrap();
        let options = Options::parse(Brand::MariaDb, &source).unwrap();
        let secret = Secret::from_bytes(password.as_bytes().to_vec()).unwrap();
        let bytes = content(&options.server, maker, Some(&secret))?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_password_of_any_characters_is_one_quoted_line() {
        let text = written(json!({"socket": "/s"}), Maker::MariaDb, "a'b\"c\\ d#\te\nf ").unwrap();
        assert!(text.contains("password=\"a'b\\\"c\\\\ d#\\te\\nf \"\n"), "{text}");
        assert!(text.contains("socket=\"/s\"\n"), "{text}");
    }

    #[test]
    fn a_password_that_the_tools_would_cut_is_refused() {
        assert!(written(json!({"socket": "/s"}), Maker::MariaDb, &"x".repeat(4100)).is_err());
        assert!(written(json!({"socket": "/s"}), Maker::MariaDb, &"x".repeat(3000)).is_ok());
    }

    #[test]
    fn each_maker_has_its_own_options_for_tls() {
        let source = json!({"url": "mysql://me@db:7", "tls": "verify-full", "ca_file": "/ca.pem"});
        let mariadb = written(source.clone(), Maker::MariaDb, "x").unwrap();
        for line in ["ssl-ca=\"/ca.pem\"\n", "ssl\n", "ssl-verify-server-cert=1\n", "port=\"7\"\n"]
        {
            assert!(mariadb.contains(line), "{mariadb}");
        }
        let mysql = written(source, Maker::MySql, "x").unwrap();
        assert!(
            mysql.contains("ssl-mode=VERIFY_IDENTITY\n") && !mysql.contains("\nssl\n"),
            "{mysql}"
        );
    }
}
