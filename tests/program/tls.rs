//! A port that speaks TLS: what clients see, the commands of this machine, renewed certificates, and clients that never finish.

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

/// Clients that do not get to a request: they send nothing, one byte, or the head of a record that never comes.
fn crowd(server: &TestServer) -> Vec<TcpStream> {
    let begin = |number: usize| [&[][..], &[0x16], &[0x16, 3, 1, 0x20, 0, 1]][number % 3];
    let all = (0..40).map(|number| (number, plain(server)));
    all.map(|(number, mut stream)| {
        stream.write_all(begin(number)).unwrap_or_default();
        stream
    })
    .collect()
}

/// A connection from an address of this machine.
fn from(ip: [u8; 4], server: &TestServer) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
    socket.connect(&address(server).into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

#[test]
fn clients_that_do_not_finish_keep_nobody_out() {
    let files = Files::new();
    let server = files
        .server()
        .setting("server.max_connections", "8")
        .setting("server.max_connections_per_address", "8")
        .setting("server.request_timeout_s", "600")
        .start();
    let waves: Vec<_> = (0..24)
        .map(|_wave| {
            let crowd = crowd(&server);
            wait_until("a client of the same address gets in", || {
                let answer = server.admin().try_send("GET", "backups", None).ok()?;
                (answer.status == 200).then_some(())
            });
            crowd
        })
        .collect();
    let path = server.data_dir().join("coffer.sock");
    let mut socket = UnixStream::connect(path).unwrap();
    assert!(ask(&mut socket, HEALTH).starts_with("HTTP/1.1 200"));
    let mut other = files.by_tls(from([127, 0, 0, 2], &server), DEFAULT_VERSIONS);
    assert!(ask(&mut other, HEALTH).starts_with("HTTP/1.1 200"));
    drop(waves);
}

#[test]
fn clients_that_do_not_finish_end_with_the_time_of_a_request() {
    let files = Files::new();
    let server = files.server().setting("server.request_timeout_s", "1").start();
    for mut stream in crowd(&server) {
        let read = stream.read_to_end(&mut Vec::new());
        let closed = read.is_ok() || read.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset);
        assert!(closed, "one that does not finish stays open");
    }
}

#[test]
fn a_client_that_sends_too_much_before_it_is_understood_ends() {
    let files = Files::new();
    let server = files.server().setting("server.request_timeout_s", "600").start();
    let mut stream = plain(&server);
    // The head of a message of 64 KiB, in records of 16 KiB, of which three come.
    let mut sent = stream.write_all(&[0x16, 3, 1, 0x3f, 0xf0, 1, 0, 0xff, 0xf0]);
    for _piece in 0..3 {
        sent = sent.and_then(|()| stream.write_all(&[0; 0x3fec]));
        sent = sent.and_then(|()| stream.write_all(&[0x16, 3, 1, 0x3f, 0xec]));
    }
    let read = stream.read_to_end(&mut Vec::new());
    let closed = read.is_ok() || read.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset);
    assert!(closed, "it stays open; {sent:?}");
}

#[test]
fn a_download_that_nobody_reads_ends() {
    let files = Files::new();
    let tree = files.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = vec![0; 16 << 20];
    getrandom::fill(&mut noise).unwrap();
    write_file(&tree.join("noise"), noise);
    let server = files
        .server()
        .instance_directory("tree", &tree)
        .setting("server.send_timeout_s", "2")
        .setting("limits.downloads", "1")
        .start();
    let admin = server.admin();
    let archive = format!("backups/{}/archive", id_of(&admin.full("tree")));
    let mut unread = files.connect(&server);
    let (path, secret) = (format!("/v1.0/{PROJECT}/{archive}"), server.admin_secret());
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {secret}\r\n\r\n");
    // It has begun, and takes the only place.
    assert!(ask(&mut unread, &head).starts_with("HTTP/1.1 200"));
    let whole = wait_until("the download ends", || {
        let answer = admin.get(&archive);
        (answer.status != 413).then(|| answer.with_status(200))
    });
    assert!(whole.bytes.len() > 16 << 20);
    let mut rest = Vec::new();
    let read = unread.read_to_end(&mut rest);
    assert!(rest.len() < whole.bytes.len(), "all of it came: {read:?}");
}

