//! Keys in the wrong section, and where they belong.

use std::collections::{BTreeMap, BTreeSet};

use config::{FileFormat, Value, ValueKind};

use super::{Config, InstanceConfig};

/// An entry of each list and each table that a file may leave out, so that their keys are known.
const SAMPLE: &str = r#"
[[instances]]
name = "a"
project_id = "p"
engine = "sqlite"
source = {}
keep = {}
health = {}
staging = { to = "", schedule = "" }
[[places]]
name = "a"
type = "disk"
keep = {}
[[alerts]]
name = "a"
email = { smtp = "", from = "", to = "" }
[[auth.tokens]]
name = "a"
project_id = "p"
roles = []
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"#;

const INSTANCES: &str = "instances";
const SOURCE: &str = "instances.source";

/// The keys of a server's source, besides those of one engine.
const SERVER: [&str; 12] = [
    "path",
    "url",
    "socket",
    "user",
    "database",
    "password_file",
    "tls",
    "ca_file",
    "cert_file",
    "key_file",
    "tools",
    "extra_args",
];

/// The keys that each engine's `source` has, so that an instance that has them itself gets a hint. The engines check
/// them; a test compares.
const SOURCES: [(&str, bool, &[&str]); 6] = [
    ("sqlite", false, &["path", "url", "lock_wait_s", "answer_wait_s"]),
    ("directory", false, &["path", "url", "exclude", "one_file_system", "answer_wait_s"]),
    ("postgresql", true, &["databases", "method"]),
    ("mariadb", true, &["method"]),
    ("mysql", true, &["method"]),
    ("redis", true, &[]),
];

fn source_has(engine: &str, key: &str) -> bool {
    SOURCES.iter().any(|(name, server, keys)| {
        *name == engine && (keys.contains(&key) || (*server && SERVER.contains(&key)))
    })
}

/// The keys of an instance that stand in its `source`.
pub(super) fn inside_source(instance: &InstanceConfig) -> Vec<&str> {
    let InstanceConfig { engine, source, .. } = instance;
    if !SOURCES.iter().any(|(name, ..)| name == engine) {
        return Vec::new();
    }
    let own = serde_json::to_value(instance).expect("its keys are text");
    let keys = source.0.keys().map(String::as_str);
    keys.filter(|key| own.get(key).is_some() && !source_has(engine, key)).collect()
}

/// The keys of each section and of the entries of each list, by its path: `storage`, `defaults.keep`, `instances`; the
/// top is empty.
#[derive(Debug)]
pub(super) struct Sections {
    keys: BTreeMap<String, BTreeSet<String>>,
    lists: BTreeSet<String>,
}

impl Sections {
    pub(super) fn new(defaults: &str) -> Self {
        let text = |text| config::File::from_str(text, FileFormat::Toml);
        let sample = config::Config::builder().add_source(text(defaults)).add_source(text(SAMPLE));
        let sample = sample.build().and_then(config::Config::try_deserialize::<Config>);
        let sample = sample.expect("both texts are compiled in, and a test reads them");
        let sample = serde_json::to_value(sample).expect("its keys are text");
        let mut sections = Self { keys: BTreeMap::new(), lists: BTreeSet::new() };
        sections.collect("", &sample);
        sections
    }

    fn collect(&mut self, path: &str, value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(table) if path != SOURCE => {
                self.keys.insert(path.to_owned(), table.keys().cloned().collect());
                for (key, value) in table {
                    self.collect(&below(path, key), value);
                }
            }
            serde_json::Value::Array(entries) => {
                if let Some(entry) = entries.first().filter(|it| it.is_object()) {
                    self.lists.insert(path.to_owned());
                    self.collect(path, entry);
                }
            }
            _ => {}
        }
    }

    /// A sentence for each key of `root` that stands where it is unknown, and is known elsewhere.
    pub(super) fn misplaced(&self, root: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.visit("", "", root, &mut found);
        found
    }

    fn visit(&self, path: &str, shown: &str, value: &Value, found: &mut Vec<String>) {
        match &value.kind {
            ValueKind::Table(table) => {
                let Some(known) = self.keys.get(path) else { return };
                let engine = table.get("engine").and_then(|it| it.clone().into_string().ok());
                let mut keys: Vec<_> = table.iter().collect();
                keys.sort_by_key(|(key, _)| key.as_str());
                for (key, value) in keys {
                    if known.contains(key) {
                        self.visit(&below(path, key), &below(shown, key), value, found);
                    } else if let Some(there) = self.place_of(key, path, engine.as_deref()) {
                        let key = below(shown, key);
                        found.push(format!("{key} stands in the wrong place: it belongs {there}"));
                    }
                }
            }
            ValueKind::Array(entries) if self.lists.contains(path) => {
                for (index, entry) in entries.iter().enumerate() {
                    self.visit(path, &format!("{shown}[{index}]"), entry, found);
                }
            }
            _ => {}
        }
    }

    fn place_of(&self, key: &str, here: &str, engine: Option<&str>) -> Option<String> {
        if here == INSTANCES && engine.is_some_and(|engine| source_has(engine, key)) {
            return Some(format!("into the source of this instance: source = {{ {key} = …, … }}"));
        }
        let all = self.keys.iter().filter(|(_, keys)| keys.contains(key)).map(|(path, _)| path);
        let (near, far): (Vec<_>, Vec<_>) = all.partition(|path| is_near(path, here));
        let mut places: Vec<_> =
            if near.is_empty() { &far } else { &near }.iter().map(|it| self.place(it)).collect();
        let of_source = SOURCES.iter().any(|(engine, ..)| source_has(engine, key));
        if of_source && near.is_empty() && here != INSTANCES {
            places.push("into the source of an instance".to_owned());
        }
        (!places.is_empty()).then(|| places.join(", or "))
    }

    fn place(&self, path: &str) -> String {
        match path {
            "" => "to the top of the file, before the first section".to_owned(),
            list if self.lists.contains(list) => format!("into [[{list}]]"),
            section => format!("into [{section}]"),
        }
    }
}

/// Whether one of the two is a part of the other.
fn is_near(path: &str, here: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        !outer.is_empty() && inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
    };
    within(path, here) || within(here, path)
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
