//! How far a backup is proven.

use maud::{Markup, html};

use crate::domain::{
    Backup, BackupId, DrillOutcome, NextDrill, RowsByTable, Run, RunEnd, RunResult, Timestamp,
    Verdict,
};

use super::asked::Asked;
use super::part::Part;
use super::show::{self, grouped, when};

/// How far its archive is proven, and what its drill found.
pub(super) fn section(
    asked: &Asked,
    backup: &Backup,
    (verification, rows): (Option<&Run>, &RowsByTable),
    now: Timestamp,
) -> Markup {
    let Some(facts) = &backup.facts else { return html! {} };
    html! {
        section aria-labelledby="proof" {
            h2 #proof { "Proof" }
            dl.facts {
                div { dt { "How far" } dd { (show::proof(facts.verify_level)) } }
                div { dt { "Last proven" } dd { (when(facts.verified_at, now)) } }
                div { dt { "Checksum (BLAKE3)" } dd { code.long { (facts.checksum) } } }
            }
            @if let Some(run) = verification { (verified(run, now)) }
            @match backup.drill.next {
                Some(NextDrill::Waiting) => p role="status" { (show::badge("busy", "A drill waits for its turn")) },
                Some(NextDrill::Running) => p role="status" { (show::badge("busy", "A drill is under way")) },
                None => {},
            }
            @match &backup.drill.last {
                Some(drill) => (drill_result(asked, backup.id, (drill, rows), now)),
                None => p.soft { "It was not restored in a drill yet." },
            }
            p.soft { "To read every byte again without the server: " code { "coffer verify " (backup.id) } }
        }
    }
}

/// How far a verification is, or what it found if that was not that all is well: this is said above.
fn verified(run: &Run, now: Timestamp) -> Markup {
    let Some(RunEnd { at, result, .. }) = &run.end else {
        let words = match run.begun {
            None => "A verification waits for its turn",
            Some(_) => "A verification is under way: every byte is read again",
        };
        return html! { p role="status" { (show::badge("busy", words)) } };
    };
    html! {
        @match result {
            RunResult::Done => p role="status" { (show::badge("good", "Verification passed")) " " (when(*at, now)) },
            RunResult::Damaged(failure) => div.notice.bad { p { "A verification found damage, " (when(*at, now)) ": " (show::sentence(&failure.message)) } },
            RunResult::Failed(failure) => div.notice.warn { p { "A verification did not come to a result, " (when(*at, now)) "; this takes nothing from the backup: " (show::sentence(&failure.message)) } },
            RunResult::Cancelled | RunResult::Interrupted => {},
        }
    }
}

fn drill_result(
    asked: &Asked,
    id: BackupId,
    (drill, rows): (&DrillOutcome, &RowsByTable),
    now: Timestamp,
) -> Markup {
    let DrillOutcome { at, took, verdict } = drill;
    let rows: Vec<(&String, &u64)> = rows.iter().collect();
    let part = Part::of(asked, "tables", &rows);
    let path = format!("/console/backups/{id}");
    html! {
        @match verdict {
            Verdict::Passed(facts) => {
                p {
                    (show::badge("good", "Drill passed")) " " (when(*at, now)) ", in " (show::took(*took)) ": "
                    (grouped(facts.rows)) " rows in " (show::counted(usize::try_from(facts.tables).unwrap_or(usize::MAX), "table")) ", read by " (facts.version)
                    ", checked with " (facts.check) "."
                }
                @if !rows.is_empty() {
                    details open[!asked.query.text("tables").is_empty()] {
                        summary { "Rows by table" }
                        table {
                            thead { tr { th scope="col" { "Table" } th.number scope="col" { "Rows" } } }
                            tbody { @for (table, count) in part.rows { tr { th scope="row" { (table) } td.number { (grouped(**count)) } } } }
                        }
                        (part.links(asked, (&path, "proof"), "table"))
                    }
                }
            }
            Verdict::Damaged(failure) => div.notice.bad { p { "A drill found damage, " (when(*at, now)) ": " (show::sentence(&failure.message)) } },
            Verdict::Inconclusive(failure) => div.notice.warn { p { "A drill did not come to a result, " (when(*at, now)) "; this takes nothing from the backup: " (show::sentence(&failure.message)) } },
        }
    }
}
