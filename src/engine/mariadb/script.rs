//! Scripts of statements, run to their end although the server refuses some.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::client::Client;
use super::faults::classify;
use super::tables::keeps_rows_elsewhere;
use crate::domain::LeftOut;
use crate::engine::tool::{ToolError, says_any};
use crate::engine::{EngineError, Result};

/// How much of the client's messages is read: a script of a thousand refused statements has less.
const MAX_MESSAGES: u64 = 4 << 20;

/// How much of a statement is shown.
const SHOWN_CHARS: usize = 160;

/// Errors of a statement that names what another script creates: table, view, database, routine, account, server.
const NEEDS_OTHERS: [u32; 7] = [1049, 1146, 1305, 1356, 1370, 1449, 1477];

/// The error of a table whose storage engine the server does not have. Its message is `Unknown storage engine 'X'`.
const UNKNOWN_ENGINE: u32 = 1286;

/// Errors of the client itself: the connection failed or was lost.
const OF_CLIENT: std::ops::Range<u32> = 2000..3000;

/// Errors that end a statement and say nothing of it: shutdown, interrupted, killed.
const OF_SERVER: [u32; 3] = [1053, 1317, 1927];

const DISK_FULL: [&str; 5] =
    ["no space left", "errcode: 28", "errno: 28", "error 28 ", "disk full"];

/// What a server without keys says of a table that is to be encrypted.
const WRONG_OPTIONS: &str = "errno: 140";

const ENCRYPTED: [&str; 2] = ["`ENCRYPTED`=", "`ENCRYPTION_KEY_ID`="];

/// A statement that the server refused.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    line: usize,
    code: u32,
    message: String,
}

/// A script, and the name by which reports call it.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Runs scripts that may need each other. Those that lack what another creates are run again, as long as that helps.
/// Returns the scripts of which something was refused, each with the statements.
pub(super) fn run_all(client: &Client, scripts: &[Script]) -> Result<Vec<(Script, Vec<LeftOut>)>> {
    let mut ended: Vec<(Script, Vec<LeftOut>)> = Vec::new();
    let mut waiting = scripts.to_vec();
    let mut before = usize::MAX;
    loop {
        let mut refused = Vec::new();
        for mut script in waiting {
            let mut found = run(client, &script)?;
            if found.iter().any(|it| it.message.contains(WRONG_OPTIONS))
                && let Some(plain) = without_encryption(&script)?
            {
                let what = format!("the encryption of tables in {}", script.name);
                let why = "this server has not their keys, so they were created without";
                let without = LeftOut { holds_no_data: true, ..LeftOut::new(what, why) };
                ended.push((script, vec![without]));
                found = run(client, &plain)?;
                script = plain;
            }
            if found.iter().any(|it| NEEDS_OTHERS.contains(&it.code)) {
                refused.push((script, found));
            } else if !found.is_empty() {
                let named = named(&script, found)?;
                ended.push((script, named));
            }
        }
        let count = refused.iter().map(|(_, found)| found.len()).sum();
        if count == 0 || count >= before {
            for (script, found) in refused {
                let named = named(&script, found)?;
                ended.push((script, named));
            }
            return Ok(ended);
        }
        before = count;
        waiting = refused.into_iter().map(|(script, _)| script).collect();
    }
}

/// Runs a script, and returns what was refused.
pub(super) fn run_once(client: &Client, script: &Script) -> Result<Vec<LeftOut>> {
    named(script, run(client, script)?)
}

/// A copy of a script, beside it, whose tables are not encrypted; `None` if none is.
fn without_encryption(script: &Script) -> Result<Option<Script>> {
    let path = script.path.with_extension("plain");
    let copy = || -> std::io::Result<bool> {
        let mut from = BufReader::new(File::open(&script.path)?);
        let mut to = BufWriter::new(File::create_new(&path)?);
        let (mut line, mut changed) = (Vec::new(), false);
        while from.read_until(b'\n', &mut line)? > 0 {
            let plain = plain_options(&line);
            changed |= plain.is_some();
            to.write_all(plain.as_deref().map_or(&line[..], str::as_bytes))?;
            line.clear();
        }
        to.flush().map(|()| changed)
    };
    let changed = copy().map_err(|error| EngineError::target("writing", &path, error))?;
    Ok(changed.then(|| Script { name: script.name.clone(), path }))
}

