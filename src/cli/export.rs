//! `coffer export`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::domain::Action;
use crate::executor;
use crate::server;

use super::args::BackupArgs;
use super::error::Result;
use super::offline::{self, Purpose};
use super::terminal;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The archive to write, usually named `….tar.zst`. It must not exist.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    backup: BackupArgs,
}

pub(super) fn run(args: &ExportArgs) -> Result<()> {
    let opened = offline::open(&args.backup, Purpose::Use)?;
    let settings = server::executor_settings(&opened.config);
    let finished = terminal::with_progress("exporting", |progress| {
        executor::export(&opened.chain, &args.to, &settings, opened.cancel(), progress)
    })?;
    opened.record(Action::BackupDownload, &args.to.display().to_string())?;
    let id = finished.manifest.backup.id;
    if args.backup.json {
        terminal::say_json(&json!({
            "backup": id,
            "file": args.to,
            "stored_bytes": finished.stored_bytes,
            "source_bytes": finished.source_bytes,
            "checksum": format!("blake3:{}", finished.checksum),
        }));
    } else {
        terminal::say(format_args!(
            "Wrote backup {id} to {}: {} ({} unpacked), BLAKE3 {}.\nRestore it anywhere: zstd -dc FILE | tar -xpf -",
            args.to.display(),
            terminal::human(finished.stored_bytes),
            terminal::human(finished.source_bytes),
            finished.checksum,
        ));
    }
    Ok(())
}
