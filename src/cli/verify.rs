//! `coffer verify`.

use serde_json::json;

use crate::catalog::CatalogError;
use crate::domain::{Backup, LeftOut, VerifyLevel};
use crate::executor::{self, Context, JobError, VerifyReport};

use super::args::BackupArgs;
use super::error::{CommandError, Result};
use super::offline::{self, Purpose};
use super::terminal;

pub(super) fn run(args: &BackupArgs) -> Result<()> {
    let opened = match offline::open(args, Purpose::Verify) {
        Err(CommandError::Job(error)) if error.is_about_key() => {
            return without_key(args, error);
        }
        Err(CommandError::Job(error)) => return Err(record_damage(args, error)),
        other => other?,
    };
    let verified = terminal::with_progress("verifying", |progress| {
        executor::verify(&opened.chain, &opened.rows, opened.decoder_threads(), progress)
    });
    let verified = verified.map_err(|error| record_damage(args, error))?;
    if let Some(context) = &opened.context {
        terminal::warn_unless_recorded("the proof", record_proof(context, &verified))?;
    }
    report(args, &verified, &executor::left_out(opened.manifest()));
    Ok(())
}

fn report(args: &BackupArgs, verified: &VerifyReport, left_out: &[LeftOut]) {
    if args.json {
        terminal::say_json(&json!({
            "backup": verified.id,
            "chain": verified.chain,
            "entries": verified.entries,
            "content_bytes": verified.content_bytes,
            "sound": true,
            "decoded": true,
            "left_out": left_out,
        }));
    } else {
        terminal::say(format_args!(
            "Backup {} is sound: decoded and compared {} in {}, from {}.",
            verified.id,
            terminal::human(verified.content_bytes),
            terminal::counted(verified.entries, "member"),
            terminal::counted(verified.chain.len(), "archive"),
        ));
        terminal::say_left_out(left_out);
    }
}

/// Verifies what can be verified of encrypted archives without a key: that their files are byte for byte what was proven.
fn without_key(args: &BackupArgs, error: JobError) -> Result<()> {
    let Some((context, rows)) = offline::rows_of(args)? else { return Err(error.into()) };
    let Some(backup) = rows.last() else { return Err(error.into()) };
    let workers = context.settings.compression_threads;
    let compared = terminal::with_progress("comparing", |progress| {
        let total = rows.iter().filter_map(|it| it.facts.as_ref()).map(|it| it.stored_bytes).sum();
        let mut before = 0;
        rows.iter().try_for_each(|it| {
            let done = |done: u64| progress(before + done, total);
            executor::check_bytes(&*context.storage, it, workers, &context.cancel, &done)?;
            before += it.facts.as_ref().map_or(0, |it| it.stored_bytes);
            Ok(())
        })
    });
    compared.map_err(|error| record_damage(args, error))?;
    if !args.keys.has_no_identity() {
        // It is the key that is wrong, and not the archive.
        return Err(error.into());
    }
    let (now, level) =
        (context.clock.now(), |it: &Backup| it.facts.as_ref().map(|it| it.verify_level));
    let proven: Vec<_> = rows.iter().filter_map(|it| Some((it.id, level(it)?))).collect();
    for row in &rows {
        executor::record_proof(
            &*context.storage,
            row,
            now,
            level(row).unwrap_or(VerifyLevel::Bytes),
        );
    }
    terminal::warn_unless_recorded(
        "the proof",
        context.catalog.report_verified(backup.id, now, proven).wait(),
    )?;
    let (id, archives) = (backup.id, terminal::counted(rows.len(), "archive"));
    if args.json {
        let chain: Vec<_> = rows.iter().map(|it| it.id).collect();
        terminal::say_json(
            &json!({ "backup": id, "chain": chain, "sound": true, "decoded": false }),
        );
    } else {
        terminal::say(format_args!(
            "Backup {id}: its {archives} in the storage, encrypted, are byte for byte what was proven when they were made. \
             Not decoded again, because no key was given: --identity FILE does that."
        ));
    }
    Ok(())
}

/// Records the proof in the catalog, and with each archive that was read, from which a rebuilt catalog takes it.
fn record_proof(context: &Context, verified: &VerifyReport) -> Result<(), CatalogError> {
    let now = context.clock.now();
    // Of what it is built on, only the bytes were compared with what was proven.
    let others = verified.built_on.iter().map(|it| (*it, VerifyLevel::Bytes));
    let proven: Vec<_> = [(verified.id, verified.level)].into_iter().chain(others).collect();
    for (id, level) in &proven {
        match context.catalog.find(*id) {
            Ok(backup) => executor::record_proof(&*context.storage, &backup, now, *level),
            Err(error) if *id == verified.id => return Err(error),
            Err(_deleted) => {}
        }
    }
    context.catalog.report_verified(verified.id, now, proven).wait()
}

/// Records a damaged or missing archive, so that no backup is built on it, and returns the error.
fn record_damage(args: &BackupArgs, error: JobError) -> CommandError {
    if let Some((bad_backup, damage)) = error.bad_archive()
        && let Some((context, id)) = offline::reopen(args)
    {
        if let Ok(Some(why)) = executor::why_archives_missing(&context) {
            return JobError::ArchivesMissing(why).into();
        }
        let failed = context.catalog.report_verify_failed(id, damage.clone());
        let damaged = context.catalog.report_damage(bad_backup, damage);
        if let Err(cause) = damaged.wait().and_then(|()| failed.wait()) {
            terminal::complain(&cause);
        }
    }
    error.into()
}
