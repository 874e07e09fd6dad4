//! The commands. Each reads the configuration, calls the room that does the work, and reports the result.

mod args;
mod as_owner;
mod backups;
mod catalog;
mod completions;
mod demo;
mod doctor;
mod drill;
mod error;
mod export;
mod from;
mod interrupt;
mod key;
mod manual;
mod offline;
mod restore;
mod salvage;
mod serve;
mod terminal;
mod token;
mod undelete;
mod undo;
mod unpacked;
mod user;
mod verify;

use std::io;

use clap::{Parser, Subcommand};

pub use error::ExitCode;

use args::{BackupArgs, OneBackup, WithConfig};
use error::CommandError;

/// What scripts may rely on, as `--help` and the manual page say it.
const EXIT_CODES: &str = "0 done, 1 failed, 2 usage, 3 not found, 4 damaged, 5 restored in part,\n\
    6 restored with a warning, 7 not safe (coffer status).";

/// Where the settings come from; what stands further right wins.
const CONFIGURATION: &str =
    "built-in defaults < /etc/coffer/coffer.toml or --config FILE < COFFER__SECTION__KEY.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "coffer", version, about, long_about = None, arg_required_else_help = true)]
#[command(after_help = format!("Exit codes: {EXIT_CODES}\nConfiguration: {CONFIGURATION}"))]
pub struct Cli {
    #[command(flatten)]
    _with: WithConfig,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: the API, and the workers that make the backups.
    Serve(WithConfig),
    /// Try it on temporary data: back up a live SQLite database, destroy it, restore it, and compare.
    Demo(demo::DemoArgs),
    /// List backups, newest first.
    List(backups::ListArgs),
    /// Show everything that is known about a backup.
    Show(OneBackup),
    /// Show whether everything is safe: what is wrong, and of each instance the last good backup, drill and next run.
    Status(backups::StatusArgs),
    /// Show when the backups of each instance are made, and when the next one begins.
    Schedule(backups::ScheduleArgs),
    /// Show what retention would delete.
    Retention(backups::RetentionArgs),
    /// Show what is wrong and was said, or try the channels that it is said through.
    Alert(backups::AlertArgs),
    /// Keep a backup, and what it is built on, whatever the retention says.
    Pin(OneBackup),
    /// Keep a backup no longer than the retention says.
    Unpin(OneBackup),
    /// Show what was done, by whom and from where.
    Events(backups::EventsArgs),
    /// List the instances of other devices whose copies are read here, and which of them are silent.
    Fleet(backups::FleetArgs),
    /// Ask the server for a backup of an instance.
    Backup(backups::BackupArgs),
    /// Ask the server to delete a backup.
    Delete(backups::DeleteArgs),
    /// Restore a backup, full or incremental, to a new file or folder, or into a running server.
    Restore(restore::RestoreArgs),
    /// Verify a backup: decode everything that its restore needs and compare every hash.
    Verify(BackupArgs),
    /// Prove that a backup works: restore it into a temporary folder, use it there, and remove it.
    Drill(drill::DrillArgs),
    /// Bring back a deleted backup, with what was built on it, as long as the trash holds the archives.
    Undelete(undelete::UndeleteArgs),
    /// Write a backup, full or incremental, as one plain full archive.
    Export(export::ExportArgs),
    /// Ask the server for a full backup of the same moment as an incremental one, made of the archives.
    Consolidate(backups::ConsolidateArgs),
    /// Rebuild the catalog of backups.
    Catalog(catalog::CatalogArgs),
    /// Make access tokens.
    Token(token::TokenArgs),
    /// Add, list and remove users, who sign in with a password as OpenStack's clients do, and credentials of programs.
    User(user::UserArgs),
    /// Make, show and try the keys that encrypted copies are read with.
    Key(key::KeyArgs),
    /// Check that everything a backup needs is in place.
    Doctor(doctor::DoctorArgs),
    /// Ask whether the server works: exit code 0 if it answers and can read its catalog, whatever the backups are like.
    Healthcheck(backups::HealthcheckArgs),
    /// Print the completions for a shell.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages, as packages hold them.
    #[command(hide = true)]
    Manual(manual::ManualArgs),
}

/// Runs the command line of this process and returns its exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no mistake.
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            if code == ExitCode::Usage && wants_json() {
                let text = error.to_string();
                let why = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
                terminal::complain_in_json(&CommandError::Usage(why), code.number());
            } else {
                error.print().ok();
            }
            return code;
        }
    };
    let result = perform(cli.command);
    let result = match (result, terminal::lost_output()) {
        // Whoever reads it may have read enough.
        (Ok(()) | Err(CommandError::NotSafe(_)), Some(error))
            if error.kind() != io::ErrorKind::BrokenPipe =>
        {
            Err(CommandError::Failed(format!("writing the output: {error}")))
        }
        (result, _) => result,
    };
    match result {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            match error {
                CommandError::Logged(_) | CommandError::NotSafe(_) => {}
                _ if wants_json() => terminal::complain_in_json(&error, error.code().number()),
                _ => terminal::complain(&error),
            }
            error.code()
        }
    }
}

/// Does what a command says.
fn perform(command: Command) -> error::Result<()> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::List(args) => backups::list(&args),
        Command::Show(args) => backups::show(&args),
        Command::Status(args) => backups::status(&args),
        Command::Schedule(args) => backups::schedule(&args),
        Command::Retention(args) => backups::retention(&args),
        Command::Alert(args) => backups::alert(&args),
        Command::Pin(args) => backups::pin(&args),
        Command::Unpin(args) => backups::unpin(&args),
        Command::Events(args) => backups::events(&args),
        Command::Fleet(args) => backups::fleet(&args),
        Command::Backup(args) => backups::create(&args),
        Command::Delete(args) => backups::delete(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Drill(args) => drill::run(&args),
        Command::Undelete(args) => undelete::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Consolidate(args) => backups::consolidate(&args),
        Command::Catalog(args) => catalog::run(&args),
        Command::Token(args) => token::run(&args),
        Command::User(args) => user::run(&args),
        Command::Key(args) => key::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Healthcheck(args) => backups::healthcheck(&args),
        Command::Completions(args) => {
            completions::run(&args);
            Ok(())
        }
        Command::Manual(args) => manual::run(&args),
    }
}

/// Whether the command was asked to report as JSON: then its error is JSON too.
fn wants_json() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}
