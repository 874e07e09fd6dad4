//! The format of a log line. A record is always one line: text from outside cannot start another one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};

use serde::Serialize;

use super::{subject, writer};
use crate::domain::{Clock as _, LogFormat, SystemClock, Timestamp};

/// A logger of this level and format. Libraries log errors and warnings only, or less if `level` is less.
pub(super) fn builder(level: LevelFilter, format: LogFormat) -> Builder {
    let journal = stderr_is_the_journal();
    let mut builder = Builder::new();
    builder.target(match writer::start() {
        Ok(writer) => Target::Pipe(Box::new(writer)),
        Err(_no_thread) => Target::Stderr,
    });
    builder.format(move |out, record| {
        if is_secret(record) {
            return Ok(());
        }
        out.write_all(line(record, format, journal, SystemClock.now()).as_bytes())
    });
    match std::env::var("RUST_LOG") {
        Ok(filters) if !filters.is_empty() => builder.parse_filters(&filters),
        _ => builder
            .filter_level(level.min(LevelFilter::Warn))
            // What a client sent wrong is told to the client. Any client could fill the log with it.
            .filter_module("actix_http", LevelFilter::Off)
            // Whoever connects could write lines. Where it matters, its errors are said by who gets them.
            .filter_module("rustls", LevelFilter::Off)
            .filter_module("coffer", level),
    };
    builder
}

/// Whether a line may hold a secret: the HTTP client writes whole requests at these levels, and a signed URL lets whoever
/// has it do what it says. No filter of `RUST_LOG` shows them.
fn is_secret(record: &Record<'_>) -> bool {
    record.level() > Level::Info && record.target().starts_with("ureq")
}

/// Whether stderr is the very stream that `JOURNAL_STREAM` names: a child of a service inherits the
/// variable, but its stderr may be a file.
fn stderr_is_the_journal() -> bool {
    let Ok(journal) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned();
    let metadata = stderr.and_then(|stderr| File::from(stderr).metadata());
    metadata.is_ok_and(|stream| journal == format!("{}:{}", stream.dev(), stream.ino()))
}

/// The line for a record. The journal takes the priority from a prefix, and adds the time to text itself.
fn line(record: &Record<'_>, format: LogFormat, journal: bool, now: Timestamp) -> String {
    let (level, target) = (record.level(), record.target());
    let mut line = if journal { format!("<{}>", priority(level)) } else { String::new() };
    match format {
        LogFormat::Json => add_json(&mut line, record, now),
        LogFormat::Text => {
            if !journal {
                line = format!("{now} {level:<5} ");
            }
            line.extend([target, ": "]);
            for character in record.args().to_string().chars() {
                if may_act(character) {
                    line.extend(character.escape_default());
                } else {
                    line.push(character);
                }
            }
        }
    }
    line.push('\n');
    line
}

/// Whether a character ends a line somewhere, or tells a terminal something.
fn may_act(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A record as JSON, whose keys stand in this order.
#[derive(Serialize)]
struct Line<'r> {
    time: String,
    level: &'static str,
    target: &'r str,
    message: String,
    #[serde(flatten)]
    subjects: BTreeMap<&'static str, String>,
}

fn add_json(line: &mut String, record: &Record<'_>, now: Timestamp) {
    let json = serde_json::to_string(&Line {
        time: now.to_string(),
        level: record.level().as_str(),
        target: record.target(),
        message: record.args().to_string(),
        subjects: subject::keys().into_iter().collect(),
    });
    for character in json.expect("every key and value is a text").chars() {
        if may_act(character) {
            let escape = format!("\\u{:04x}", u32::from(character));
            line.push_str(&escape);
        } else {
            line.push(character);
        }
    }
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
    use crate::telemetry::Subject;

    fn shown(level: Level, message: &str, format: LogFormat, journal: bool) -> String {
        let now = "2026-11-23T19:13:14.250001Z".parse().unwrap();
        let mut record = Record::builder();
        let record = record.level(level).target("coffer::server");
        line(&record.args(format_args!("{message}")).build(), format, journal, now)
    }

    fn text(level: Level, message: &str, journal: bool) -> String {
        shown(level, message, LogFormat::Text, journal)
    }

    #[test]
    fn a_line_has_a_time_for_people_and_a_priority_for_the_journal() {
        assert_eq!(
            text(Level::Info, "up", false),
            "2026-11-23T19:13:14.250001Z INFO  coffer::server: up\n"
        );
        assert_eq!(text(Level::Error, "down", true), "<3>coffer::server: down\n");
        assert_eq!(text(Level::Debug, "é", true), "<7>coffer::server: é\n");
    }

    #[test]
    fn text_from_outside_cannot_start_a_line_or_control_a_terminal() {
        let message = "name\n<3>forged\r\u{1b}[2J\u{9b}\u{2028}";
        assert_eq!(
            text(Level::Warn, message, true),
            "<4>coffer::server: name\\n<3>forged\\r\\u{1b}[2J\\u{9b}\\u{2028}\n"
        );
        let json = shown(Level::Warn, message, LogFormat::Json, false);
        assert!(!json.trim_end_matches('\n').contains(may_act), "{json}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["message"], message);
    }

    #[test]
    fn a_line_of_json_names_what_its_thread_is_busy_with() {
        let plain = r#"{"time":"2026-11-23T19:13:14.250001Z","level":"INFO","target":"coffer::server","message":"up"}"#;
        assert_eq!(shown(Level::Info, "up", LogFormat::Json, false), format!("{plain}\n"));
        let subject = Subject::new("backup_id", 7);
        let journal = shown(Level::Info, "up", LogFormat::Json, true);
        let named = plain.replace('}', r#","backup_id":"7"}"#);
        assert_eq!(journal, format!("<6>{named}\n"));
        drop(subject);
        assert!(!shown(Level::Info, "up", LogFormat::Json, true).contains("backup_id"));
    }
}