/// The line that ends the columns of a table, without the options for encryption, if it has some.
fn plain_options(line: &[u8]) -> Option<String> {
    let text = line.strip_prefix(b") ENGINE=").and_then(|_| std::str::from_utf8(line).ok())?;
    let is_plain = |word: &&str| !ENCRYPTED.iter().any(|option| word.starts_with(option));
    let words: Vec<&str> = text.trim_end().split(' ').collect();
    let kept: Vec<&str> = words.iter().copied().filter(is_plain).collect();
    let end = if words.last().is_some_and(|it| it.ends_with(';')) { ";\n" } else { "\n" };
    (kept.len() < words.len()).then(|| kept.join(" ").trim_end_matches(';').to_owned() + end)
}

fn run(client: &Client, script: &Script) -> Result<Vec<Refused>> {
    let failed = |error: ToolError| classify(error, &format!("loading {}", script.name));
    let broken = |error| EngineError::target("reading", &script.path, error);
    let messages = tempfile::tempfile().map_err(broken)?;
    let handle = messages.try_clone().map_err(broken)?;
    let ended = client.run_script(File::open(&script.path).map_err(broken)?, handle);
    let text = read_messages(messages).map_err(broken)?;
    let refused: Vec<Refused> = text.lines().filter_map(refusal).collect();
    match ended {
        Err(error) if refused.is_empty() => Err(failed(error.map_output(|_| text))),
        Err(error @ (ToolError::Cancelled | ToolError::Start { .. })) => Err(failed(error)),
        _ => match refused.iter().find(|it| it.is_fatal()) {
            Some(fatal) => Err(failed(ToolError::answer("the client", &fatal.message))),
            None => Ok(refused),
        },
    }
}

