//! The commands. Each one is a thin walk: read the configuration, call the room that does the work, say
//! what happened. Exit codes are part of the contract: see [`ExitCode`].

mod catalog;
mod demo;
mod doctor;
mod drill;
mod export;
mod offline;
mod restore;
mod serve;
mod terminal;
mod token;
mod verify;

use std::path::PathBuf;
use std::process;

use clap::{Args, Parser, Subcommand};

use crate::catalog::CatalogError;
use crate::config::{Config, ConfigError};
use crate::executor::JobError;
use crate::server::ServerError;

/// What scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: what was asked for is not there.
    NotFound,
    /// 4: data that should be sound is not.
    Damaged,
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(match code {
            ExitCode::Done => 0,
            ExitCode::Failed => 1,
            ExitCode::Usage => 2,
            ExitCode::NotFound => 3,
            ExitCode::Damaged => 4,
        })
    }
}

/// Database backups that can be trusted, on machines you own.
#[derive(Debug, Parser)]
#[command(name = "coffer", version, about, long_about = None, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 damaged.\n\
    Configuration: built-in defaults < /etc/coffer/coffer.toml or --config FILE < COFFER__SECTION__KEY.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server: the API, and the workers that make the backups.
    Serve(WithConfig),
    /// A tour on temporary data: a live SQLite database, full and incremental backups, damage, restores, proof.
    Demo(demo::DemoArgs),
    /// Restores a backup, any point of a chain, to a new file or folder.
    Restore(restore::RestoreArgs),
    /// Proves a backup again: decodes everything its restore needs and compares every hash.
    Verify(verify::VerifyArgs),
    /// Restores a backup into a temporary folder, uses it there, and removes it: the proof that it works.
    Drill(drill::DrillArgs),
    /// Writes any point of a chain as one plain full archive.
    Export(export::ExportArgs),
    /// Works on the catalog of backups.
    Catalog(catalog::CatalogArgs),
    /// Works on access tokens.
    Token(token::TokenArgs),
    /// Looks whether everything a backup needs is in place, before the first one is tried.
    Doctor(doctor::DoctorArgs),
}

/// Which configuration to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct WithConfig {
    /// The configuration file; without it /etc/coffer/coffer.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl WithConfig {
    fn load(&self) -> Result<Config, CommandError> {
        Ok(Config::load(self.config.as_deref())?)
    }
}

/// Why a command ended badly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Damaged(String),
}

impl CommandError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::Usage,
            Self::Damaged(_) | Self::Catalog(CatalogError::ChainBroken { .. }) => ExitCode::Damaged,
            Self::Job(error) if error.is_damage() => ExitCode::Damaged,
            Self::Catalog(error) if error.is_not_found() => ExitCode::NotFound,
            Self::Job(error) if error.is_not_found() => ExitCode::NotFound,
            Self::Server(_) | Self::Job(_) | Self::Catalog(_) | Self::Failed(_) => ExitCode::Failed,
        }
    }
}

/// Runs the command line of this process and gives its exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no mistake.
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            error.print().ok();
            return code;
        }
    };
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Drill(args) => drill::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Catalog(args) => catalog::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            terminal::complain(&error);
            error.code()
        }
    }
}
