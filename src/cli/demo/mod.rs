//! `coffer demo`: a tour on temporary data, in which nothing is pretended.
//!
//! A real server runs as a child process, a real SQLite database is written all the time, and everything
//! is requested over HTTP, as a user would. What the database holds is a function of the number of its
//! transactions ([`ledger`]), so each restored point is compared, row by row, with exactly what had been
//! committed.

mod backups;
mod compare;
mod ledger;
mod restores;
mod server;
mod workspace;
mod writer;

use std::fs;
use std::path::Path;
use std::time::Instant;

use clap::Args;

use super::error::{CommandError, failed};
use super::interrupt::Interrupt;
use super::terminal::{self, human, say};
use crate::client::{Client, Connection};
use crate::domain::InstanceId;

use backups::Point;
use ledger::{Ledger, Purpose};
use server::Server;
use workspace::{INSTANCE, PROJECT, Workspace};
use writer::Writer;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keep the data and leave the server running; says where they are and how to stop it.
    #[arg(long)]
    keep: bool,
    /// The size of the database, in MiB.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(2..=4096))]
    size_mib: u32,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), CommandError> {
    let interrupt = Interrupt::listen()?;
    let workspace = Workspace::create(args.size_mib)?;
    let result = tour(args, &workspace, &interrupt);
    // Ctrl-C removes everything, also with --keep.
    let keep = args.keep && interrupt.check().is_ok();
    match result {
        Ok(server) if keep => {
            let root = workspace.keep();
            say("\nKept, with the newest point back in the database's place:");
            say(format_args!("  folder     {}", root.display()));
            say(format_args!(
                "  server     {}, log in {}/server.log",
                server.url(),
                root.display()
            ));
            say(format_args!("  to end it  kill {}; rm -r {}", server.pid(), root.display()));
            server.keep();
            Ok(())
        }
        Ok(server) => {
            server.stop(&interrupt)?;
            workspace.remove()?;
            say("\nThe server is stopped and the temporary data removed; --keep keeps both.");
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

/// The tour itself. If it fails, the writer and the server end when they are dropped.
fn tour(
    args: &DemoArgs,
    workspace: &Workspace,
    interrupt: &Interrupt,
) -> Result<Server, CommandError> {
    say(format_args!("Coffer's demo, on temporary data in {}\n", workspace.root().display()));
    let documents = i64::from(args.size_mib) * 250;
    let ledger = Ledger::create(&workspace.database(), Purpose::Live, documents, interrupt)?;
    let server = Server::start(workspace, interrupt)?;
    introduce(workspace, documents, &server);

    let token = fs::read_to_string(workspace.token_file()).map_err(failed("the admin token"))?;
    let connection = Connection::new(server.url()).with_token(token.trim());
    let client = Client::new(connection, PROJECT.parse().map_err(failed(PROJECT))?);
    let instance = client.instances()?.into_iter().find(|instance| instance.name == INSTANCE);
    let instance = instance
        .map(|instance| instance.id)
        .ok_or_else(|| CommandError::Failed(format!("the server does not list {INSTANCE}")))?;
    let mut writer = Writer::start(ledger)?;
    // Enough between two backups for an incremental one to be worth it.
    let transactions = (documents / 10).clamp(200, 2_000);
    let points = backups::make_all(&client, instance, &writer, transactions, interrupt)?;
    let last = writer.stop()?;

    let complaint = restores::destroy(&workspace.database())?;
    say(format_args!(
        "\nThe writer stopped after transaction {last}. The database was overwritten with garbage\n\
         (SQLite: \"{complaint}\") and deleted.\n"
    ));
    restore_all(&points, documents, workspace, &client, interrupt)?;
    say(format_args!(
        "\nAll {} restored points hold exactly what was committed when they were backed up.\n",
        points.len()
    ));
    show_commands(workspace, &server, instance, &points)?;
    Ok(server)
}

fn introduce(workspace: &Workspace, documents: i64, server: &Server) {
    let database = workspace.database();
    say(format_args!(
        "  database   {}, SQLite in WAL mode, {}: {} accounts, {documents} documents",
        database.display(),
        human(database.metadata().map_or(0, |metadata| metadata.len())),
        ledger::ACCOUNTS,
    ));
    say(format_args!("  server     {}, process {}", server.url(), server.pid()));
    say(format_args!(
        "  writer     commits transfers all the time; the accounts always hold {} together\n",
        ledger::TOTAL
    ));
}

/// Restores each point and compares it with what was committed.
fn restore_all(
    points: &[Point],
    documents: i64,
    workspace: &Workspace,
    client: &Client,
    interrupt: &Interrupt,
) -> Result<(), CommandError> {
    let expected = workspace.path("expected.db");
    let mut reference = Ledger::create(&expected, Purpose::Reference, documents, interrupt)?;
    say("Restores, each compared with what the writer had committed at that moment:");
    say("  point  by                  took  transactions  integrity       total  rows");
    for point in points {
        interrupt.check()?;
        let start = Instant::now();
        let (by, file) = restores::restore(point, workspace, client, interrupt)?;
        let took = start.elapsed();
        let proof = compare::prove(&file, &point.possible, &mut reference)
            .map_err(|difference| damaged(point, &file, &difference))?;
        say(format_args!(
            "  {:<6} {by:<14} {:>7.2} s  {:>12}         ok   unchanged  {} rows equal",
            point.number,
            took.as_secs_f64(),
            proof.transactions,
            proof.rows,
        ));
        say(format_args!("         in {}", file.display()));
    }
    if !restores::tools_are_installed() {
        say("  (With zstd and tar installed, a full backup needs no Coffer to be restored.)");
    }
    drop(reference);
    fs::remove_file(&expected).map_err(failed(format!("removing {}", expected.display())))
}

fn damaged(point: &Point, file: &Path, difference: &compare::Difference) -> CommandError {
    let file = file.display();
    CommandError::Damaged(format!("point {} restored to {file}: {difference}", point.number))
}

fn show_commands(
    workspace: &Workspace,
    server: &Server,
    instance: InstanceId,
    points: &[Point],
) -> Result<(), CommandError> {
    let (url, token) = (server.url(), workspace.token_file());
    say("The same by hand, when the server was left running with --keep:");
    say(format_args!(
        "  API=\"{url}/v1.0/{PROJECT}\" TOKEN=\"X-Auth-Token: $(cat {})\"",
        token.display()
    ));
    say(format_args!(
        "  curl -H \"$TOKEN\" -H 'Content-Type: application/json' \"$API/backups\" \\\n    \
         -d '{{\"backup\": {{\"name\": \"next\", \"instance\": \"{instance}\", \"incremental\": 1}}}}'"
    ));
    say("  curl -H \"$TOKEN\" \"$API/backups\"");
    if let [full, .., newest] = points {
        let archive = restores::archive_of(full)?;
        say(format_args!("  zstd -dc {} \\\n    | tar -xf - -C FOLDER", archive.display()));
        say(format_args!(
            "  coffer restore {} \\\n    --to FILE --config {}",
            newest.id,
            workspace.config_file().display()
        ));
    }
    Ok(())
}
