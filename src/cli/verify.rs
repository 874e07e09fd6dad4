//! `coffer verify`.

use clap::Args;
use serde_json::json;

use crate::executor::{self, Context, JobError, Verified};
use crate::server;

use super::args::{Which, WithConfig};
use super::error::CommandError;
use super::offline::{self, Purpose};
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    which: Which,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    let opened = match offline::open(&args.which, Purpose::Verify, &args.with) {
        Err(CommandError::Job(error)) => return Err(record_damage(args, error)),
        other => other?,
    };
    let workers = opened.config.executor.compression_thread_count();
    let verified = terminal::with_progress("verifying", |progress| {
        executor::verify(&opened.chain, &opened.rows, workers, progress)
    });
    let verified = verified.map_err(|error| record_damage(args, error))?;
    if let Some(context) = &opened.context {
        record_proof(context, &verified)?;
    }
    report(args, &verified);
    Ok(())
}

fn report(args: &VerifyArgs, verified: &Verified) {
    if args.json {
        terminal::say_json(&json!({
            "backup": verified.id,
            "chain": verified.chain,
            "entries": verified.entries,
            "content_bytes": verified.content_bytes,
            "sound": true,
        }));
    } else {
        terminal::say(format_args!(
            "Backup {} is sound: decoded and compared {} in {}, from {}.",
            verified.id,
            terminal::human(verified.content_bytes),
            terminal::counted(verified.entries, "member"),
            terminal::counted(verified.chain.len(), "archive"),
        ));
    }
}

/// Records the proof in the catalog, and with the archive, from which a rebuilt catalog takes it.
fn record_proof(context: &Context, verified: &Verified) -> Result<(), CommandError> {
    let now = context.clock.now();
    let backup = context.catalog.find(verified.id)?;
    executor::record_proof(&*context.storage, &backup, now, verified.level);
    context.catalog.report_verified(verified.id, now, verified.level).wait()?;
    Ok(())
}

/// Records permanent damage, so that no backup is built on it, and returns the error.
fn record_damage(args: &VerifyArgs, error: JobError) -> CommandError {
    if let Some(id) = args.which.id
        && let Some((culprit, damage)) = error.damaged_archive()
        && let Ok(config) = args.with.load()
        && let Ok(context) = server::open_existing(&config)
    {
        let failed = context.catalog.report_verify_failed(id, damage.clone());
        let damaged = context.catalog.report_damage(culprit, damage);
        if let Err(cause) = damaged.wait().and_then(|()| failed.wait()) {
            terminal::complain(&cause);
        }
    }
    error.into()
}
