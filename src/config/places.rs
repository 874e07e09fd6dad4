//! Places for copies: `[[places]]`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::policy::{Keep, Span, Window};

use super::keep::{self, KeepConfig, optional};
use super::{Config, word};

/// The longest name.
const LONGEST_NAME: usize = 64;

/// A place that holds copies of archives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct PlaceConfig {
    pub name: String,
    #[serde(rename = "type", deserialize_with = "word::one")]
    pub kind: PlaceKind,
    #[serde(default)]
    pub path: Option<PathBuf>,
    #[serde(default)]
    pub same_disk: bool,
    #[serde(default)]
    pub endpoint: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub bucket: Option<String>,
    #[serde(default)]
    pub prefix: Option<String>,
    #[serde(default)]
    pub path_style: Option<bool>,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    #[serde(default)]
    pub auth_url: Option<String>,
    #[serde(default)]
    pub container: Option<String>,
    #[serde(default)]
    pub max_kib_s: u64,
    #[serde(default)]
    pub window: Option<String>,
    #[serde(default)]
    pub keep: Option<KeepConfig>,
    #[serde(default)]
    pub keep_deleted: bool,
    #[serde(default)]
    pub encrypt_to: Option<Vec<String>>,
    #[serde(default)]
    pub lock: Option<String>,
    #[serde(default, deserialize_with = "word::one")]
    pub role: PlaceRole,
    #[serde(default)]
    pub refresh: Option<String>,
    #[serde(default)]
    pub silent_after: Option<String>,
    #[serde(default)]
    pub retired: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceKind {
    /// Another disk, or a mounted file server.
    Disk,
    /// A bucket of an S3-compatible store.
    S3,
    /// A container of OpenStack Swift.
    Swift,
}

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaceRole {
    /// Copies of this server's archives go there.
    #[default]
    Copies,
    /// The copies of other devices are read there.
    Reader,
}

impl PlaceKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::S3 => "s3",
            Self::Swift => "swift",
        }
    }
}