/// Has the server read its files again, and waits until it says this.
#[track_caller]
fn reload(server: &TestServer, expected: &str) -> String {
    let from = server.log().len();
    let pid = Pid::from_raw(server.pid().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let said = server.log().wait_for(expected, from);
    said.unwrap_or_else(|| panic!("{expected}:\n{}", server.log().text()))
}

#[test]
fn a_renewed_certificate_is_for_new_connections_and_a_wrong_one_leaves_the_old() {
    let files = Files::new();
    let mut server = files.server().allow_warning("the certificate is not taken over").start();
    let first = in_file(&files.certificate());
    assert_eq!(shown(&files, &server), first);
    let mut open = files.connect(&server);
    assert!(ask(&mut open, HEALTH).starts_with("HTTP/1.1 200"));

    files.issue(LONG);
    let second = in_file(&files.certificate());
    assert_ne!(first, second);
    assert_eq!(shown(&files, &server), first, "nobody has said that there is another one");
    reload(&server, "TLS: the certificate");
    assert_eq!(shown(&files, &server), second);
    assert!(ask(&mut open, HEALTH).starts_with("HTTP/1.1 200"), "an open connection goes on");

    let kept = files.path("kept.pem");
    std::fs::copy(files.certificate(), &kept).unwrap();
    server.trust(&kept);
    let key = std::fs::read(files.key()).unwrap();
    files.issue(("20200101000000Z", "20210101000000Z"));
    let said = reload(&server, "the certificate is not taken over, the old one stays in use");
    assert!(said.contains("ended on 2021-01-01T00:00:00 UTC: renew it"), "{said}");
    // A key of another certificate.
    files.issue(LONG);
    write_file(&files.key(), &key);
    let said = reload(&server, "the certificate is not taken over");
    assert!(said.contains("does not belong to the certificate"), "{said}");
    write_file(&files.key(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    reload(&server, "the private key");
    std::fs::remove_file(files.certificate()).unwrap();
    let said = reload(&server, "the certificate is not taken over");
    assert!(said.contains("certificate.pem cannot be read"), "{said}");
    assert_eq!(shown(&files, &server), second);
    assert!(ask(&mut open, HEALTH).starts_with("HTTP/1.1 200"));
    assert!(!server.log().text().contains("AAAA"));
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_mends_it() {
    let files = Files::new();
    let status = Command::new("chmod").arg("644").arg(files.key()).status();
    assert!(status.unwrap().success());
    let serve = || {
        // One that is not refused would serve for ever.
        let mut serve = Command::new("timeout");
        serve.args(["60", env!("CARGO_BIN_EXE_coffer")]);
        serve.env("COFFER__DATA_DIR", files.path("data"));
        serve.env("COFFER__SERVER__LISTEN", "127.0.0.1:0");
        serve.args(["serve", "--config", "/dev/null"]);
        serve
    };
    let mut refused = serve();
    refused.env("COFFER__SERVER__TLS__CERTIFICATE", files.certificate());
    refused.env("COFFER__SERVER__TLS__PRIVATE_KEY", files.key());
    let output = refused.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr_of(&output);
    assert!(said.contains(&format!("chmod 600 {}", files.key().display())), "{said}");
    assert!(!files.path("data").exists(), "nothing is made before");

    let mut refused = serve();
    refused.env("COFFER__SERVER__TLS__CERTIFICATE", files.certificate());
    let output = refused.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr_of(&output);
    assert!(said.contains("server.tls.private_key is empty"), "{said}");
}

/// What the doctor finds of TLS: the level and the text of each.
fn findings(server: &TestServer, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut doctor = server.command(&["doctor", "--json"]);
    doctor.env("COFFER__SERVER__LISTEN", address(server).to_string());
    let output = doctor.envs(settings.iter().copied()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["findings"].as_array().unwrap().iter().filter(|it| it["check"] == "TLS");
    all.map(|it| (it["level"].as_str().unwrap().to_owned(), it["found"].to_string())).collect()
}

/// A moment as OpenSSL writes it, so many days from now.
fn in_days(days: u64) -> String {
    let then = SystemClock.now().plus(Duration::from_secs(days * 24 * 3600 + 600));
    format!("{}Z", then.to_wire().replace(['-', ':', 'T'], ""))
}

#[test]
fn a_certificate_that_ends_soon_is_said_by_the_log_the_alerts_and_the_doctor() {
    let files = Files::new();
    let (begin, end) = ("20260101000000Z", in_days(5));
    files.issue((begin, &end));
    let server = files.server().allow_warning("ends in 5 days").start();
    let said = server.log().wait_for("WARN", 0).unwrap();
    assert!(
        said.contains("ends in 5 days") && said.contains("clients refuse to connect then"),
        "{said}"
    );
    let alert = || {
        let alerts = server.admin().get("alerts?all_projects=true").with_status(200).json();
        let all = alerts["alerts"].as_array().unwrap().clone();
        all.iter().find(|it| it["kind"] == "certificate_ends").map(drop)
    };
    wait_until("the alert", alert);
    let found = findings(&server, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "warning" && found[0].1.contains("ends in 5 days"), "{found:?}");

    files.issue((begin, &in_days(90)));
    let found = findings(&server, &[]);
    assert_eq!(found[0].0, "ok", "{found:?}");
    assert!(found[1].1.contains("does not show the certificate"), "{found:?}");
    reload(&server, "TLS: the certificate");
    wait_until("what the server says of itself", || {
        let health = server.anonymous().get("/healthcheck").json();
        (health["notices"] == json!([])).then_some(())
    });
    assert_eq!(findings(&server, &[]).len(), 1);
}

#[test]
fn the_doctor_says_what_is_wrong_with_certificate_and_key() {
    let files = Files::new();
    let server = files.server().start();
    let found = findings(&server, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "ok" && found[0].1.contains("belongs to its key"), "{found:?}");
    let public = |url| findings(&server, &[("COFFER__SERVER__PUBLIC_URL", url)]);
    assert_eq!(public("https://backup.example.org").len(), 1);
    assert_eq!(public("https://127.0.0.1:8779/a").len(), 1);
    let found = public("https://other.example.org");
    assert_eq!(found[1].0, "warning", "{found:?}");
    let expected = "is for backup.example.org, and not for other.example.org";
    assert!(found[1].1.contains(expected), "{found:?}");

    let kept = [files.certificate(), files.key()].map(|it| std::fs::read(it).unwrap());
    files.issue(("20200101000000Z", "20210101000000Z"));
    let found = findings(&server, &[]);
    assert!(found[0].0 == "problem" && found[0].1.contains("ended on 2021-01-01"), "{found:?}");
    write_file(&files.certificate(), &kept[0]);
    let found = findings(&server, &[]);
    assert!(found[0].0 == "problem" && found[0].1.contains("does not belong"), "{found:?}");
    write_file(&files.key(), &kept[1]);
    assert_eq!(findings(&server, &[])[0].0, "ok");
    std::fs::set_permissions(files.key(), Permissions::from_mode(0o640)).unwrap();
    chown(files.key(), Some(1), None).unwrap_or_default();
    let found = findings(&server, &[]);
    assert!(found[0].0 == "problem" && found[0].1.contains("(mode 0640)"), "{found:?}");
}
