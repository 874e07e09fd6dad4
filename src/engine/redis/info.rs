//! The answer to `INFO`: what a server reports about itself.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::LeftOut;

/// The lines of the answer, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Info(BTreeMap<String, String>);

impl Info {
    /// `None` if this is not an answer to `INFO` but an error message.
    pub(super) fn parse(answer: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(answer);
        let lines = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        let found: BTreeMap<_, _> =
            lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        (text.starts_with('#') && found.contains_key("redis_version")).then_some(Self(found))
    }

    /// The value of a line; empty if it is missing.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key).parse().ok()
    }

    /// Whether it is Valkey, which also reports a Redis version for old clients.
    pub(super) fn is_valkey(&self) -> bool {
        self.get("server_name") == "valkey" || self.0.contains_key("valkey_version")
    }

    /// Its version, with its name if that is not Redis.
    pub(super) fn version(&self) -> String {
        match self.get("valkey_version") {
            "" => self.get("redis_version").to_owned(),
            version => format!("valkey {version}"),
        }
    }

    /// The approximate size of its data: what it takes in memory. How much smaller the snapshot will be is not known
    /// in advance.
    pub(super) fn data_bytes(&self) -> u64 {
        self.number("used_memory_dataset").or_else(|| self.number("used_memory")).unwrap_or(0)
    }

    /// The number of keys in each database.
    pub(super) fn databases(&self) -> BTreeMap<u32, u64> {
        let counts = self.0.iter().filter_map(|(key, value)| {
            let number = key.strip_prefix("db")?.parse().ok()?;
            let keys = value.split(',').find_map(|part| part.strip_prefix("keys="))?;
            Some((number, keys.parse().ok()?))
        });
        counts.collect()
    }

    /// The files with its settings and users, which no snapshot holds.
    pub(super) fn settings_left_out(&self) -> Option<LeftOut> {
        let file = self.get("config_file");
        let why = "a snapshot holds keys and functions: keep a copy of that file, and of those that it names";
        let what = format!("the server's settings and users ({file})");
        (!file.is_empty()).then(|| LeftOut::new(what, why))
    }

    /// Whether it is one node of a cluster, which holds a part of the cluster's keys.
    pub(super) fn is_cluster_node(&self) -> bool {
        self.get("cluster_enabled") == "1"
    }

    /// What the manifest keeps.
    pub(super) fn facts(&self) -> BTreeMap<String, Value> {
        let texts = ["redis_version", "valkey_version", "run_id", "role"].into_iter();
        let numbers = ["used_memory", "master_repl_offset"].into_iter();
        let texts = texts.filter(|key| !self.get(key).is_empty());
        let mut facts: BTreeMap<_, _> =
            texts.map(|key| (key.to_owned(), Value::from(self.get(key)))).collect();
        facts.extend(numbers.filter_map(|key| Some((key.to_owned(), self.number(key)?.into()))));
        let keys = self.databases().into_iter();
        let keys = keys.map(|(number, keys)| (format!("db{number}"), Value::from(keys)));
        facts.insert("keys".to_owned(), Value::Object(keys.collect()));
        if self.is_cluster_node() {
            facts.insert("cluster_node".to_owned(), true.into());
        }
        facts
    }
}
