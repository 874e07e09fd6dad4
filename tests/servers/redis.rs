//! A real Redis server for tests: on a private socket in a temporary folder, ended with the value.
//!
//! A test includes this file with `#[path = "servers/redis.rs"]`; it needs nothing else of the project.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct RedisServer {
    command: Command,
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl RedisServer {
    /// An empty one.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// An empty one with more options, as `["--maxmemory", "1gb"]`, perhaps after the path of a configuration file.
    pub(crate) fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        Self::spawn(folder, &data, 0, options)
    }

    /// One on the `dump.rdb` in `data`, which it only reads.
    pub(crate) fn on(data: &Path) -> Self {
        Self::spawn(tempfile::tempdir().unwrap(), data, 0, &[])
    }

    /// One that also listens on a port.
    pub(crate) fn at_a_port(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        Self::spawn(folder, &data, free_port(), options)
    }

    /// One that listens on a port with TLS, and requires a certificate of `of`'s authority.
    pub(crate) fn with_tls(of: &Certificates) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let port = free_port();
        let (text, file) = (port.to_string(), |name: &str| of.file(name).display().to_string());
        let (ca, cert, key) = (file("ca.crt"), file("server.crt"), file("server.key"));
        let options = [
            ["--tls-port", &text],
            ["--tls-ca-cert-file", &ca],
            ["--tls-cert-file", &cert],
            ["--tls-key-file", &key],
        ];
        let mut server = Self::spawn(folder, &data, 0, options.as_flattened());
        server.port = port;
        server
    }

    fn spawn(folder: tempfile::TempDir, data: &Path, port: u16, options: &[&str]) -> Self {
        // A configuration file counts only as the first argument.
        let (file, options) = options.split_at(usize::from(
            options
                .first()
                .is_some_and(|it| Path::new(it).extension().is_some_and(|it| it == "conf")),
        ));
        let mut command = Command::new("redis-server");
        command.args(file).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--daemonize", "no", "--dbfilename", "dump.rdb"]);
        // By default, a server waits for more replicas before it sends a snapshot.
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.arg("--unixsocket").arg(folder.path().join("s")).arg("--dir").arg(data);
        command.arg("--logfile").arg(folder.path().join("log")).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed");
        let mut server = Self { command, child, folder, port };
        server.wait_until_up();
        server
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_up() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}:\n{}", self.log());
            pause();
        }
    }

    /// Starts it again, on the data that it saved. It was killed.
    pub(crate) fn restart(&mut self) {
        self.child = self.command.spawn().unwrap();
        self.wait_until_up();
    }

    fn is_up(&self) -> bool {
        let Ok(stream) = UnixStream::connect(self.socket()) else { return false };
        let mut connection = Connection(BufReader::new(stream));
        match connection.ask(&["PING"]) {
            Reply::Error(said) => !said.starts_with("LOADING"),
            _ => true,
        }
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, removed with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection(BufReader::new(UnixStream::connect(self.socket()).unwrap()))
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reply {
    Nil,
    Number(i64),
    Bytes(Vec<u8>),
    Error(String),
    List(Vec<Reply>),
}

impl Reply {
    /// As a number; fails the test if it is none.
    #[track_caller]
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).parse().unwrap(),
            other => panic!("{other:?} is no number"),
        }
    }

    /// As bytes; fails the test if it is something else.
    #[track_caller]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            other => panic!("{other:?} are no bytes"),
        }
    }

    /// As text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// As a list; fails the test if it is none.
    #[track_caller]
    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            other => panic!("{other:?} is no list"),
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<UnixStream>);

impl Connection {
    /// One over this socket.
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// Sends a command and returns the answer.
    pub(crate) fn ask<T: AsRef<[u8]>>(&mut self, command: &[T]) -> Reply {
        self.send(command);
        self.receive()
    }

    /// Sends a command and returns the answer; fails the test if that is an error.
    #[track_caller]
    pub(crate) fn run<T: AsRef<[u8]> + std::fmt::Debug>(&mut self, command: &[T]) -> Reply {
        let reply = self.ask(command);
        assert!(!matches!(reply, Reply::Error(_)), "{command:?}: {reply:?}");
        reply
    }

    /// Sends a command whose answer is received later.
    pub(crate) fn send<T: AsRef<[u8]>>(&mut self, command: &[T]) {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for part in command {
            let part = part.as_ref();
            bytes.extend(format!("${}\r\n", part.len()).into_bytes());
            bytes.extend(part);
            bytes.extend(b"\r\n");
        }
        // If the server was killed, the missing answer shows it.
        self.0.get_mut().write_all(&bytes).unwrap_or_default();
    }

