//! Drills: a server started on the restored snapshot, and every key read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::check::Checker;
use super::client::PACKAGE;
use super::info::Info;
use super::options::KIND;
use super::rdb_file::{SNAPSHOT, contradicts_its_checksum};
use crate::domain::FailureCode;
use crate::engine::tool::{
    ServerProcess, Tool, ToolError, major_and_minor, says_any, version_text,
};
use crate::engine::{Counted, DrillReport, DrillRequest, EngineError, Result};

/// The socket, relative to the restored folder, in which server and client run: an absolute path may be too long
/// for a socket.
const SOCKET: &str = "drill.sock";
const LOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// For one answer, and for the server's end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// The first version that can check every value while it loads, and be told not to write a crash report.
const CHECKS_VALUES: (u32, u32) = (6, 2);
/// A server's number of databases, if nothing says how many it needs.
const MANY_DATABASES: u32 = 4096;
/// A server's usual number of databases.
const USUAL_DATABASES: u32 = 16;
/// What a server says if its snapshot needs a module that it does not have.
const MISSING_MODULE: &str = "no matching module";
/// What a server says if it has too little memory; that the file is complete was checked before.
const NO_MEMORY: &str = "Short read or OOM";
/// What a server says of a snapshot that is not as it was written.
const DAMAGE: [&str; 7] = [
    "Unexpected EOF reading RDB file",
    "Internal error in RDB",
    "RDB CRC error",
    "Wrong RDB checksum",
    "Wrong signature",
    "ntegrity check failed",
    "orrupt",
];

/// Reads some keys completely and returns where to continue. It runs in the server, so that keys of any bytes
/// need no quoting.
const READ_KEYS: &str = "local found = redis.call('SCAN', ARGV[1], 'COUNT', 5000) \
    for _, key in ipairs(found[2]) do redis.call('TYPE', key) redis.call('DUMP', key) end \
    return {found[1], #found[2]}";

pub(super) fn drill(request: &DrillRequest<'_>) -> Result<DrillReport> {
    let finder = KIND.finder(request.source);
    let program = finder.find_any(&["redis-server", "valkey-server"], "redis-server")?;
    let cli = finder.find_any(&["redis-cli", "valkey-cli"], PACKAGE)?;
    let databases = match Checker::find(&finder, false) {
        Err(_) => MANY_DATABASES,
        Ok(checker) => {
            let snapshot = request.restored.join(SNAPSHOT);
            checker.run_on(&snapshot, request.cancel, |it| damaged(&it))?.databases
        }
    };
    let server = PrivateServer::start(request, &program, cli, databases.max(USUAL_DATABASES))?;
    match server.read() {
        Ok(report) => {
            server.process.stop(Signal::TERM, ANSWER_TIMEOUT)?;
            Ok(report)
        }
        Err(_) if server.process.has_ended() => Err(verdict(request, &server.process.log_tail())),
        Err(error) => Err(error),
    }
}

fn damaged(problem: &str) -> EngineError {
    EngineError::archive(format!("the restored snapshot is damaged: {problem}"))
}

/// What it means that a server ended: the snapshot is damaged, or something else stopped the drill. Damage makes
/// a server say almost anything before it ends, so the snapshot's own checksum is asked too.
fn verdict(request: &DrillRequest<'_>, said: &str) -> EngineError {
    let says_damage = says_any(said, &DAMAGE) && !said.contains(NO_MEMORY);
    match contradicts_its_checksum(&request.restored.join(SNAPSHOT), request.cancel) {
        Ok(true) => return damaged(&format!("its RDB checksum is wrong; {said}")),
        _ if says_damage => return damaged(said),
        Err(error) => return error,
        Ok(false) => {}
    }
    EngineError::known(
        FailureCode::Tool,
        format!("redis-server ended; it said: {said}; this stopped the drill, and shows no damage"),
    )
}

struct PrivateServer<'a> {
    request: &'a DrillRequest<'a>,
    cli: PathBuf,
    process: ServerProcess,
}

