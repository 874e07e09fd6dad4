//! The rules: which room may name which, and which words belong to some rooms only.

use std::collections::BTreeSet;

use super::lexer::Token;
use super::scanner::{Named, Role, Source, declared, named};

/// The rooms in the order of `src/lib.rs`, each with the rooms that it may name.
#[derive(Debug)]
pub(crate) struct Stairs(Vec<(String, Vec<String>)>);

impl Stairs {
    /// Reads the list from the documentation: lines of a `text` block that hold a `→`.
    pub(crate) fn read(lib: &str) -> Self {
        let docs = lib.lines().filter_map(|line| line.strip_prefix("//! "));
        let block =
            docs.skip_while(|line| *line != "```text").skip(1).take_while(|line| *line != "```");
        let rooms = block.filter_map(|line| {
            let (room, below) = line.split_once('→')?;
            let below = below.split_whitespace().map(ToOwned::to_owned);
            Some((room.split_whitespace().next()?.to_owned(), below.collect()))
        });
        Self(rooms.collect())
    }

    fn below(&self, room: &str) -> Option<&[String]> {
        self.0.iter().find(|(known, _)| known == room).map(|(_, below)| below.as_slice())
    }

    /// What is wrong with the list: a room that does not exist, a step upwards, a step that nobody takes.
    pub(crate) fn faults(&self, sources: &[Source]) -> Vec<String> {
        let mut faults = Vec::new();
        for (at, (room, below)) in self.0.iter().enumerate() {
            let files = || sources.iter().filter(|it| it.room() == room);
            if files().next().is_none() {
                faults.push(format!("there is no room {room}"));
            }
            let used: BTreeSet<String> =
                files().flat_map(from_root).filter_map(|it| it.parts.into_iter().next()).collect();
            for name in below {
                if !self.0.iter().skip(at + 1).any(|(known, _)| known == name) {
                    faults.push(format!("{name} is not below {room}"));
                } else if !used.contains(name) {
                    faults.push(format!("{room} does not use {name}"));
                }
            }
        }
        faults
    }

    /// What this source does that its room may not.
    pub(crate) fn broken_by(&self, source: &Source) -> Vec<String> {
        let mut broken = self.broken_steps(source);
        if !source.test_only {
            broken.extend(misplaced_words(source));
        }
        broken.into_iter().map(|what| format!("src/{}: {what}", source.file)).collect()
    }

    fn broken_steps(&self, source: &Source) -> Vec<String> {
        let room = source.room();
        let unknown = |room: &str| format!("the room {room} is not in the list of src/lib.rs");
        if room == "lib" {
            let rooms = declared(source).into_iter().filter_map(|it| it.module.first().cloned());
            return rooms.filter(|it| self.below(it).is_none()).map(|it| unknown(&it)).collect();
        }
        let Some(below) = self.below(room) else { return vec![unknown(room)] };
        let mut broken = Vec::new();
        for it in from_root(source) {
            let path = it.parts.join("::");
            let first = it.parts.first().map_or("*", String::as_str);
            if first == room {
                continue;
            }
            if !below.iter().any(|it| it == first) {
                broken.push(format!("{room} may not name {path}"));
            } else if it.role == Role::Reexport && first != "domain" {
                // Else a room above could name it without the list noticing.
                broken.push(format!("{room} may use {path} but not re-export it"));
            }
        }
        broken
    }
}

/// The paths that name a room.
fn from_root(source: &Source) -> impl Iterator<Item = Named> {
    named(&source.module, &source.tokens).into_iter().filter(|it| !it.relative)
}

/// Crates that belong to some files only: each with the beginnings of the paths where they may be used.
const CRATES: &[(&[&str], &[&str])] = &[
    (
        &["rusqlite", "r2d2", "r2d2_sqlite", "scheduled_thread_pool", "libsqlite3_sys"],
        // The engine reads users' databases, the demo plays a user's program.
        &["store/", "engine/sqlite", "cli/demo"],
    ),
    (&["actix_web", "actix_http"], &["access/", "api/", "console/", "server"]),
    (
        &["ureq"],
        &[
            "certificates",
            "client/",
            "keystone/",
            "notify/",
            "storage/requests/",
            "storage/s3/",
            "storage/swift/",
        ],
    ),
    (&["lettre"], &["notify/"]),
    (&["rusty_s3"], &["storage/s3/"]),
    (&["zstd_safe"], &["archive/"]),
];

/// Trove's wire words, as string literals.
const WIRE_WORDS: &[&str] = &["locationRef", "swift_container"];
const WIRE_PLACES: &[&str] = &["wire/"];

/// Rooms that never rename or remove a file.
const NEVER_RENAME: &[&str] = &[
    "access",
    "api",
    "console",
    "wire",
    "client",
    "catalog",
    "archive",
    "executor",
    "server",
    "domain",
    "bell",
    "telemetry",
];
const RENAMES: &[&str] = &[
    "rename",
    "renameat",
    "renameat_with",
    "link",
    "linkat",
    "hard_link",
    "unlink",
    "unlinkat",
    "remove_file",
    "remove_dir",
    "remove_dir_all",
];

fn misplaced_words(source: &Source) -> Vec<String> {
    let may = |places: &[&str]| places.iter().any(|place| source.file.starts_with(place));
    let mut broken = Vec::new();
    let tokens = source.tokens_outside_tests();
    let mut rest = tokens.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        match (first, behind) {
            (Token::Word(word), [Token::Path, Token::Word(code), ..])
                if word == "StatusCode"
                    && !may(&["api/error.rs", "console/error.rs"])
                    && code.starts_with(|it: char| it.is_ascii_uppercase()) =>
            {
                broken.push(format!("only api/error.rs and console/error.rs say {word}::{code}"));
            }
            (Token::Word(word), [next, ..]) => {
                let crates = CRATES.iter().find(|(names, _)| names.contains(&word.as_str()));
                if *next == Token::Path && crates.is_some_and(|(_, places)| !may(places)) {
                    broken.push(format!("the crate {word} does not belong here"));
                }
                let renames = RENAMES.contains(&word.as_str()) && *next == Token::Mark('(');
                if renames && NEVER_RENAME.contains(&source.room()) {
                    broken.push(format!("{} must not call {word}()", source.room()));
                }
            }
            (Token::Text(text), _) if !may(WIRE_PLACES) => {
                let words = WIRE_WORDS.iter().filter(|word| text.contains(**word));
                broken.extend(words.map(|word| format!("{word} is a word of the wire")));
            }
            _ => {}
        }
        rest = behind;
    }
    broken
}
