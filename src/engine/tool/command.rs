//! A program that is about to be run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::find::find_in_path;
use super::offline::has_network_namespaces;
use super::secret::memory_file;
use super::{Secret, ToolError};

/// The variables that a program inherits. Not those that would point it at another server (`PGHOST`,
/// `MYSQL_HOST`…): only the configuration says where to connect.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "TZ"];

#[derive(Debug)]
pub(crate) struct Tool {
    pub(super) name: String,
    pub(super) path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<File>,
    pub(super) messages: Option<File>,
    hide_root: bool,
    pub(super) offline: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) secrets: Vec<Secret>,
}

impl Tool {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
            messages: None,
            hide_root: false,
            offline: false,
            timeout: None,
            secrets: Vec::new(),
        }
    }

    /// Adds an argument. Every user of the machine can read it, so it must not be a secret.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds one argument made of an option and its value: `--datadir=` and a path.
    pub(crate) fn option(self, option: &str, value: impl AsRef<OsStr>) -> Self {
        let mut argument = OsString::from(option);
        argument.push(value);
        self.arg(argument)
    }

    pub(crate) fn args<T: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets a variable to a secret, and removes that secret from messages.
    pub(crate) fn secret_env(self, name: &str, secret: &Secret) -> Self {
        self.redact(secret).env(name, secret.reveal())
    }

    /// Removes a secret from what the program says.
    pub(crate) fn redact(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    pub(crate) fn current_dir(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The file that it reads on its standard input.
    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.input = Some(file);
        self
    }

    /// Where it writes its standard error, for a program whose messages are more than the end of a failure.
    pub(crate) fn messages(mut self, file: File) -> Self {
        self.messages = Some(file);
        self
    }

    /// The bytes that it reads on its standard input; they touch no disk.
    pub(crate) fn stdin_bytes(self, content: &[u8]) -> Result<Self, ToolError> {
        match memory_file(content) {
            Ok(file) => Ok(self.stdin(file)),
            Err(error) => Err(self.start_error(error)),
        }
    }

    /// For a program that refuses to run as root. If Coffer is root, the program runs in a user namespace in
    /// which it sees an ordinary user, who owns root's files; no owner has to be changed.
    pub(crate) const fn hide_root(mut self) -> Self {
        self.hide_root = true;
        self
    }

    pub(crate) const fn timeout(mut self, longest: Duration) -> Self {
        self.timeout = Some(longest);
        self
    }

    pub(super) fn start_error(&self, source: std::io::Error) -> ToolError {
        ToolError::Start { path: self.path.clone(), source }
    }

    /// The command line, with wrappers in front that hide root and end the program with Coffer. They are part
    /// of util-linux, which is on every Debian but not on every machine.
    pub(super) fn command(&mut self) -> Command {
        let mut line: Vec<OsString> = Vec::new();
        let user = rustix::process::geteuid();
        let hide_root = self.hide_root && user.is_root();
        let offline = self.offline && has_network_namespaces();
        if hide_root || offline {
            let seen_as = if hide_root { 1000 } else { user.as_raw() };
            line.extend([
                "unshare".into(),
                "--user".into(),
                format!("--map-user={seen_as}").into(),
            ]);
            if !hide_root {
                // A server gives copies of its files the group of the originals, which must exist for it.
                let group = rustix::process::getegid().as_raw();
                line.push(format!("--map-group={group}").into());
            }
            if offline {
                line.push("--net".into());
            }
            line.push("--".into());
        }
        if find_in_path("setpriv").is_some() {
            line.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(Into::into));
        }
        line.push(self.path.clone().into_os_string());
        line.append(&mut self.arguments);
        let (program, arguments) = line.split_first().expect("it holds at least the program");
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("LC_ALL", "C.UTF-8");
        for name in INHERITED {
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
