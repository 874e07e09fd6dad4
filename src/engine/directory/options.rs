//! The keys of a directory's `source`.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::domain::{EntryPath, Source};
use crate::engine::EngineError;
use crate::engine::source_path::{invalid, only_keys, path_of};

/// A parsed directory `source`.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The absolute path of the tree's root.
    pub(super) path: PathBuf,
    /// What is left out, including everything below it.
    pub(super) exclude: HashSet<EntryPath>,
}

impl Options {
    /// Fails with the name of the first key that is unknown or invalid.
    pub(super) fn parse(source: &Source) -> Result<Self, EngineError> {
        only_keys("directory", source, &["path", "url", "exclude"])?;
        let exclude = match source.0.get("exclude") {
            None => HashSet::new(),
            Some(Value::Array(paths)) => {
                paths.iter().map(excluded).collect::<Result<HashSet<_>, _>>()?
            }
            Some(_) => return Err(invalid("source.exclude must be a list of relative paths")),
        };
        Ok(Self { path: path_of("directory", source)?, exclude })
    }
}

fn excluded(value: &Value) -> Result<EntryPath, EngineError> {
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
    fn exclude_is_a_list_of_relative_paths() {
        let parse = |exclude: Value| {
            let source = json!({"path": "/srv", "exclude": exclude});
            Options::parse(&serde_json::from_value(source).unwrap()).map(|it| it.exclude)
        };
        let known = parse(json!(["cache", "./a/b/"])).unwrap();
        assert!(known.contains(&EntryPath::new("cache").unwrap()));
        assert!(known.contains(&EntryPath::new("a/b").unwrap()));
        for bad in
            [json!(["/etc"]), json!([".."]), json!(["."]), json!([""]), json!([1]), json!("a")]
        {
            assert!(parse(bad.clone()).unwrap_err().to_string().contains("exclude"), "{bad}");
        }
    }
}
