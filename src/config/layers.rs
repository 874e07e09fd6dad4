//! Merges the layers of the configuration, with errors that name the layer.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use config::{Environment, FileFormat, Value, ValueKind};

use super::misplaced::Sections;
use super::{Config, ConfigError, Problem};

const DEFAULTS: &str = include_str!("../../config/default.toml");
const PREFIX: &str = "COFFER__";
const ENVIRONMENT: &str = "the environment";

/// No configuration is near this long, but a wrong path may name an endless file.
const MAX_FILE_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

pub(super) fn read(path: &Path) -> Result<Layer, ConfigError> {
    read_text(path)
        .map(|text| Layer { path: path.to_owned(), text })
        .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })
}

/// Reads the file at `path`; `None` if it does not exist. Any other failure is an error.
pub(super) fn read_if_exists(path: &Path) -> Result<Option<Layer>, ConfigError> {
    match read(path) {
        Ok(layer) => Ok(Some(layer)),
        Err(ConfigError::Unreadable { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(MAX_FILE_BYTES + 1);
    let length = file.read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        Ok(text)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 4 MiB"))
    }
}

/// The variables with Coffer's prefix.
pub(super) fn variables(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut ours = Vec::new();
    for (name, value) in all {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(PREFIX) {
            continue;
        }
        match value.into_string() {
            Ok(value) => ours.push((name, value)),
            Err(_bytes) => {
                return Err(ConfigError::Variable { name, reason: "is not UTF-8".to_owned() });
            }
        }
    }
    Ok(ours)
}

/// The defaults, `file` over them, and `variables` over both.
///
/// Builds twice, so that an error names its layer: if the defaults and the file alone are fine, the
/// environment is wrong.
pub(super) fn merge(
    file: Option<&Layer>,
    variables: Vec<(String, String)>,
) -> Result<Config, ConfigError> {
    let mut builder = config::Config::builder().add_source(toml(DEFAULTS));
    let mut origin = "config/default.toml".to_owned();
    if let Some(layer) = file {
        builder = builder.add_source(toml(&layer.text));
        origin = layer.path.display().to_string();
    }
    let config = built(builder.clone(), &origin)?;
    if let Some(why) =
        file.filter(|it| writes_keep(&it.text)).and(config.defaults.keep.says_nothing())
    {
        let key = "defaults.keep".to_owned();
        return Err(ConfigError::Values(vec![Problem { key, why }]));
    }
    if variables.is_empty() {
        return Ok(config);
    }
    check_names(&variables)?;
    let environment = Environment::with_prefix("COFFER").separator("__");
    built(
        builder.add_source(environment.source(Some(variables.into_iter().collect()))),
        ENVIRONMENT,
    )
}

/// Whether a file has `defaults.keep`. One with all of its keys was copied from the defaults, where 0 is explained.
fn writes_keep(text: &str) -> bool {
    let written = config::Config::builder().add_source(toml(text)).build();
    let keep = written.and_then(|it| it.get_table("defaults.keep"));
    keep.is_ok_and(|it| it.len() < 6)
}

fn toml(text: &str) -> config::File<config::FileSourceString, FileFormat> {
    config::File::from_str(text, FileFormat::Toml)
}

fn built(
    builder: config::ConfigBuilder<config::builder::DefaultState>,
    origin: &str,
) -> Result<Config, ConfigError> {
    let wrong = |reason: String| ConfigError::Malformed { origin: origin.to_owned(), reason };
    let text = |error: config::ConfigError| with_dots(error.to_string().trim_end());
    let merged = builder.build().map_err(|error| wrong(text(error)))?;
    merged.clone().try_deserialize().map_err(|error| {
        let misplaced = Sections::new(DEFAULTS).misplaced(&merged.cache);
        wrong(if misplaced.is_empty() { text(error) } else { misplaced.join("; ") })
    })
}

/// The crate writes `instances[0]name` where the file's own language has a dot behind the bracket.
fn with_dots(reason: &str) -> String {
    let mut text = String::new();
    for part in reason.split_inclusive(']') {
        if text.ends_with(']') && part.starts_with(|first: char| first.is_ascii_lowercase()) {
            text.push('.');
        }
        text.push_str(part);
    }
    text
}

/// Checks that each variable names a key with a single value.
fn check_names(variables: &[(String, String)]) -> Result<(), ConfigError> {
    let known = scalar_keys();
    for (name, _value) in variables {
        let key = name.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
        if known.contains(&key) {
            continue;
        }
        let lists =
            ["instances", "auth.tokens", "alerts", "defaults.alerts", "defaults.copies", "places"];
        let list = lists.iter().any(|it| key.starts_with(it));
        let reason = if list {
            format!("cannot be used: {key} is a list, which only the configuration file can set")
        } else {
            format!("is unknown: there is no key {key}; config/default.toml lists every key")
        };
        return Err(ConfigError::Variable { name: name.clone(), reason });
    }
    Ok(())
}

/// Every key with a single value. `config/default.toml` has them all.
fn scalar_keys() -> BTreeSet<String> {
    let defaults = config::Config::builder().add_source(toml(DEFAULTS)).build();
    let defaults = defaults.expect("config/default.toml is compiled in, and a test parses it");
    let mut keys = BTreeSet::new();
    collect_keys("", &defaults.cache, &mut keys);
    keys
}

fn collect_keys(prefix: &str, value: &Value, keys: &mut BTreeSet<String>) {
    if let ValueKind::Table(table) = &value.kind {
        for (name, value) in table {
            let dot = if prefix.is_empty() { "" } else { "." };
            collect_keys(&format!("{prefix}{dot}{name}"), value, keys);
        }
    } else if !matches!(value.kind, ValueKind::Array(_)) {
        keys.insert(prefix.to_owned());
    }
}
