//! Opening a data directory for a configuration.

use coffer::config::Config;
use coffer::domain::InstanceId;
use coffer::encryption::NewIdentity;
use coffer::policy::PolicyKeys;
use coffer::server::{configured_policies, open_and_lock};
use rstest::rstest;

#[rstest]
#[case("sqlite", r#"{ path = "shop.db" }"#, "source.path")]
#[case("sqlite", r#"{ path = "/srv/../shop.db" }"#, "source.path")]
#[case("sqlite", r#"{ path = "file://srv/shop.db" }"#, "source.path")]
#[case("sqlite", "{ path = 7 }", "source.path")]
#[case("sqlite", "{}", "path")]
#[case("directory", r#"{ path = "srv/shop" }"#, "source.path")]
#[case("postgresql", "{}", "source")]
#[case("postgresql", r#"{ user = "a", password = "hunter2" }"#, "password")]
#[case("postgresql", r#"{ url = "postgresql://a:hunter2@h/d" }"#, "source.url")]
#[case("mariadb", r#"{ socket = "/s", password_file = "a/pw" }"#, "source.password_file")]
#[case("redis", r#"{ socket = "/s", password_file = ".." }"#, "source.password_file")]
#[case("redis", r#"{ socket = "/s", tools = "bin" }"#, "source.tools")]
#[case("mariadb", r#"{ socket = "/run/../s" }"#, "source.socket")]
fn a_source_that_makes_no_sense_is_refused_by_its_engine(
    #[case] engine: &str,
    #[case] source: &str,
    #[case] key: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "data_dir = {:?}\n[[instances]]\nname = \"shop\"\nproject_id = \"p\"\n\
         engine = \"{engine}\"\nsource = {source}\n",
        folder.path().join("data")
    );
    let config = Config::from_toml(&text, "test").unwrap();
    let error = open_and_lock(&config).unwrap_err().to_string();
    assert!(error.contains("instance \"shop\"") && error.contains(key), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn chains_are_consolidated_unless_archives_are_encrypted_that_no_key_here_reads() {
    let (folder, key) = (tempfile::tempdir().unwrap(), NewIdentity::generate());
    let file = folder.path().join("key");
    #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
    std::fs::write(&file, key.secret()).unwrap();
    let public = key.public();
    let keys = format!("[encryption]\nrecipients = [\"{public}\"]\n");
    let both = format!("{keys}applies_to = \"both\"\n");
    for (encryption, expected) in [
        (String::new(), true),
        (keys, true),
        (both.clone(), false),
        (format!("{both}identity_files = [{file:?}]\n"), true),
    ] {
        let text = format!("[defaults]\nkeep = {{ daily = 7 }}\n{encryption}");
        let policies = configured_policies(&Config::from_toml(&text, "test").unwrap());
        let id = InstanceId::derived(&"p".parse().unwrap(), "shop");
        let policy = policies.policy(id, &PolicyKeys::default()).unwrap();
        assert_eq!(policy.keep.unwrap().consolidate, expected, "{encryption}");
    }
}
