//! What the tour says, as it goes.

use std::time::Duration;

use crate::cli::terminal::{human, say};

use super::backups::Point;
use super::ledger::Plan;
use super::restores::{Proof, Restored};
use super::server::Server;
use super::stage::{PROJECT, Stage};
use super::tools;

fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}

fn milliseconds(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1000.0)
}

pub(super) fn welcome(stage: &Stage) {
    say(&format!("Coffer's tour, on temporary data in {}\n", stage.root().display()));
}

pub(super) fn scene(stage: &Stage, plan: &Plan, server: &Server) {
    let bytes = stage.database().metadata().map_or(0, |metadata| metadata.len());
    say(&format!(
        "  database   {}, SQLite in WAL mode, {}: {} accounts, {} documents",
        stage.database().display(),
        human(bytes),
        plan.accounts,
        plan.documents
    ));
    say(&format!("  server     {}, process {}", server.url(), server.pid()));
    say(&format!(
        "  writer     commits transfers all the time; the accounts always hold {} together\n",
        plan.total()
    ));
}

pub(super) fn backups_begin() {
    say("Backups over the API, while the writer goes on; COMPLETED means proven:");
    say("  point  kind              read     archive    ratio      took  commits  longest commit");
}

pub(super) fn backed_up(point: &Point) {
    let backup = &point.backup;
    let (read, stored) = (backup.source_bytes.unwrap_or(0), backup.size_bytes.unwrap_or(0));
    say(&format!(
        "  {:<6} {:<11} {:>10}  {:>10}  {:>7}  {:>8}  {:>7}  {:>14}",
        point.number,
        backup.kind.as_deref().unwrap_or("unknown"),
        human(read),
        human(stored),
        ratio(read, stored),
        seconds(point.took),
        point.commits,
        milliseconds(point.longest_commit),
    ));
}

/// How many times smaller the archive is, to one decimal.
fn ratio(read: u64, stored: u64) -> String {
    match read.saturating_mul(10).checked_div(stored) {
        Some(tenths) => format!("{}.{}:1", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

pub(super) fn destroyed(last: i64, complaint: &str) {
    say(&format!(
        "\nThe writer stopped after transaction {last}. The database was overwritten with garbage\n\
         (SQLite: \"{complaint}\") and deleted.\n"
    ));
}

pub(super) fn restores_begin() {
    say("Restores, each compared with what the writer had committed at that moment:");
    say("  point  by                  took  transactions  integrity       total  rows");
}

pub(super) fn restored(point: &Point, restored: &Restored, proof: &Proof) {
    say(&format!(
        "  {:<6} {:<14} {:>9}  {:>12}  {:>9}  {:>10}  {} rows equal",
        point.number,
        restored.by,
        seconds(restored.took),
        proof.transactions,
        "ok",
        "unchanged",
        proof.rows,
    ));
    say(&format!("         in {}", restored.file.display()));
    if point.number == 1 && !tools::are_installed() {
        say("         (zstd and tar are not both installed; with them, it needs no Coffer)");
    }
}

pub(super) fn verdict(points: usize) {
    say(&format!(
        "\nAll {points} restored points hold exactly what was committed when they were backed up.\n"
    ));
}

pub(super) fn by_hand(stage: &Stage, server: &Server, instance: &str, points: &[Point]) {
    let (url, token) = (server.url(), stage.token_file().display().to_string());
    say("The same by hand, where the server was left running with --keep:");
    say(&format!("  API=\"{url}/v1.0/{PROJECT}\" TOKEN=\"X-Auth-Token: $(cat {token})\""));
    say(&format!(
        "  curl -H \"$TOKEN\" -H 'Content-Type: application/json' \"$API/backups\" \\\n    \
         -d '{{\"backup\": {{\"name\": \"next\", \"instance\": \"{instance}\", \"incremental\": 1}}}}'"
    ));
    say("  curl -H \"$TOKEN\" \"$API/backups\"");
    let full = points.first().and_then(|point| point.backup.location.as_deref());
    if let Some(archive) = full.and_then(tools::path_of) {
        say(&format!("  zstd -dc {} \\\n    | tar -xf - -C FOLDER", archive.display()));
    }
    if let Some(newest) = points.last() {
        say(&format!(
            "  coffer restore {} \\\n    --to FILE --config {}",
            newest.backup.id,
            stage.config_file().display()
        ));
    }
}

pub(super) fn removed() {
    say("\nThe server is stopped and the temporary data removed; --keep leaves both for a look.");
}

pub(super) fn kept(stage: &Stage, server: &Server) {
    say("\nKept, with the newest point back in the database's place:");
    say(&format!("  folder     {}", stage.root().display()));
    say(&format!("  server     {}, log in {}", server.url(), stage.log_file().display()));
    say(&format!("  the end    kill {}; rm -r {}", server.pid(), stage.root().display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_cut_to_one_decimal_and_no_archive_gives_none() {
        assert_eq!(ratio(1000, 300), "3.3:1");
        assert_eq!(ratio(300, 1000), "0.3:1");
        assert_eq!(ratio(1, 0), "-");
    }
}