    /// The next answer; an error if the server has ended.
    pub(crate) fn receive(&mut self) -> Reply {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        let Some((kind, rest)) = read.ok().and_then(|_| line.split_at_checked(1)) else {
            return Reply::Error("the server has ended".to_owned());
        };
        match kind {
            "+" => Reply::Bytes(rest.as_bytes().to_vec()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(rest.parse().unwrap()),
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Reply::Bytes(bytes)
            }
            "*" => Reply::List((0..rest.parse().unwrap()).map(|_| self.receive()).collect()),
            _ => panic!("not an answer: {line}"),
        }
    }

    /// Everything in the server, ordered: databases, keys with type, expiry and value, and functions.
    pub(crate) fn contents(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for database in 0..16 {
            self.run(&["SELECT", &database.to_string()]);
            let mut keys: Vec<Reply> = self.run(&["KEYS", "*"]).list().to_vec();
            keys.sort();
            for key in keys {
                let line = self.described(key.bytes());
                lines.push(format!("{database} {line}"));
            }
        }
        self.run(&["SELECT", "0"]);
        let mut functions = self.run(&["FUNCTION", "LIST", "WITHCODE"]).list().to_vec();
        functions.sort();
        lines.extend(functions.iter().map(|it| format!("function {}", shown(it))));
        lines
    }

    fn described(&mut self, key: &[u8]) -> String {
        let kind = self.run(&[b"TYPE".as_slice(), key]).text();
        let until = self.run(&[b"PEXPIRETIME".as_slice(), key]).number();
        let (command, more, sorted): (_, &[&str], _) = match kind.as_str() {
            "string" => ("GET", &[], false),
            "list" => ("LRANGE", &["0", "-1"], false),
            "set" => ("SMEMBERS", &[], true),
            "zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"], false),
            "hash" => ("HGETALL", &[], false),
            "stream" => ("XRANGE", &["-", "+"], false),
            other => panic!("a key of unknown type: {other}"),
        };
        let mut asked = vec![command.as_bytes(), key];
        asked.extend(more.iter().map(|it| it.as_bytes()));
        let mut content = self.run(&asked);
        if let Reply::List(items) = &mut content {
            if sorted {
                items.sort();
            }
            if kind == "hash" {
                let mut pairs: Vec<Reply> =
                    items.chunks(2).map(|it| Reply::List(it.to_vec())).collect();
                pairs.sort();
                *items = pairs;
            }
        }
        let mut line = format!("{} {kind} {until} {}", key.escape_ascii(), shown(&content));
        if kind == "stream" {
            // Groups and their consumers, without the time since each was last active.
            let groups = self.run(&[b"XINFO".as_slice(), b"GROUPS", key]);
            line += &shown(&groups);
            for group in groups.list() {
                let name = group.list().get(1).unwrap().bytes().to_vec();
                let pending = self.run(&[b"XPENDING".as_slice(), key, &name]);
                line += &shown(&pending);
            }
        }
        line
    }
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::Number(number) => number.to_string(),
        Reply::Bytes(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Reply::Error(said) => format!("!{said}"),
        Reply::List(items) => {
            let mut text = "[".to_owned();
            for item in items {
                write!(text, "{} ", shown(item)).unwrap();
            }
            text + "]"
        }
    }
}

/// An authority, and certificates of a server and a client signed by it.
#[derive(Debug)]
pub(crate) struct Certificates(tempfile::TempDir);

impl Certificates {
    /// New ones.
    pub(crate) fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.openssl(&format!(
            "{NEW_KEY} -keyout ca.key -x509 -days 2 -subj /CN=authority -out ca.crt"
        ));
        for name in ["server", "client"] {
            made.openssl(&format!("{NEW_KEY} -keyout {name}.key -subj /CN={name} -out {name}.csr"));
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 2 -out {name}.crt"
            ));
        }
        made
    }

    /// `ca.crt`, `server.crt`, `server.key`, `client.crt`, `client.key`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(self.0.path()).output();
        let output = output.expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

const NEW_KEY: &str = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A port that is free at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder of tools in which `name` is the shell script `body`; the others are the system's.
pub(crate) fn tools_replacing(name: &str, body: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for tool in ["redis-cli", "redis-check-rdb", "redis-server"] {
        if tool != name {
            symlink(format!("/usr/bin/{tool}"), folder.path().join(tool)).unwrap();
        }
    }
    // Another process writes it: while this one has it open for writing, no thread can run it.
    let script = "printf '%s\\n' '#!/bin/sh' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(folder.path().join(name)).arg(body);
    assert!(command.status().unwrap().success());
    folder
}

fn pause() {
    let (_sender, never) = mpsc::channel::<()>();
    assert!(never.recv_timeout(Duration::from_millis(10)).is_err(), "the sender sends nothing");
}