/// What is wrong with a key: its name, and the rest of the sentence.
pub(super) type Wrong = (&'static str, String);

impl PlaceConfig {
    /// The hours in which is copied there; `None`: all.
    pub fn window(&self) -> Result<Option<Window>, String> {
        optional(self.window.as_deref().unwrap_or_default())
    }

    /// How long after a backup was made its copy, and what that needs, can be removed by nobody.
    pub fn lock(&self) -> Result<Option<Span>, String> {
        optional(self.lock.as_deref().unwrap_or_default())
    }

    /// How long it keeps copies; `None`: as long as the data directory keeps the archives.
    pub fn keep(&self) -> Result<Option<Keep>, keep::Wrong> {
        self.keep.as_ref().map(KeepConfig::policy).transpose()
    }

    fn wrong(&self, data_dir: &Path) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=LONGEST_NAME).contains(&self.name.len()) || !self.name.bytes().all(word) {
            let why = format!("must have 1 to {LONGEST_NAME} letters, digits, -, _ or .");
            wrong.push(("name", why));
        }
        wrong.extend(self.wrong_keys());
        wrong.extend(self.wrong_for_role());
        self.wrong_paths(data_dir, &mut wrong);
        wrong.extend(self.window().err().map(|why| ("window", why)));
        wrong.extend(self.lock().err().map(|why| ("lock", why)));
        let silent = self.keep.as_ref().and_then(KeepConfig::says_nothing);
        wrong.extend(silent.map(|why| ("keep", why)));
        wrong.extend(self.keep().err().map(|(key, why)| ("keep", format!("({key}) {why}"))));
        if self.keep.is_some() && self.keep_deleted {
            let why =
                "cannot stand beside keep, which says how long copies stay; leave one of them out";
            wrong.push(("keep_deleted", why.to_owned()));
        }
        for (key, url) in [("endpoint", &self.endpoint), ("auth_url", &self.auth_url)] {
            if let Some(url) = url
                && !url.starts_with("https://")
                && !url.starts_with("http://")
            {
                wrong.push((key, format!("is {url:?}; use https:// or http:// and a host")));
            }
        }
        wrong
    }

    /// Keys of other types, and keys that this type needs.
    fn wrong_keys(&self) -> Vec<Wrong> {
        use PlaceKind::{Disk, S3, Swift};
        let keys: [(&str, bool, &[PlaceKind]); 12] = [
            ("path", self.path.is_some(), &[Disk]),
            ("same_disk", self.same_disk, &[Disk]),
            ("endpoint", self.endpoint.is_some(), &[S3]),
            ("region", self.region.is_some(), &[S3, Swift]),
            ("bucket", self.bucket.is_some(), &[S3]),
            ("prefix", self.prefix.is_some(), &[S3, Swift]),
            ("path_style", self.path_style.is_some(), &[S3]),
            ("ca_file", self.ca_file.is_some(), &[S3, Swift]),
            ("credentials_file", self.credentials_file.is_some(), &[S3, Swift]),
            ("auth_url", self.auth_url.is_some(), &[Swift]),
            ("container", self.container.is_some(), &[Swift]),
            ("lock", self.lock.is_some(), &[S3]),
        ];
        let needed: &[&str] = match self.kind {
            Disk => &["path"],
            S3 => &["endpoint", "bucket"],
            Swift => &["auth_url", "container"],
        };
        let is = self.kind.name();
        let mut wrong = Vec::new();
        for (key, given, kinds) in keys {
            let why = if given && self.kind == Swift && key == "lock" {
                "cannot be kept: Swift locks nothing; leave it out, or use a bucket with object lock"
                    .to_owned()
            } else if given && !kinds.contains(&self.kind) {
                let others: Vec<_> = kinds.iter().map(|it| format!("\"{}\"", it.name())).collect();
                let others = others.join(" or ");
                format!("is a key of type = {others}, and this is of \"{is}\"")
            } else if !given && needed.contains(&key) {
                format!("is missing; type = \"{is}\" needs it")
            } else {
                continue;
            };
            wrong.push((key, why));
        }
        wrong
    }

    fn wrong_paths(&self, data_dir: &Path, wrong: &mut Vec<Wrong>) {
        let paths = [
            ("path", &self.path),
            ("ca_file", &self.ca_file),
            ("credentials_file", &self.credentials_file),
        ];
        for (key, path) in paths {
            if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
                wrong.push((key, format!("is {}; use an absolute path", path.display())));
            }
        }
        if let Some(path) = &self.path
            && (path.starts_with(data_dir) || data_dir.starts_with(path))
        {
            let why = "is in data_dir, or holds it; use a folder on another disk";
            wrong.push(("path", why.to_owned()));
        }
    }
}

/// What is wrong with the places, and with what names them: the key, and the rest of the sentence.
pub(super) fn problems(config: &Config) -> Vec<(String, String)> {
    let (mut found, mut names) = (Vec::new(), BTreeSet::new());
    for (index, place) in config.places.iter().enumerate() {
        let key = |field: &str| format!("places[{index}] ({}): {field}", place.name);
        for (field, why) in place.wrong(&config.data_dir) {
            found.push((key(field), why));
        }
        if !names.insert(place.name.as_str()) {
            found.push((key("name"), "is used by another place; names must be unique".to_owned()));
        }
    }
    let mut lists = vec![("defaults.copies".to_owned(), &config.defaults.copies)];
    for (index, instance) in config.instances.iter().enumerate() {
        let key = format!("instances[{index}] ({}): copies", instance.name);
        lists.extend(instance.copies.as_ref().map(|copies| (key, copies)));
    }
    for (key, copies) in lists {
        let is_fleet = |name: &&String| config.fleets().any(|it| it.name == **name);
        for name in copies.iter().filter(is_fleet) {
            let why =
                format!("names {name:?}, which has role = \"reader\": nothing is copied there");
            found.push((key.clone(), why));
        }
        for name in copies.iter().filter(|name| !names.contains(name.as_str())) {
            let why = format!("names {name:?}, and no [[places]] has this name");
            found.push((key.clone(), why));
        }
    }
    found
}
