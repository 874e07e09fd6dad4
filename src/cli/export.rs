//! `coffer export`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::domain::SystemClock;
use crate::executor;
use crate::server;

use super::offline::{self, Purpose, Which};
use super::{CommandError, WithConfig, terminal};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    which: Which,
    /// The archive to write, by custom `….tar.zst`. It must not exist.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Reports as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    with: WithConfig,
}

pub(super) fn run(args: &ExportArgs) -> Result<(), CommandError> {
    let opened = offline::open(&args.which, Purpose::Use, &args.with)?;
    let bar = terminal::bar("exporting");
    let settings = server::executor_settings(&opened.config);
    let finished =
        executor::export(&opened.chain, &args.to, &settings, &SystemClock, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
    bar.finish_and_clear();
    let id = finished.manifest.backup.id;
    if args.json {
        terminal::say_json(&json!({
            "backup": id,
            "file": args.to,
            "stored_bytes": finished.stored_bytes,
            "source_bytes": finished.source_bytes,
            "checksum": format!("blake3:{}", finished.checksum),
        }));
    } else {
        terminal::say(&format!(
            "Wrote backup {id} to {}: {} ({} unpacked), BLAKE3 {}.\nRestore it anywhere: zstd -dc FILE | tar -xpf -",
            args.to.display(),
            terminal::human(finished.stored_bytes),
            terminal::human(finished.source_bytes),
            finished.checksum,
        ));
    }
    Ok(())
}
