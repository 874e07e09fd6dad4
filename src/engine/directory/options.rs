//! The keys of a directory's `source`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::domain::{EntryPath, Source};
use crate::engine::mounts::answer_wait;
use crate::engine::source_path::{invalid, only_keys, path_of};
use crate::engine::{Result, printable};

const KEYS: [&str; 5] = ["path", "url", "exclude", "one_file_system", "answer_wait_s"];

#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The absolute path of the tree's root.
    pub(super) path: PathBuf,
    /// What is left out, including everything below it.
    exclude: HashSet<EntryPath>,
    /// Whether mounted filesystems in the tree are left out.
    pub(super) one_file_system: bool,
    /// How long to wait for a filesystem that does not answer.
    pub(super) answer_wait: Duration,
}

impl Options {
    /// Fails with the name of the first key that is unknown or invalid.
    pub(super) fn parse(source: &Source) -> Result<Self> {
        only_keys("directory", source, &KEYS)?;
        let exclude = match source.0.get("exclude") {
            None => HashSet::new(),
            Some(Value::Array(paths)) => {
                paths.iter().map(excluded).collect::<Result<HashSet<_>, _>>()?
            }
            Some(_) => return Err(invalid("source.exclude must be a list of relative paths")),
        };
        let one_file_system = match source.0.get("one_file_system") {
            None => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => return Err(invalid("source.one_file_system must be true or false")),
        };
        let path = path_of("directory", source)?;
        Ok(Self { path, exclude, one_file_system, answer_wait: answer_wait(source)? })
    }

    /// Whether `path` is to be left out. A name that is not UTF-8 cannot be written in the configuration, so it is left
    /// out by the text that [`printable`] makes of it.
    pub(super) fn excludes(&self, path: &EntryPath) -> bool {
        let is_text = || std::str::from_utf8(path.as_bytes()).is_ok();
        let by_text = || EntryPath::new(printable(path)).is_ok_and(|it| self.exclude.contains(&it));
        !self.exclude.is_empty() && (self.exclude.contains(path) || (!is_text() && by_text()))
    }
}

/// The text as a string of the configuration, in which what cannot be seen is escaped.
pub(super) fn toml_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        let is_hidden = letter.is_control() || letter.escape_debug().nth(1) == Some('u');
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if is_hidden => quoted.push_str(&hidden(letter)),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A letter that cannot be seen, as TOML escapes it.
fn hidden(letter: char) -> String {
    format!("\\U{:08X}", u32::from(letter))
}

fn excluded(value: &Value) -> Result<EntryPath> {
    let wrong = || {
        invalid(format!(
            "source.exclude: {value} is not a path below the tree's root, such as \"cache/thumbs\""
        ))
    };
    let text = value.as_str().ok_or_else(wrong)?;
    let text = text.strip_prefix("./").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let path = EntryPath::new(text).map_err(|_reason| wrong())?;
    if path.is_root() { Err(wrong()) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_name_is_one_string_of_the_configuration() {
        for (text, quoted) in [
            ("a b", r#""a b""#),
            ("a\"\\", r#""a\"\\""#),
            ("it's \u{fc}\u{202f}", "\"it's \u{fc}\\U0000202F\""),
            ("\n\u{7f}", r#""\U0000000A\U0000007F""#),
        ] {
            assert_eq!(toml_text(text), quoted);
        }
    }

    #[test]
    fn exclude_is_a_list_of_relative_paths() {
        let parse = |exclude: Value| {
            let source = json!({"path": "/srv", "exclude": exclude});
            Options::parse(&serde_json::from_value(source).unwrap())
        };
        let options = parse(json!(["cache", "./a/b/", "c/\\xff"])).unwrap();
        let excludes = |path: &[u8]| options.excludes(&EntryPath::new(path).unwrap());
        assert!(excludes(b"cache") && excludes(b"a/b") && excludes(b"c/\xff"));
        assert!(excludes(b"c/\\xff") && !excludes(b"a") && !excludes(b"c/\xfe"));
        for bad in
            [json!(["/etc"]), json!([".."]), json!(["."]), json!([""]), json!([1]), json!("a")]
        {
            assert!(parse(bad.clone()).unwrap_err().to_string().contains("exclude"), "{bad}");
        }
    }
}
