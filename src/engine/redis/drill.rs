//! Using a restored snapshot: a server of its own is started on it, and every key is read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::client::PACKAGE;
use super::info::Info;
use super::load::finder;
use super::version::numbers;
use super::{SNAPSHOT, check::Checker};
use crate::domain::FailureCode;
use crate::engine::tool::{Servant, Tool, ToolError};
use crate::engine::{DrillOrder, DrillReport, EngineError, Refused};

/// The socket's name in the restored folder, where server and client both are: as long as a path to it is,
/// the system takes no socket's name of more than a hundred bytes.
const SOCKET: &str = "drill.sock";
/// How long loading may take.
const LOADING: Duration = Duration::from_secs(3600);
/// How long stopping may take, and any one answer.
const PATIENCE: Duration = Duration::from_secs(300);
/// The first version that can look into every value while it loads, and be told to crash in silence.
const LOOKS_INTO_VALUES: (u32, u32) = (6, 2);
/// What a server says whose snapshot needs a module that it does not have.
const NEEDS_A_MODULE: &str = "no matching module";

/// Reads one handful of keys, each to its last byte, and says where to go on. In the server, so that keys
/// of any bytes need no quoting.
const READ_SOME: &str = "local found = redis.call('SCAN', ARGV[1], 'COUNT', 5000) \
    for _, key in ipairs(found[2]) do redis.call('TYPE', key) redis.call('DUMP', key) end \
    return {found[1], #found[2]}";

/// Starts a server on the restored folder and reads all of it.
pub(super) fn drill(order: &DrillOrder<'_>) -> Result<DrillReport, EngineError> {
    let finder = finder(order.source);
    let program = finder.find_any(&["redis-server", "valkey-server"], "redis-server")?;
    let cli = finder.find_any(&["redis-cli", "valkey-cli"], PACKAGE)?;
    if let Ok(checker) = Checker::find(&finder, false) {
        checker.run_on(&order.restored.join(SNAPSHOT), order.cancel, |what| damaged(&what))?;
    }
    let running = Running::start(order, &program, cli)?;
    let report = running.read();
    match report {
        Ok(report) => {
            running.servant.stop(Signal::TERM, PATIENCE)?;
            Ok(report)
        }
        // A server that fell over a key has said why.
        Err(_) if running.servant.has_ended() => Err(damaged(&running.servant.said())),
        Err(error) => Err(error),
    }
}

fn damaged(what: &str) -> EngineError {
    EngineError::archive(format!("the restored snapshot does not hold up: {what}"))
}

/// A server of the drill's own.
struct Running<'a> {
    order: &'a DrillOrder<'a>,
    cli: PathBuf,
    servant: Servant,
}

impl<'a> Running<'a> {
    fn start(order: &'a DrillOrder<'a>, program: &Path, cli: PathBuf) -> Result<Self, EngineError> {
        let said = Tool::new(program).arg("--version").within(PATIENCE).output(order.cancel)?;
        let version = numbers(&String::from_utf8_lossy(&said)).unwrap_or_default();
        let mut tool = Tool::new(program).folder(order.restored);
        for (key, value) in [
            ("--port", "0"),
            ("--unixsocket", SOCKET),
            ("--unixsocketperm", "700"),
            ("--save", ""),
            ("--appendonly", "no"),
            ("--daemonize", "no"),
            ("--dir", "."),
            ("--dbfilename", SNAPSHOT),
        ] {
            tool = tool.args([key, value]);
        }
        if version >= LOOKS_INTO_VALUES {
            tool = tool.args(["--sanitize-dump-payload", "yes"]);
            // Damage can crash it. Its report on that is long, and tests the machine's memory first.
            tool = tool.args(["--crash-log-enabled", "no", "--crash-memcheck-enabled", "no"]);
        }
        let servant = tool.serve(&order.scratch.join("redis.log"), order.cancel)?;
        let mut running = Self { order, cli, servant };
        running.wait()?;
        Ok(running)
    }

    /// Waits until everything is loaded.
    fn wait(&mut self) -> Result<(), EngineError> {
        let (order, cli) = (self.order, self.cli.clone());
        let loaded = || {
            let answer = ask(order, &cli, &["INFO"]);
            answer.is_ok_and(|it| Info::parse(&it).is_some_and(|it| it.get("loading") == "0"))
        };
        match self.servant.wait_until_up(LOADING, loaded) {
            Ok(()) => Ok(()),
            Err(ToolError::Failed { said, .. }) if said.contains(NEEDS_A_MODULE) => {
                Err(EngineError::known(
                    FailureCode::Tool,
                    format!(
                        "the snapshot needs a module that redis-server does not have here: {said}"
                    ),
                ))
            }
            Err(ToolError::Failed { status, said, .. }) => Err(damaged(&format!(
                "redis-server ended with {status} while it loaded {SNAPSHOT}: {said}"
            ))),
            Err(other) => Err(other.into()),
        }
    }

    fn read(&self) -> Result<DrillReport, EngineError> {
        let answer = self.ask(&["INFO"])?;
        let info = Info::parse(&answer).ok_or_else(|| unexpected(&answer))?;
        let mut report = DrillReport {
            version: info.version(),
            check: "redis-check-rdb, sanitize-dump-payload, DUMP of every key".to_owned(),
            ..DrillReport::default()
        };
        for (database, keys) in info.databases() {
            self.walk(database)?;
            report.count(format!("db{database}"), keys);
        }
        if let Some(functions) = self.functions()? {
            report.count("functions", functions);
        }
        Ok(report)
    }

    /// Reads every key of a database.
    fn walk(&self, database: u32) -> Result<(), EngineError> {
        let database = database.to_string();
        let mut cursor = "0".to_owned();
        loop {
            if self.order.cancel.is_cancelled() {
                return Err(Refused.into());
            }
            let answer = self.ask(&["-n", &database, "EVAL", READ_SOME, "0", &cursor])?;
            let text = String::from_utf8_lossy(&answer);
            let next = text.lines().next().unwrap_or_default();
            if next.is_empty() || !next.bytes().all(|it| it.is_ascii_digit()) {
                return Err(damaged(text.trim()));
            }
            if next == "0" {
                return Ok(());
            }
            next.clone_into(&mut cursor);
        }
    }

    /// How many functions there are; a server from before 7.0 has none.
    fn functions(&self) -> Result<Option<u64>, EngineError> {
        let answer = self.ask(&["FUNCTION", "STATS"])?;
        let text = String::from_utf8_lossy(&answer);
        let mut lines = text.lines().skip_while(|line| line.trim() != "functions_count").skip(1);
        Ok(lines.next().and_then(|count| count.trim().parse().ok()))
    }

    fn ask(&self, question: &[&str]) -> Result<Vec<u8>, EngineError> {
        Ok(ask(self.order, &self.cli, question)?)
    }
}

fn ask(order: &DrillOrder<'_>, cli: &Path, question: &[&str]) -> Result<Vec<u8>, ToolError> {
    let tool = Tool::new(cli).folder(order.restored).args(["-s", SOCKET]);
    tool.args(question.iter().copied()).within(PATIENCE).output(order.cancel)
}

fn unexpected(answer: &[u8]) -> EngineError {
    EngineError::known(
        FailureCode::Tool,
        format!("redis-server answered to INFO: {}", String::from_utf8_lossy(answer).trim()),
    )
}