impl<'a> PrivateServer<'a> {
    /// Starts it and waits until everything is loaded.
    fn start(
        request: &'a DrillRequest<'a>,
        program: &Path,
        cli: PathBuf,
        databases: u32,
    ) -> Result<Self> {
        let version = version_text(program, &["--version"], request.cancel)?;
        let mut tool = Tool::new(program)
            .current_dir(request.restored)
            .args(["--port", "0", "--unixsocket", SOCKET, "--unixsocketperm", "700"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--dir", ".", "--dbfilename", SNAPSHOT])
            .args(["--databases", &databases.to_string()]);
        if major_and_minor(&version).unwrap_or_default() >= CHECKS_VALUES {
            tool = tool.args(["--sanitize-dump-payload", "yes"]);
            // Damage can crash it. A crash report is long, and tests the machine's memory first.
            tool = tool.args(["--crash-log-enabled", "no", "--crash-memcheck-enabled", "no"]);
        }
        let mut process = tool.start_server(&request.scratch.join("redis.log"), request.cancel)?;
        let is_loaded = || match query(request, &cli, &["INFO"]) {
            Err(error @ ToolError::Start { .. }) => Err(error.into()),
            answer => {
                let info = answer.ok().and_then(|answer| Info::parse(&answer));
                Ok(info.is_some_and(|info| info.get("loading") == "0"))
            }
        };
        match process.wait_until_up(LOAD_TIMEOUT, is_loaded) {
            Ok(()) => Ok(Self { request, cli, process }),
            Err(EngineError::Tool(error @ ToolError::Failed { .. })) => {
                if says_any(error.output(), &[MISSING_MODULE]) {
                    let context =
                        "the snapshot needs a module that redis-server does not have here";
                    return Err(EngineError::from_tool(&error, FailureCode::Tool, context, ""));
                }
                Err(verdict(request, &format!("while loading {SNAPSHOT}, {error}")))
            }
            Err(other) => Err(other),
        }
    }

    fn read(&self) -> Result<DrillReport> {
        let answer = self.query(&["INFO"])?;
        let info = Info::parse(&answer)
            .ok_or_else(|| ToolError::answer("redis-server", &String::from_utf8_lossy(&answer)))?;
        let mut report = DrillReport {
            version: info.version(),
            check: "redis-check-rdb, sanitize-dump-payload, DUMP of every key".to_owned(),
            counted: Counted::Keys,
            ..DrillReport::default()
        };
        for (database, keys) in info.databases() {
            self.read_keys(&database.to_string())?;
            report.count(format!("db{database}"), keys);
        }
        if let Some(functions) = self.functions()? {
            report.count("functions", functions);
        }
        Ok(report)
    }

    fn read_keys(&self, database: &str) -> Result<()> {
        let mut cursor = "0".to_owned();
        loop {
            if self.request.cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            let answer = self.query(&["-n", database, "EVAL", READ_KEYS, "0", &cursor])?;
            let text = String::from_utf8_lossy(&answer);
            let next = text.lines().next().unwrap_or_default();
            if next.is_empty() || !next.bytes().all(|it| it.is_ascii_digit()) {
                return Err(ToolError::answer("redis-server", text.trim()).into());
            }
            if next == "0" {
                return Ok(());
            }
            next.clone_into(&mut cursor);
        }
    }

    /// The number of functions; a server older than 7.0 has none.
    fn functions(&self) -> Result<Option<u64>> {
        let answer = self.query(&["FUNCTION", "STATS"])?;
        let text = String::from_utf8_lossy(&answer);
        let mut lines = text.lines().skip_while(|line| line.trim() != "functions_count").skip(1);
        Ok(lines.next().and_then(|count| count.trim().parse().ok()))
    }

    fn query(&self, command: &[&str]) -> Result<Vec<u8>> {
        Ok(query(self.request, &self.cli, command)?)
    }
}

fn query(request: &DrillRequest<'_>, cli: &Path, command: &[&str]) -> Result<Vec<u8>, ToolError> {
    let tool = Tool::new(cli).current_dir(request.restored).args(["-s", SOCKET]);
    tool.args(command.iter().copied()).timeout(ANSWER_TIMEOUT).output(request.cancel)
}
