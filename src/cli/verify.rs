//! `coffer verify`.

use clap::Args;
use serde_json::json;

use crate::executor::{self, Context, JobError, Verified};
use crate::server;
use crate::storage::Location;

use super::offline::{self, Purpose, Which};
use super::{CommandError, WithConfig, terminal};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    which: Which,
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    let opened = match offline::open(&args.which, Purpose::Verify, &args.with) {
        Err(CommandError::Job(error)) => return Err(note_damage(args, error)),
        other => other?,
    };
    let bar = terminal::bar("verifying");
    let workers = server::compression_threads(&opened.config);
    let verified = executor::verify(&opened.chain, &opened.rows, workers, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let verified = verified.map_err(|error| note_damage(args, error))?;
    if let Some(context) = &opened.context {
        note_proof(context, &verified)?;
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
        terminal::say(&format!(
            "Backup {} is sound: {} in {} members decoded and compared, over {} archives.",
            verified.id,
            terminal::human(verified.content_bytes),
            verified.entries,
            verified.chain.len(),
        ));
    }
}

/// Writes a proof down: the row's time, and the archive's, from which a rebuilt catalog takes it.
fn note_proof(context: &Context, verified: &Verified) -> Result<(), CommandError> {
    let now = context.clock.now();
    let backup = context.catalog.find(verified.id)?;
    if let Some(facts) = &backup.facts {
        let location = Location::parse(&facts.location).map_err(JobError::from)?;
        context.storage.touch(&location, now).map_err(JobError::from)?;
    }
    context.catalog.report_verified(verified.id, now, verified.level).wait()?;
    Ok(())
}

/// Writes lasting damage down, so that nothing is built on it, and passes the error on.
fn note_damage(args: &VerifyArgs, error: JobError) -> CommandError {
    if args.which.id.is_some()
        && let Some((culprit, damage)) = error.damaged_archive()
        && let Ok(config) = args.with.load()
        && let Ok(context) = server::open_existing(&config)
        && let Err(cause) = context.catalog.report_damage(culprit, damage).wait()
    {
        terminal::complain(&cause);
    }
    error.into()
}
