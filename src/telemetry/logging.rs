//! The format of a log line. A record is always one line: text from outside cannot start another one.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};

use super::writer;
use crate::domain::{Clock as _, SystemClock, Timestamp};

/// A logger of this level. Libraries log errors and warnings only, or less if `level` is less.
pub(super) fn builder(level: LevelFilter) -> Builder {
    let journal = stderr_is_the_journal();
    let mut builder = Builder::new();
    builder.target(match writer::start() {
        Ok(writer) => Target::Pipe(Box::new(writer)),
        Err(_no_thread) => Target::Stderr,
    });
    builder.format(move |out, record| {
        out.write_all(line(record, journal, SystemClock.now()).as_bytes())
    });
    match std::env::var("RUST_LOG") {
        Ok(filters) if !filters.is_empty() => builder.parse_filters(&filters),
        _ => builder.filter_level(level.min(LevelFilter::Warn)).filter_module("coffer", level),
    };
    builder
}

/// Whether stderr is the very stream that `JOURNAL_STREAM` names: a child of a service inherits the
/// variable, but its stderr may be a file.
fn stderr_is_the_journal() -> bool {
    let Ok(journal) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let metadata = stderr.and_then(|stderr| File::from(stderr).metadata());
    metadata.is_ok_and(|stream| journal == format!("{}:{}", stream.dev(), stream.ino()))
}

/// The line for a record. The journal adds the time itself and takes the priority from a prefix.
fn line(record: &Record<'_>, journal: bool, now: Timestamp) -> String {
    let mut line = if journal {
        format!("<{}>{}: ", priority(record.level()), record.target())
    } else {
        format!("{now} {:<5} {}: ", record.level(), record.target())
    };
    for character in record.args().to_string().chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

/// The syslog priority, see `sd-daemon(3)`.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(level: Level, message: &str, journal: bool) -> String {
        let now = "2026-11-23T19:13:14.250001Z".parse().unwrap();
        let mut record = Record::builder();
        let record = record.level(level).target("coffer::server");
        line(&record.args(format_args!("{message}")).build(), journal, now)
    }

    #[test]
    fn a_line_has_a_time_for_people_and_a_priority_for_the_journal() {
        assert_eq!(
            shown(Level::Info, "up", false),
            "2026-11-23T19:13:14.250001Z INFO  coffer::server: up\n"
        );
        assert_eq!(shown(Level::Error, "down", true), "<3>coffer::server: down\n");
        assert_eq!(shown(Level::Debug, "é", true), "<7>coffer::server: é\n");
    }

    #[test]
    fn text_from_outside_cannot_start_a_line_or_control_a_terminal() {
        let forged = shown(Level::Warn, "name\n<3>forged\r\u{1b}[2J\u{2028}", true);
        assert_eq!(forged, "<4>coffer::server: name\\n<3>forged\\r\\u{1b}[2J\\u{2028}\n");
    }
}
