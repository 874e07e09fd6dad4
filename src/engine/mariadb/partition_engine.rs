//! The storage engine of a table in partitions.
//!
//! A server that does not have it calls the table's definition incorrect, and not the engine unknown.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::client::{Client, quoted_text};
use super::tables::{Examined, keeps_rows_elsewhere};
use crate::engine::tool::ToolError;

const INCORRECT: &str = "Incorrect information in file: '";

/// How much of a definition's file is read. What it says of the engine is at its beginning.
const HEAD_BYTES: u64 = 64 << 10;

/// A definition begins with this; how long its additions are stands at an offset, and they begin at another.
const MAGIC: [u8; 2] = [0xfe, 0x01];
const LENGTH_AT: usize = 4;
const ADDITIONS_AT: usize = 64;

/// The kind of the addition that names the engine of the partitions.
const ENGINE: u8 = 1;

/// What a table is whose definition was called incorrect, if its partitions are of an engine that this server does not
/// have. `None`: that is not the reason.
pub(super) fn of_missing_engine(
    client: &Client,
    restored: &Path,
    problem: &str,
) -> Result<Option<Examined>, ToolError> {
    let file = problem.split_once(INCORRECT).and_then(|(_, rest)| rest.split_once('\''));
    let Some(engine) = file.and_then(|(file, _)| read(&restored.join(file))) else {
        return Ok(None);
    };
    if keeps_rows_elsewhere(&engine) {
        return Ok(Some(Examined::Elsewhere));
    }
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT') AND ENGINE = {}",
        quoted_text(&engine)
    );
    let is_there = client.execute(&sql)?.into_iter().flatten().any(|count| count != "0");
    let unknown = || Examined::Unchecked(format!("Unknown storage engine '{engine}'"));
    Ok((!is_there).then(unknown))
}

fn read(definition: &Path) -> Option<String> {
    let mut head = Vec::new();
    File::open(definition).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    parse(&head)
}

/// Each addition is its kind, its length and its bytes. The length is a byte, or a zero and two bytes.
fn parse(head: &[u8]) -> Option<String> {
    if !head.starts_with(&MAGIC) {
        return None;
    }
    let number = |bytes: &[u8]| Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)));
    let length = number(head.get(LENGTH_AT..LENGTH_AT + 2)?)?;
    let mut rest = head.get(ADDITIONS_AT..)?.get(..length)?;
    while let [kind, short, after @ ..] = rest {
        let (length, after) = match (*short, after) {
            (0, [low, high, after @ ..]) => (number(&[*low, *high])?, after),
            (short, after) => (usize::from(short), after),
        };
        let (value, others) = after.split_at_checked(length)?;
        if *kind == ENGINE {
            return String::from_utf8(value.to_vec()).ok();
        }
        rest = others;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(additions: &[u8]) -> Vec<u8> {
        let mut head = vec![0; ADDITIONS_AT];
        head[..2].copy_from_slice(&MAGIC);
        head[LENGTH_AT] = u8::try_from(additions.len()).unwrap();
        [head.as_slice(), additions, b"more"].concat()
    }

    #[test]
    fn the_engine_of_partitions_is_read_from_a_definition() {
        let long = [&[7, 0, 3, 0][..], b"abc\x00\x02xy\x01\x06SPIDER"].concat();
        assert_eq!(parse(&definition(&long)).as_deref(), Some("SPIDER"));
        assert_eq!(parse(&definition(b"\x00\x02xy")), None);
        // Cut off, and no definition at all.
        assert_eq!(parse(&definition(b"\x01\x09SPIDER")), None);
        assert_eq!(parse(b"SPIDER"), None);
    }
}
