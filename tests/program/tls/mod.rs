//! A port that speaks TLS: what clients see, and the commands of this machine.

mod certificates;
mod unfinished;

use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use coffer::domain::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, DEFAULT_VERSIONS, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::receivers::Authority;
use crate::support::{
    Builder, PATIENCE, PROJECT, TestServer, id_of, stderr_of, wait_until, write_file,
};

const HEALTH: &str = "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// As long as these tests are run.
const LONG: (&str, &str) = ("20260101000000Z", "20990101000000Z");

/// An authority, and the files of a server whose certificate it has issued.
#[derive(Debug)]
struct Files {
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { authority: Authority::new(), folder: tempfile::tempdir().unwrap() };
        files.issue(LONG);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn certificate(&self) -> PathBuf {
        self.path("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    /// New ones in their place.
    fn issue(&self, dates: (&str, &str)) {
        self.authority.issue((&self.certificate(), &self.key()), dates);
    }

    fn server(&self) -> Builder {
        TestServer::builder()
            .setting("server.tls.certificate", self.certificate().to_str().unwrap())
            .setting("server.tls.private_key", self.key().to_str().unwrap())
    }

    /// A client that trusts the authority, as clients elsewhere do.
    fn connect(&self, server: &TestServer) -> Client {
        self.by_tls(plain(server), DEFAULT_VERSIONS)
    }

    fn by_tls(&self, stream: TcpStream, versions: &[&'static SupportedProtocolVersion]) -> Client {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(self.authority.file("ca.crt")).unwrap();
        roots.add(authority).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("backup.example.org").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(session, stream)
    }
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn address(server: &TestServer) -> SocketAddr {
    server.base().trim_start_matches("https://").parse().unwrap()
}

fn plain(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The first bytes of an answer: as many as came at once.
#[track_caller]
fn ask(client: &mut (impl Read + Write), request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 64 << 10];
    let bytes = client.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..bytes]).into_owned()
}

/// The certificate that a new connection is shown.
#[track_caller]
fn shown(files: &Files, server: &TestServer) -> Vec<u8> {
    let mut client = files.connect(server);
    assert!(ask(&mut client, HEALTH).starts_with("HTTP/1.1 200"));
    client.conn.peer_certificates().unwrap()[0].to_vec()
}

fn in_file(path: &Path) -> Vec<u8> {
    CertificateDer::from_pem_file(path).unwrap().to_vec()
}

#[test]
fn clients_speak_tls_and_links_and_the_cookie_of_the_console_say_so() {
    let files = Files::new();
    let server = files.server().token("alice", "project-a", &["member"]).start();
    assert!(server.base().starts_with("https://"), "{}", server.base());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = files.by_tls(plain(&server), &[version]);
        for _request in 0..2 {
            assert!(ask(&mut client, HEALTH).starts_with("HTTP/1.1 200"), "{version:?}");
        }
        assert_eq!(client.conn.protocol_version(), Some(version.version));
        assert_eq!(client.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let versions = server.anonymous().get("/").text();
    assert!(versions.contains(&format!("\"{}/", server.base())), "{versions}");
    let elsewhere = server.anonymous().with_header("Host", "evil.example").get("/").text();
    assert!(!elsewhere.contains("evil"), "{elsewhere}");

    let form = format!("token={}", server.secret("alice"));
    let request = format!(
        "POST /console/sign-in HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = ask(&mut files.connect(&server), &request);
    let cookie = answer.lines().find(|it| it.to_lowercase().starts_with("set-cookie:")).unwrap();
    assert!(cookie.ends_with("; Secure"), "{answer}");

    // More than all buffers hold.
    let large = server.anonymous().get("/openapi.json").with_status(200);
    assert!(large.bytes.len() > 64 << 10);
    assert!(!server.log().text().contains("WARN"), "{}", server.log().text());
}

#[test]
fn a_request_without_tls_gets_one_sentence() {
    let files = Files::new();
    let server = files.server().start();
    let mut stream = plain(&server);
    stream.write_all(HEALTH.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("This port speaks TLS only: use https://."), "{answer}");
    let mut nonsense = files.connect(&server);
    nonsense.sock.write_all(&[0x16, 3, 1, 0, 4, 9, 0, 0, 0]).unwrap();
    assert!(nonsense.sock.read_to_end(&mut Vec::new()).is_ok());
}

/// A command that finds the server by its port only.
fn by_port(server: &TestServer, arguments: &[&str]) -> Output {
    let mut command = server.command(arguments);
    command.env("COFFER__SERVER__LISTEN", address(server).to_string());
    command.env("COFFER__SERVER__SOCKET", "").output().unwrap()
}

#[test]
fn the_commands_of_this_machine_need_only_the_port_and_trust_only_its_certificate() {
    let files = Files::new();
    let server = files.server().no_tokens().setting("server.socket", "").start();
    for arguments in
        [&["backup", "coffer-catalog", "--wait"][..], &["list"], &["status"], &["healthcheck"]]
    {
        let output = by_port(&server, arguments);
        // What is not proven well enough yet is no failure of the way there.
        let code = output.status.code();
        assert!(code == Some(0) || code == Some(7), "{arguments:?}: {}", stderr_of(&output));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(arguments != ["list"] || said.contains("COMPLETED"), "{said}");
    }
    // Somebody else answers at the port.
    let used = std::fs::read(files.certificate()).unwrap();
    files.issue(LONG);
    for arguments in [&["list"][..], &["healthcheck"]] {
        let output = by_port(&server, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = stderr_of(&output);
        assert!(said.contains("the server has another certificate than the one in"), "{said}");
    }
    write_file(&files.certificate(), "nothing");
    let output = by_port(&server, &["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr_of(&output).contains("holds no certificate"), "{}", stderr_of(&output));
    write_file(&files.certificate(), used);
}
