//! Conventions that no lint checks.

#[path = "conventions/commands.rs"]
mod commands;
#[path = "conventions/documents.rs"]
mod documents;
#[path = "conventions/places.rs"]
mod places;
#[path = "conventions/rules.rs"]
mod rules;

use std::path::{Path, PathBuf};

/// The most lines of a file.
const LONGEST_FILE: usize = 500;

/// Names that do not say what is inside.
const BANNED_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "manager", "misc", "stuff"];

/// Unfinished work belongs into an issue, not into a comment.
const LEFT_FOR_LATER: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below `src` and `tests`, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("src"), root().join("tests")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the source can be listed") {
            let path = entry.expect("the source can be listed").path();
            if path.is_dir() {
                // A fuzz target or a bench may be a package of its own, with its own build.
                folders.extend((!path.ends_with("target")).then_some(path));
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file is text");
                let path = path.strip_prefix(root()).expect("it was found there").to_owned();
                sources.push((path, text));
            }
        }
    }
    assert!(sources.len() > 20, "the source was not found");
    sources
}

fn failures(rule: impl Fn(&Path, &str) -> Option<String>) -> String {
    let all = sources();
    let broken = all.iter().filter_map(|(path, text)| {
        rule(path, text).map(|what| format!("{}: {what}\n", path.display()))
    });
    broken.collect()
}

#[test]
fn no_file_is_too_long() {
    let broken = failures(|_path, text| {
        let lines = text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{lines} lines; split it by what it is about"))
    });
    assert_eq!(broken, "");
}

#[test]
fn every_file_begins_with_its_documentation() {
    let broken = failures(|_path, text| {
        (!text.starts_with("//! ")).then(|| "does not begin with //!".to_owned())
    });
    assert_eq!(broken, "");
}

#[test]
fn no_file_or_module_has_a_banned_name() {
    let banned = |name: &str| name.split(['_', '.']).any(|word| BANNED_NAMES.contains(&word));
    let broken = failures(|path, text| {
        let in_path = path.iter().filter_map(|part| part.to_str()).find(|part| banned(part));
        let modules = text.lines().filter_map(|line| {
            let (before, rest) = line.split_once("mod ")?;
            let starts = before.trim().is_empty() || before.trim_start().starts_with("pub");
            starts.then(|| rest.trim_end_matches([';', '{', ' ', '}']))
        });
        let name = in_path.or(modules.into_iter().find(|name| banned(name)))?;
        Some(format!("{name} is a name for anything; call it by what it holds"))
    });
    assert_eq!(broken, "");
}

#[test]
fn no_comment_marks_unfinished_work() {
    let broken = failures(|_path, text| {
        let word = LEFT_FOR_LATER.iter().find(|word| text.contains(**word))?;
        Some(format!("{word}: do it, or write it down where work is planned"))
    });
    assert_eq!(broken, "");
}

#[test]
fn the_commands_in_the_documents_exist() {
    let mut broken = Vec::new();
    for (document, text) in documents::all() {
        for words in commands::shown(&text) {
            let fault = commands::fault(&words, commands::help);
            broken
                .extend(fault.map(|why| format!("{document}: coffer {}: {why}", words.join(" "))));
        }
    }
    assert_eq!(broken, [""; 0]);
}

/// The paths in a document: words in backticks with a `/` and an ending, from the repository's root or below
/// `src`. Those with a placeholder are none.
fn documented_paths(text: &str) -> Vec<&str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |span: &&str| {
        let name = span.rsplit('/').next().unwrap_or_default();
        let ending = [".rs", ".sql", ".toml", ".sh", ".md"].iter().any(|it| name.ends_with(it));
        ending
            && span.contains('/')
            && !span.starts_with(['/', '<'])
            && !span.contains(['…', '*', '<', '{', ' '])
    };
    spans.filter(is_path).collect()
}

#[test]
fn the_paths_in_the_documentation_of_the_crate_exist() {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs is text");
    let docs: Vec<&str> = text.lines().filter(|line| line.starts_with("//!")).collect();
    let docs = docs.join("\n");
    let paths = documented_paths(&docs);
    assert!(!paths.is_empty(), "src/lib.rs names no path");
    let exists = |path: &str| root().join(path).exists() || root().join("src").join(path).exists();
    let missing: Vec<&str> = paths.into_iter().filter(|path| !exists(path)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn documented_paths_are_found_and_placeholders_are_not() {
    let text = "See `src/lib.rs`, `engine/mod.rs` and `mod.rs`.\nNot `src/engine/<name>/mod.rs` nor `/etc/a.toml`.";
    assert_eq!(documented_paths(text), ["src/lib.rs", "engine/mod.rs"]);
}
