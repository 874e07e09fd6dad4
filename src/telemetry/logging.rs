//! The form of a log line. A record is always one line: text that came from outside cannot begin another.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};

use super::batch;
use crate::domain::{Clock as _, SystemClock, Timestamp};

/// The target of the access log.
const ACCESS: &str = "coffer::access";

/// Who reads the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// The systemd journal, which knows the time and takes the priority from a prefix.
    Journal,
    /// Anybody else.
    Plain,
}

/// A logger of this level. Libraries speak from `warn` on, or at Coffer's own level if that is quieter.
pub(super) fn builder(level: LevelFilter) -> Builder {
    let reader = reader();
    let mut builder = Builder::new();
    builder.target(Target::Stderr).format(move |out, record| {
        let mut text = String::with_capacity(160);
        line(&mut text, record, reader, SystemClock.now()).map_err(io::Error::other)?;
        if record.target() == ACCESS && record.level() >= Level::Info && batch::take(&text) {
            return Ok(());
        }
        batch::flush();
        out.write_all(text.as_bytes())
    });
    match std::env::var("RUST_LOG") {
        Ok(filters) if !filters.is_empty() => builder.parse_filters(&filters),
        _ => builder.filter_level(level.min(LevelFilter::Warn)).filter_module("coffer", level),
    };
    builder
}

/// The journal, if stderr is the stream that systemd has named for it. Only then: a child of a service
/// inherits the variable, its stderr may be a file.
fn reader() -> Reader {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let metadata =
        io::stderr().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    match metadata {
        Ok(stream) if named == format!("{}:{}", stream.dev(), stream.ino()) => Reader::Journal,
        _ => Reader::Plain,
    }
}

fn line(out: &mut String, record: &Record<'_>, reader: Reader, now: Timestamp) -> fmt::Result {
    match reader {
        Reader::Journal => write!(out, "<{}>", priority(record.level()))?,
        Reader::Plain => {
            write!(out, "{now}")?;
            out.push_str(word(record.level()));
        }
    }
    out.push_str(record.target());
    out.push_str(": ");
    write!(OneLine(out), "{}", record.args())?;
    out.push('\n');
    Ok(())
}

/// The level between the time and the target, as wide as the longest.
const fn word(level: Level) -> &'static str {
    match level {
        Level::Error => " ERROR ",
        Level::Warn => " WARN  ",
        Level::Info => " INFO  ",
        Level::Debug => " DEBUG ",
        Level::Trace => " TRACE ",
    }
}

/// The syslog priority, as `sd-daemon(3)` numbers them.
const fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Writes control characters as escapes.
struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            self.0.push_str(text);
            return Ok(());
        }
        for character in text.chars() {
            if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(level: Level, message: &str, reader: Reader) -> String {
        let mut text = String::new();
        let now = "2026-11-23T19:13:14.250001Z".parse().unwrap();
        line(
            &mut text,
            &Record::builder()
                .level(level)
                .target("coffer::server")
                .args(format_args!("{message}"))
                .build(),
            reader,
            now,
        )
        .unwrap();
        text
    }

    #[test]
    fn a_line_has_a_time_for_people_and_a_priority_for_the_journal() {
        assert_eq!(
            shown(Level::Info, "up", Reader::Plain),
            "2026-11-23T19:13:14.250001Z INFO  coffer::server: up\n"
        );
        assert_eq!(shown(Level::Error, "down", Reader::Journal), "<3>coffer::server: down\n");
        assert_eq!(shown(Level::Debug, "é", Reader::Journal), "<7>coffer::server: é\n");
    }

    #[test]
    fn text_from_outside_cannot_begin_a_line_or_steer_a_terminal() {
        let forged = shown(Level::Warn, "name\n<3>forged\r\u{1b}[2J\u{2028}", Reader::Journal);
        assert_eq!(forged, "<4>coffer::server: name\\n<3>forged\\r\\u{1b}[2J\\u{2028}\n");
    }
}
