//! `coffer demo`: a tour on temporary data, in which nothing is pretended.
//!
//! A real server runs as a child process, a real SQLite database is written all the time, and everything
//! is asked over HTTP, as a user would. The database is a function of the number of its transactions
//! ([`ledger`]), so each restored point is compared, row by row, with exactly what had been committed.

mod backups;
mod client;
mod compare;
mod dice;
mod interrupt;
mod ledger;
mod ledger_rows;
mod report;
mod restores;
mod server;
mod stage;
mod tools;
mod writer;

use std::fmt::Display;

use clap::Args;

use super::{CommandError, terminal};

use client::Api;
use interrupt::Interrupt;
use ledger::{Ledger, Plan};
use server::Server;
use stage::Stage;
use writer::Writer;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keeps the data and leaves the server running; says where they are and how to stop it.
    #[arg(long)]
    keep: bool,
    /// How large the database is to be, in MiB.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(2..=4096))]
    size_mib: u32,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), CommandError> {
    let interrupt = Interrupt::listen().map_err(failed("listening for signals"))?;
    let stage = Stage::set(args.size_mib)?;
    let toured = tour(args, &stage, &interrupt);
    // Whoever presses Ctrl-C wants it gone; whoever asked to keep it and met a failure wants to look.
    let keep = args.keep && !interrupt.was_asked();
    match toured {
        Ok(server) if keep => {
            report::kept(&stage, &server);
            server.leave();
            stage.keep();
            Ok(())
        }
        Ok(server) => {
            server.stop(&interrupt)?;
            stage.remove()?;
            report::removed();
            Ok(())
        }
        Err(error) if keep => {
            let folder = stage.keep();
            terminal::say(&format!("\nKept for a look: {}", folder.display()));
            Err(error)
        }
        Err(error) => {
            if let Err(left_behind) = stage.remove() {
                terminal::complain(&left_behind);
            }
            Err(error)
        }
    }
}

/// The tour itself. What it started is gone when it fails: the writer and the server end with their owners.
fn tour(args: &DemoArgs, stage: &Stage, interrupt: &Interrupt) -> Result<Server, CommandError> {
    let plan = Plan::of_mib(args.size_mib);
    report::welcome(stage);
    let ledger = create(stage, &plan, interrupt)?;
    let server = Server::start(stage, interrupt)?;
    report::scene(stage, &plan, &server);

    let api = Api::new(server.url(), stage.secret());
    let instance = api.instance_named(stage::INSTANCE)?;
    let mut writer = Writer::start(ledger)?;
    let points = backups::make(&api, &instance, &plan, &writer, interrupt)?;
    let last = writer.stop()?;

    let complaint = restores::destroy(stage.database())?;
    report::destroyed(last, &complaint);

    let expected = stage.path("expected.db");
    let mut reference = Ledger::reference(&expected, &plan)?;
    report::restores_begin();
    for point in &points {
        interrupt.check()?;
        let restored = restores::restore(point, stage, &api, interrupt)?;
        let proof = restores::prove(point, &restored, &mut reference)?;
        report::restored(point, &restored, &proof);
    }
    drop(reference);
    std::fs::remove_file(&expected).map_err(failed(format!("removing {}", expected.display())))?;
    report::verdict(points.len());
    report::by_hand(stage, &server, &instance, &points);
    Ok(server)
}

/// Makes the database, with progress.
fn create(stage: &Stage, plan: &Plan, interrupt: &Interrupt) -> Result<Ledger, CommandError> {
    let bar = terminal::share_bar("  making the database");
    let made = Ledger::create(stage.database(), plan, &mut |share| {
        terminal::show_share(&bar, share);
        interrupt.check()
    });
    bar.finish_and_clear();
    made
}

/// An error with what was being done when it came.
fn failed<E: Display>(doing: impl Display) -> impl FnOnce(E) -> CommandError {
    move |error| CommandError::Failed(format!("{doing}: {error}"))
}