fn read_messages(mut file: File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_MESSAGES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Refused {
    /// Whether this is no fault of the statement: nothing after it can be loaded either.
    fn is_fatal(&self) -> bool {
        OF_CLIENT.contains(&self.code)
            || OF_SERVER.contains(&self.code)
            || says_any(&self.message.to_lowercase(), &DISK_FULL)
    }

    /// The storage engine that the server does not have, if it refused a table because of that.
    fn unknown_engine(&self) -> Option<&str> {
        (self.code == UNKNOWN_ENGINE).then(|| self.message.split('\'').nth(1))?
    }
}

/// `ERROR 1146 (42S02) at line 25: Table 'zzz.t' doesn't exist`.
fn refusal(line: &str) -> Option<Refused> {
    let rest = line.trim_start_matches('\u{7}').strip_prefix("ERROR ")?;
    let (head, message) = rest.split_once(": ")?;
    let code = head.split_whitespace().next()?.parse().ok()?;
    let line = head.rsplit_once("at line ").and_then(|(_, line)| line.parse().ok());
    Some(Refused { line: line.unwrap_or(0), code, message: format!("ERROR {code}: {message}") })
}

/// The refused statements of a script with their text. Those that only follow from a table that was refused are
/// not listed.
fn named(script: &Script, refused: Vec<Refused>) -> Result<Vec<LeftOut>> {
    let texts = statements(&script.path, refused.iter().map(|it| it.line).collect())
        .map_err(|error| EngineError::target("reading", &script.path, error))?;
    let is_table = |text: &str| text.starts_with("CREATE TABLE");
    let lacks_table = texts.iter().any(|text| is_table(text));
    let follows = |code: u32, text: &str| {
        let of_rows = ["LOCK TABLES", "INSERT", "ALTER TABLE", "REPLACE"];
        lacks_table && code == 1146 && of_rows.iter().any(|verb| text.starts_with(verb))
    };
    let all = refused.into_iter().zip(texts);
    let kept = all.filter(|(it, text)| !follows(it.code, text));
    let left_out = |(it, text): (Refused, String)| LeftOut {
        holds_no_data: it.unknown_engine().is_some_and(keeps_rows_elsewhere),
        ..LeftOut::new(text, format!("{} (loading {})", it.message, script.name))
    };
    Ok(kept.map(left_out).collect())
}

/// The beginnings of the statements on these lines, which ascend.
fn statements(script: &Path, lines: Vec<usize>) -> std::io::Result<Vec<String>> {
    let mut reader = BufReader::new(File::open(script)?);
    let mut at = 0;
    let mut found = Vec::with_capacity(lines.len());
    for wanted in lines {
        while at + 1 < wanted && reader.skip_until(b'\n')? > 0 {
            at += 1;
        }
        let mut text = Vec::new();
        while text.len() < SHOWN_CHARS * 2 && !text.ends_with(b";\n") {
            let mut line = Vec::new();
            if reader.by_ref().take(4096).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if !line.ends_with(b"\n") {
                reader.skip_until(b'\n')?;
            }
            at += 1;
            text.extend(line);
        }
        found.push(shown(&String::from_utf8_lossy(&text)));
    }
    Ok(found)
}

/// A statement on one line, without version comments and without passwords.
fn shown(statement: &str) -> String {
    let words = statement.split_whitespace().map(|it| it.trim_end_matches("*/"));
    let plain =
        words.filter(|it| !it.starts_with("/*!") && !it.starts_with("/*M!") && !it.is_empty());
    let text = plain.collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches([';', '*', '/', ' ']);
    let secret = [" IDENTIFIED ", " OPTIONS ("].iter().filter_map(|word| text.find(word)).min();
    let open = secret.and_then(|end| text.get(..end)).unwrap_or(text);
    let short: String = open.chars().take(SHOWN_CHARS).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_options_for_encryption_are_taken_from_a_table() {
        let plain = |line: &str| plain_options(line.as_bytes());
        assert_eq!(
            plain(") ENGINE=InnoDB `ENCRYPTED`=YES `ENCRYPTION_KEY_ID`=1 COMMENT='a  b';\n")
                .as_deref(),
            Some(") ENGINE=InnoDB COMMENT='a  b';\n")
        );
        assert_eq!(
            plain(") ENGINE=InnoDB `ENCRYPTED`=YES;\n").as_deref(),
            Some(") ENGINE=InnoDB;\n")
        );
        assert_eq!(
            plain(") ENGINE=InnoDB `ENCRYPTED`=YES\n").as_deref(),
            Some(") ENGINE=InnoDB\n")
        );
        for line in [") ENGINE=InnoDB;\n", "INSERT INTO `t` VALUES (' `ENCRYPTED`=YES');\n"] {
            assert_eq!(plain(line), None);
        }
    }

    #[test]
    fn a_message_of_the_client_names_line_and_error() {
        let found = refusal("ERROR 1146 (42S02) at line 25: Table 'a.t' doesn't exist").unwrap();
        assert_eq!((found.line, found.code), (25, 1146));
        assert!(!found.is_fatal() && found.message.ends_with("Table 'a.t' doesn't exist"));
        for line in [
            "ERROR 2006 (HY000) at line 3: Server has gone away",
            "ERROR 1030 (HY000) at line 3: Got error 28 \"No space left on device\" from storage engine Aria",
            "ERROR 2002 (HY000): Can't connect to local server",
        ] {
            assert!(refusal(line).unwrap().is_fatal(), "{line}");
        }
        let found =
            refusal("ERROR 1286 (42000) at line 2: Unknown storage engine 'SPIDER'").unwrap();
        assert_eq!(found.unknown_engine(), Some("SPIDER"));
        assert_eq!(refusal("Warning: something"), None);
    }

    #[test]
    fn refused_statements_are_shown_without_passwords_and_without_what_follows_from_them() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(
            b"-- head\nCREATE TABLE `wide` (\n  `a` int\n);\nLOCK TABLES `wide` WRITE;\n\
              INSERT INTO `wide` VALUES (1);\n/*!50001 CREATE ALGORITHM=UNDEFINED*/\n\
              /*!50013 DEFINER=`a`@`b` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */;\n\
              CREATE USER a@b IDENTIFIED BY PASSWORD '*secret';\n",
        )
        .unwrap();
        let script = Script { name: "shop".to_owned(), path: file.path().to_owned() };
        let at = |line, code| Refused { line, code, message: format!("ERROR {code}: no") };
        let refused = vec![at(2, 1118), at(5, 1146), at(6, 1146), at(7, 1146), at(10, 1524)];
        let named = named(&script, refused).unwrap();
        let whats: Vec<&str> = named.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "CREATE TABLE `wide` ( `a` int )",
                "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`b` SQL SECURITY DEFINER VIEW `v` AS select 1",
                "CREATE USER a@b…",
            ]
        );
        assert_eq!(named[0].why, "ERROR 1118: no (loading shop)");
        assert!(named.iter().all(|it| !it.holds_no_data));
    }
}
