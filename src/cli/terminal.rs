//! Output for people and scripts: lines, JSON reports, progress bars.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::catalog::CatalogError;
use crate::domain::{LeftOut, with_causes};
use crate::executor::OnProgress;

/// How much of what a backup leaves out is printed.
const LEFT_OUT_SHOWN: usize = 20;

/// The most bytes of a secret that is read from the standard input.
const LONGEST_SECRET: u64 = 4096;

/// Why a line could not be written.
static LOST_OUTPUT: OnceLock<io::Error> = OnceLock::new();

/// A text without what would control the terminal: names of files may hold anything.
fn harmless(text: impl Display) -> String {
    let mut harmless = String::new();
    for char in text.to_string().chars() {
        if char.is_control() && char != '\n' && char != '\t' {
            harmless.extend(char.escape_default());
        } else {
            harmless.push(char);
        }
    }
    harmless
}

/// Prints a line to stdout. [`lost_output`] tells whether all were written.
pub(super) fn say(line: impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{}", harmless(line)) {
        LOST_OUTPUT.get_or_init(|| error);
    }
}

/// Why not all that was said has been written, if so.
pub(super) fn lost_output() -> Option<&'static io::Error> {
    if let Err(error) = io::stdout().lock().flush() {
        LOST_OUTPUT.get_or_init(|| error);
    }
    LOST_OUTPUT.get()
}

pub(super) fn say_json(report: &Value) {
    say(format_args!("{report:#}"));
}

/// Prints an error with its causes to stderr.
pub(super) fn complain(error: &dyn Error) {
    writeln!(io::stderr().lock(), "coffer: {}", harmless(with_causes(error))).ok();
}

/// Prints an error to stderr as a JSON document in one line.
pub(super) fn complain_in_json(error: &dyn Error, exit_code: u8) {
    let report = json!({ "error": with_causes(error), "exit_code": exit_code });
    writeln!(io::stderr().lock(), "{report}").ok();
}

pub(super) fn warn(line: impl Display) {
    writeln!(io::stderr().lock(), "coffer: warning: {}", harmless(line)).ok();
}

/// What was found is true whether or not the catalog can be written at the moment: if not, that is only mentioned.
pub(super) fn warn_unless_recorded(
    what: &str,
    recorded: Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    match recorded {
        Err(error) if error.outage().is_some() => {
            warn(format_args!("{what} is not recorded: {}", with_causes(&error)));
            Ok(())
        }
        other => other,
    }
}

/// Asks for something that is not shown while it is typed. Without a terminal it is the next line of the standard input.
/// `None`: there is none, or nothing was typed.
pub(super) fn ask_secret(question: &str) -> Option<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().take(LONGEST_SECRET).read_line(&mut line).ok()?;
        let line = line.trim_end_matches(['\r', '\n']);
        return (!line.is_empty()).then(|| line.to_owned());
    }
    let terminal = console::Term::stderr();
    terminal.write_str(question).ok()?;
    terminal.read_secure_line().ok().filter(|it| !it.is_empty())
}

/// How many columns the terminal has, if the output goes to one.
pub(super) fn columns() -> Option<usize> {
    let terminal = console::Term::stdout();
    let (_rows, columns) = terminal.is_term().then(|| terminal.size_checked()).flatten()?;
    Some(columns.into())
}

/// A bar of this length, which is shown on a terminal only.
pub(super) fn progress_bar(length: u64, template: &str) -> ProgressBar {
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Runs long work under a progress bar, which is shown on a terminal only.
pub(super) fn with_progress<T>(doing: &str, work: impl FnOnce(OnProgress<'_>) -> T) -> T {
    let bar =
        progress_bar(0, "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    bar.set_message(doing.to_owned());
    let result = work(&|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    result
}

/// Says what a backup does not hold, if that is anything.
pub(super) fn say_left_out(left_out: &[LeftOut]) {
    if !left_out.is_empty() {
        let count = counted(left_out.len(), "thing");
        say(format_args!("Not in this backup, or not vouched for: {count}"));
    }
    for one in LeftOut::first(left_out.to_vec(), LEFT_OUT_SHOWN) {
        say(format_args!("    {one}"));
    }
}

/// Bytes as people read them: `40.2 KiB`.
pub(super) fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// `1 archive`, `2 archives`.
pub(super) fn counted<N: Copy + PartialEq + From<u8> + Display>(number: N, noun: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_control_a_terminal_is_shown_as_an_escape() {
        assert_eq!(harmless("a\u{1b}[31m\r\u{9b}ü\tb\nc"), "a\\u{1b}[31m\\r\\u{9b}ü\tb\nc");
    }
}
