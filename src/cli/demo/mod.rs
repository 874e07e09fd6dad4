//! `coffer demo`: a tour on temporary data, in which nothing is pretended.
//!
//! A real server runs as a child process, a real SQLite database is written all the time, and everything
//! is requested over HTTP, as a user would. What the database holds is a function of the number of its
//! transactions ([`ledger`]), so each restored point is compared, row by row, with exactly what had been
//! committed.

mod compare;
mod ledger;
mod restores;
mod server;
mod tour;
mod weeks;
mod workspace;
mod writer;

use std::path::Path;

use clap::Args;

use super::error::Result;
use super::interrupt::Interrupt;
use super::terminal::{self, human, say};

use ledger::Ledger;
use server::Server;
use tour::{Point, Tour};
use workspace::{CONFIG, DATABASE, LOG, PROJECT, TOKEN, Workspace};
use writer::Writer;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keep the data and leave the server running; says where they are and how to stop it.
    #[arg(long)]
    keep: bool,
    /// The same, to look at in a browser: says where the console is, and the token to sign in with.
    #[arg(long)]
    console: bool,
    /// The size of the database, in MiB [default: 24; with --weeks 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=4096))]
    size_mib: Option<u32>,
    /// Show instead what so many weeks look like, in a time-lapse: what is kept of a backup a day, one failure and its
    /// alert, the status.
    #[arg(long, value_name = "N", conflicts_with_all = ["keep", "console"], value_parser = clap::value_parser!(u32).range(2..=52))]
    weeks: Option<u32>,
}

impl DemoArgs {
    fn size_mib(&self) -> u32 {
        self.size_mib.unwrap_or(if self.weeks.is_some() { 2 } else { 24 })
    }
}

pub(super) fn run(args: &DemoArgs) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let workspace = Workspace::create(args.size_mib())?;
    if let Some(weeks) = args.weeks {
        let result = weeks::run(weeks, args.size_mib(), &workspace, &interrupt);
        let removed = workspace.remove();
        return result.and(removed);
    }
    let result = tour(args, &workspace, &interrupt);
    // Ctrl-C removes everything, also with --keep.
    let keep = (args.keep || args.console) && interrupt.check().is_ok();
    match result {
        Ok(server) if keep => {
            let (url, pid, log) = (&server.url, server.pid(), workspace.path(LOG));
            let token = workspace.path(TOKEN);
            let root = workspace.keep();
            let root = root.display();
            say(format_args!(
                "\nKept, with the newest point back in the database's place:\n  folder     {root}\n  \
                 server     {url}, log in {}\n  to end it  kill {pid}; rm -r {root}\n  \
                 console    {url}/console/, to sign in with the token in {}",
                log.display(),
                token.display()
            ));
            server.keep();
            Ok(())
        }
        Ok(server) => {
            server.stop(&interrupt)?;
            workspace.remove()?;
            say(
                "\nThe server is stopped and the temporary data removed; --keep keeps both. coffer demo --weeks 6 shows \
                 weeks of it in a time-lapse.",
            );
            Ok(())
        }
        Err(error) => {
            if keep {
                say(format_args!("\nKept: {}", workspace.keep().display()));
            } else if let Err(left_behind) = workspace.remove() {
                terminal::complain(&left_behind);
            }
            Err(error)
        }
    }
}

/// What a database takes on the disk, with the log that its newest changes are in.
fn size_with_log(database: &Path) -> u64 {
    let files = [database.to_owned(), database.with_extension("db-wal")];
    files.iter().filter_map(|it| it.metadata().ok()).map(|it| it.len()).sum()
}

/// The tour itself. If it fails, the writer and the server end when they are dropped.
fn tour(args: &DemoArgs, workspace: &Workspace, interrupt: &Interrupt) -> Result<Server> {
    say(format_args!("Coffer's demo, on temporary data in {}\n", workspace.root().display()));
    let (database, documents) = (workspace.path(DATABASE), i64::from(args.size_mib()) * 250);
    let ledger = Ledger::create(&database, documents, interrupt)?;
    let tour = Tour::start(workspace, interrupt, documents)?;
    say(format_args!(
        "  database   {}, SQLite in WAL mode, {}: {} accounts, {documents} documents\n  \
         server     {}, process {}\n  \
         writer     commits transfers all the time; the accounts always hold {} together\n",
        database.display(),
        human(size_with_log(&database)),
        ledger::ACCOUNTS,
        tour.server.url,
        tour.server.pid(),
        ledger::TOTAL
    ));

    let mut writer = Writer::start(ledger)?;
    let points = tour.back_up(&writer)?;
    let last = writer.stop()?;
    let complaint = restores::destroy(&database)?;
    say(format_args!(
        "\nThe writer stopped after transaction {last}. The database was overwritten with garbage\n\
         (SQLite: \"{complaint}\") and deleted.\n"
    ));
    tour.restore_all(&points)?;
    say(format_args!(
        "\nAll {} restored points hold exactly what was committed when they were backed up.\n",
        points.len()
    ));
    show_commands(&tour, &points);
    Ok(tour.server)
}

fn show_commands(tour: &Tour<'_>, points: &[Point]) {
    say(format_args!(
        "The same by hand, when the server was left running with --keep:\n  \
         API=\"{}/v1.0/{PROJECT}\" TOKEN=\"X-Auth-Token: $(cat {})\"\n  \
         curl -H \"$TOKEN\" -H 'Content-Type: application/json' \"$API/backups\" \\\n    \
         -d '{{\"backup\": {{\"name\": \"next\", \"instance\": \"{}\", \"incremental\": 1}}}}'\n  \
         curl -H \"$TOKEN\" \"$API/backups\"",
        tour.server.url,
        tour.workspace.path(TOKEN).display(),
        tour.instance
    ));
    if let [full, .., newest] = points {
        say(format_args!(
            "  zstd -dc {} \\\n    | tar -xf - -C FOLDER\n  \
             coffer restore {} \\\n    --to FILE --config {}",
            full.archive.display(),
            newest.id,
            tour.workspace.path(CONFIG).display()
        ));
    }
}
