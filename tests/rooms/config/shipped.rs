//! The files in `config/` load and say what is true.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use coffer::config::{
    Config, InstanceConfig, PlaceConfig, PlaceKind, PlaceRole, TokenConfig, TokenDigest,
};
use coffer::domain::{CheckLevel, InstanceId, Role, Source, Verify};
use coffer::encryption::NewIdentity;
use serde_json::Value;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(shipped(name)).expect("the file is in the repository")
}

/// The dotted keys of every single value. Lists are left out.
fn keys_of(prefix: &str, value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                keys_of(&format!("{prefix}{dot}{name}"), value, keys);
            }
        }
        Value::Array(_) => {}
        _ => {
            keys.insert(prefix.to_owned());
        }
    }
}

/// The dotted keys that a TOML file sets, and those in its comments.
fn keys_in(text: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned() + ".";
        } else if let Some((key, _value)) = line.split_once(" = ")
            && key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            keys.insert(format!("{section}{key}"));
        }
    }
    keys
}

#[test]
fn default_toml_is_the_default() {
    let loaded = Config::load(Some(&shipped("default.toml"))).unwrap();
    assert_eq!(Config { file: None, ..loaded }, Config::default());
}

#[test]
fn default_toml_has_every_key() {
    let mut config = Config::default();
    config.instances.clear();
    let mut expected = BTreeSet::new();
    keys_of("", &serde_json::to_value(&config).unwrap(), &mut expected);
    let project: coffer::domain::ProjectId = "p".parse().unwrap();
    let token = TokenConfig {
        name: String::new(),
        project_id: project.clone(),
        roles: vec![Role::Admin],
        sha256: TokenDigest([0; 32]),
    };
    for list in [
        "instances.source",
        "auth.tokens.roles",
        "auth.keystone.admin_roles",
        "auth.keystone.member_roles",
        "auth.keystone.reader_roles",
        "defaults.alerts",
        "defaults.copies",
        "instances.copies",
        "encryption.recipients",
        "encryption.identity_files",
        "encryption.signers",
    ] {
        expected.insert(list.to_owned());
    }
    expected.extend(CHANNEL_KEYS.map(|key| format!("alerts.{key}")));
    keys_of("places", &serde_json::to_value(any_place()).unwrap(), &mut expected);
    keys_of("instances", &serde_json::to_value(any_instance(project)).unwrap(), &mut expected);
    keys_of("auth.tokens", &serde_json::to_value(token).unwrap(), &mut expected);
    assert_eq!(keys_in(&text_of("default.toml")), expected);
}

const CHANNEL_KEYS: [&str; 12] = [
    "name",
    "webhook",
    "ntfy",
    "slack",
    "discord",
    "gotify",
    "healthchecks",
    "token",
    "ca_file",
    "email",
    "command",
    "digest",
];

fn any_instance(project_id: coffer::domain::ProjectId) -> InstanceConfig {
    InstanceConfig {
        id: Some(InstanceId::generate()),
        name: String::new(),
        project_id,
        engine: String::new(),
        source: Source::default(),
        check: CheckLevel::Quick,
        verify: Verify::Archive,
        schedule: None,
        timezone: None,
        jitter: None,
        window: None,
        full_every: None,
        retries: None,
        consolidate: None,
        keep: None,
        drill: None,
        staging: None,
        alerts: None,
        reminder: None,
        copies: None,
        health: None,
    }
}

fn any_place() -> PlaceConfig {
    PlaceConfig {
        name: String::new(),
        kind: PlaceKind::Disk,
        path: None,
        same_disk: false,
        endpoint: None,
        region: None,
        bucket: None,
        prefix: None,
        path_style: None,
        ca_file: None,
        credentials_file: None,
        auth_url: None,
        container: None,
        max_kib_s: 0,
        window: None,
        keep: None,
        keep_deleted: false,
        encrypt_to: None,
        lock: None,
        role: PlaceRole::Copies,
        refresh: None,
        silent_after: None,
        retired: None,
    }
}

#[test]
fn default_toml_explains_every_key() {
    let text = text_of("default.toml");
    let lines: Vec<&str> = text.lines().collect();
    for (above, line) in lines.iter().zip(lines.iter().skip(1)) {
        if line.starts_with(|first: char| first.is_ascii_lowercase()) {
            assert!(above.starts_with('#'), "{line} is not explained");
        }
    }
}

#[test]
fn the_blocks_in_comments_load_when_uncommented() {
    let text = text_of("default.toml")
        .replace("sha256 = \"…\"", &format!("sha256 = \"{:064}\"", 7))
        .replace("age1…", &NewIdentity::generate().public());
    let mut in_block = false;
    let shown: Vec<&str> = text
        .lines()
        .map(|line| {
            in_block = line.starts_with('#') && (in_block || line.starts_with("# [["));
            if in_block { line.trim_start_matches(['#', ' ']) } else { line }
        })
        .collect();
    let config = Config::from_toml(&shown.join("\n"), "default.toml").unwrap();
    assert_eq!(config.instances[0].name, "shop");
    assert_eq!(config.auth.tokens[0].name, "alice");
}

/// The instances that the file itself has.
fn of(config: &Config) -> impl Iterator<Item = &InstanceConfig> {
    config.instances.iter().filter(|it| it.name != "coffer-catalog")
}

#[test]
fn the_examples_load() {
    let sqlite = Config::load(Some(&shipped("sqlite.example.toml"))).unwrap();
    assert_eq!(sqlite.file, Some(shipped("sqlite.example.toml")));
    assert!(of(&sqlite).all(|instance| instance.engine == "sqlite"));
    assert_eq!(sqlite.instances[1].check, CheckLevel::Full);

    let directory = Config::load(Some(&shipped("directory.example.toml"))).unwrap();
    assert!(of(&directory).all(|instance| instance.engine == "directory"));

    let postgresql = Config::load(Some(&shipped("postgresql.example.toml"))).unwrap();
    for instance in of(&postgresql) {
        assert_eq!(instance.engine, "postgresql");
        coffer::engine::find("postgresql").unwrap().check_source(&instance.source).unwrap();
    }

    let redis = Config::load(Some(&shipped("redis.example.toml"))).unwrap();
    for instance in of(&redis) {
        assert_eq!(instance.engine, "redis");
        coffer::engine::find("redis").unwrap().check_source(&instance.source).unwrap();
    }
}

#[test]
fn the_secret_of_the_example_token_is_what_its_comment_says() {
    use sha2::Digest as _;
    let config = Config::load(Some(&shipped("sqlite.example.toml"))).unwrap();
    let expected: [u8; 32] = sha2::Sha256::digest("example-only-do-not-use").into();
    assert_eq!(config.auth.tokens[0].sha256, TokenDigest(expected));
}
