//! What people see: lines, reports as text or JSON, progress on a terminal.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::domain::with_causes;

/// Prints a line. A reader that went away (`| head`) is no error.
pub(super) fn say(line: &str) {
    writeln!(io::stdout().lock(), "{line}").ok();
}

/// Prints a report as one JSON document.
pub(super) fn say_json(report: &impl Serialize) {
    match serde_json::to_string_pretty(report) {
        Ok(text) => say(&text),
        Err(error) => complain(&error),
    }
}

/// Prints an error with its causes to standard error.
pub(super) fn complain(error: &dyn Error) {
    let text = with_causes(error);
    writeln!(io::stderr().lock(), "coffer: {text}").ok();
}

/// A bar for long work: on a terminal only, never among JSON or in a log.
pub(super) fn bar(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .unwrap_or_else(|_bad_template| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what.to_owned())
}

/// Steps of a bar that shows a share.
const STEPS: u64 = 1000;

/// A bar for long work whose amount is not known in bytes: on a terminal only.
pub(super) fn share_bar(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent} %")
        .unwrap_or_else(|_bad_template| ProgressStyle::default_bar());
    ProgressBar::new(STEPS).with_style(style).with_message(what.to_owned())
}

/// Shows on such a bar how much is done, 0 to 1.
pub(super) fn show_share(bar: &ProgressBar, share: f64) {
    let steps = (1..=1000_u16).take_while(|step| f64::from(*step) / 1000.0 <= share).count();
    bar.set_position(u64::try_from(steps).unwrap_or(STEPS));
}

/// Bytes as people read them: `40.2 KiB`.
pub(super) fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
