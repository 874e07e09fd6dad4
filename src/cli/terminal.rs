//! Output for people and scripts: lines, JSON reports, progress bars.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::catalog::CatalogError;
use crate::domain::{LeftOut, for_json, for_people, harmless, with_causes};
use crate::executor::OnProgress;

/// How much of what a backup leaves out is printed.
const LEFT_OUT_SHOWN: usize = 20;

/// The most bytes of a secret that is read from the standard input.
const LONGEST_SECRET: u64 = 4096;

/// Why a line could not be written.
static LOST_OUTPUT: OnceLock<io::Error> = OnceLock::new();

/// Prints a line to stdout. [`lost_output`] tells whether all were written.
pub(super) fn say(line: impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{}", harmless(&line.to_string(), for_people))
    {
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

/// Prints a document. What could not be seen in it is escaped as JSON does, so that it stays the same document.
pub(super) fn say_json(report: &Value) {
    let text = format!("{report:#}");
    if let Err(error) = writeln!(io::stdout().lock(), "{}", harmless(&text, for_json)) {
        LOST_OUTPUT.get_or_init(|| error);
    }
}

/// Prints an error with its causes to stderr.
pub(super) fn complain(error: &dyn Error) {
    writeln!(io::stderr().lock(), "coffer: {}", harmless(&with_causes(error), for_people)).ok();
}

/// Prints an error to stderr as a JSON document in one line.
pub(super) fn complain_in_json(error: &dyn Error, exit_code: u8) {
    let report = json!({ "error": with_causes(error), "exit_code": exit_code });
    writeln!(io::stderr().lock(), "{}", harmless(&report.to_string(), for_json)).ok();
}

pub(super) fn warn(line: impl Display) {
    writeln!(io::stderr().lock(), "coffer: warning: {}", harmless(&line.to_string(), for_people))
        .ok();
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
