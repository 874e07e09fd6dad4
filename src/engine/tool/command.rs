//! A program about to be run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::Process;
use super::{Secret, Servant, Stream, ToolError};
use crate::domain::Cancel;

/// No answer of a tool that is read as a whole is longer, in bytes.
const LONGEST_ANSWER: usize = 64 << 20;

/// What a program gets of Coffer's environment. Not what would point it at another server (`PGHOST`,
/// `MYSQL_HOST`…): where to go, the configuration alone says.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "TMPDIR", "TZ"];

/// The user that root appears as to a program that refuses to run as root.
const ORDINARY: &str = "--map-user=1000";

/// A program with its arguments.
#[derive(Debug)]
pub(in crate::engine) struct Tool {
    pub(super) name: String,
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<File>,
    ordinary: bool,
    pub(super) within: Option<Duration>,
    pub(super) secrets: Vec<Secret>,
}

impl Tool {
    /// The program at `path`.
    pub(in crate::engine) fn new(path: &Path) -> Self {
        Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
            ordinary: false,
            within: None,
            secrets: Vec::new(),
        }
    }

    /// One more argument. Everybody on the machine can read it: never a secret.
    pub(in crate::engine) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    pub(in crate::engine) fn args<T: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment.
    pub(in crate::engine) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// A variable that holds a secret.
    pub(in crate::engine) fn secret_env(self, name: &str, secret: &Secret) -> Self {
        let value = secret.reveal().to_owned();
        self.hide(secret).env(name, value)
    }

    /// A secret that it knows from elsewhere: taken out of what it says.
    pub(in crate::engine) fn hide(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// The folder it runs in.
    pub(in crate::engine) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// What it reads on its standard input.
    pub(in crate::engine) fn input(mut self, file: File) -> Self {
        self.input = Some(file);
        self
    }

    /// It refuses to run as root: where Coffer does, it is shown another user, in a user namespace of its own.
    /// Files of root's are that user's own to it, and nothing has to change hands.
    #[expect(clippy::wrong_self_convention, reason = "a builder's step, read as one")]
    pub(in crate::engine) const fn as_ordinary_user(mut self) -> Self {
        self.ordinary = true;
        self
    }

    /// It is ended as failed when it takes longer.
    pub(in crate::engine) const fn within(mut self, longest: Duration) -> Self {
        self.within = Some(longest);
        self
    }

    /// Runs it to its end; what it writes is dropped.
    pub(in crate::engine) fn run(self, cancel: &Cancel) -> Result<(), ToolError> {
        let process = Process::start(self, Stdio::null(), cancel)?;
        process.finish()
    }

    /// Runs it to its end and gives what it wrote.
    pub(in crate::engine) fn output(self, cancel: &Cancel) -> Result<Vec<u8>, ToolError> {
        let mut stream = self.stream(cancel)?;
        let mut answer = Vec::new();
        stream.read_up_to(LONGEST_ANSWER, &mut answer)?;
        stream.finish()?;
        Ok(answer)
    }

    /// Starts it, to be read from.
    pub(in crate::engine) fn stream(self, cancel: &Cancel) -> Result<Stream, ToolError> {
        Stream::start(self, cancel)
    }

    /// Starts it as a server that says what happens in the file `log`.
    pub(in crate::engine) fn serve(
        self,
        log: &Path,
        cancel: &Cancel,
    ) -> Result<Servant, ToolError> {
        Servant::start(self, log, cancel)
    }

    /// The system's error for it.
    pub(super) fn start_error(&self, source: std::io::Error) -> ToolError {
        ToolError::Start { path: self.path.clone(), source }
    }

    /// The command line: the program behind those that tie its life to Coffer's.
    pub(super) fn command(&mut self) -> Command {
        let mut line: Vec<OsString> = Vec::new();
        if self.ordinary && rustix::process::geteuid().is_root() {
            line.extend(["unshare", "--user", ORDINARY, "--"].map(Into::into));
        }
        if is_there("setpriv") {
            line.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(Into::into));
        }
        line.push(self.path.clone().into_os_string());
        line.append(&mut self.arguments);
        let (program, arguments) = line.split_first().expect("it holds at least the program");
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("LC_ALL", "C.UTF-8");
        for name in PASSED_ON {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.environment.drain(..));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.stdin(self.input.take().map_or_else(Stdio::null, Stdio::from));
        command.process_group(0);
        command
    }
}

/// Whether a shell would find this program: util-linux is on every Debian, not on every machine.
fn is_there(name: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}
