//! The layers: which one wins, and the errors of wrong ones.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::layers::{Layer, merge, read, read_if_exists, variables};
use super::{Config, ConfigError};

fn layer(text: &str) -> Layer {
    Layer { path: PathBuf::from("/etc/coffer/test.toml"), text: text.to_owned() }
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    variables(all).unwrap()
}

fn error_of(text: &str) -> String {
    Config::from_toml(text, "test.toml").unwrap_err().to_string()
}

#[test]
fn the_defaults_have_one_instance_which_is_the_own_catalog() {
    let config = Config::default();
    assert_eq!(config.data_dir, Path::new("/var/lib/coffer"));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8779");
    let [own] = config.instances.as_slice() else { panic!("{:?}", config.instances) };
    assert_eq!((own.name.as_str(), own.engine.as_str()), ("coffer-catalog", "sqlite"));
    assert_eq!(own.source.text("path"), Some("/var/lib/coffer/catalog.db"));
}

#[test]
fn a_file_changes_only_the_keys_it_has() {
    let config = Config::from_toml("[server]\nlisten = \"[::1]:99\"", "test.toml").unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:99");
    assert_eq!(config.server.max_connections, Config::default().server.max_connections);
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = layer("data_dir = \"/srv/a\"\n[executor]\nworkers = 2\ncompression_level = 5");
    let names = environment(&[
        ("COFFER__DATA_DIR", "/srv/B"),
        ("COFFER__EXECUTOR__COMPRESSION_LEVEL", "7"),
        ("COFFER__QUOTA__BACKUPS", "-1"),
        ("COFFER__AUTH__MODE", "none"),
        ("COFFER_URL", "http://127.0.0.1:8779"),
        ("PATH", "/bin"),
    ]);
    let config = merge(Some(&file), names).unwrap();
    assert_eq!(config.data_dir, Path::new("/srv/B"));
    assert_eq!((config.executor.workers, config.executor.compression_level), (2, 7));
}

#[test]
fn the_own_catalog_is_in_the_final_data_dir() {
    let config = merge(None, environment(&[("COFFER__DATA_DIR", "/srv/b")])).unwrap();
    let config = config.finished().unwrap();
    assert_eq!(config.instances[0].source.text("path"), Some("/srv/b/catalog.db"));
}

#[test]
fn letter_case_is_kept_in_the_keys_of_a_source_and_in_values() {
    let text = r#"
        [[instances]]
        name = "Shop Ä"
        project_id = "Project-A"
        engine = "sqlite"
        source = { path = "/srv/Shop.DB", applicationName = "X", port = 5432, tls = true }
    "#;
    let config = Config::from_toml(text, "test.toml").unwrap();
    let instance = &config.instances[0];
    assert_eq!(instance.name, "Shop Ä");
    assert_eq!(instance.project_id.as_str(), "Project-A");
    assert_eq!(instance.source.text("path"), Some("/srv/Shop.DB"));
    assert_eq!(instance.source.text("applicationName"), Some("X"));
    assert_eq!(instance.source.0["port"], 5432);
    assert_eq!(instance.source.0["tls"], true);
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    for (text, key) in [
        ("[server]\nlisen = \"127.0.0.1:1\"", "lisen"),
        ("[sever]\nlisten = \"127.0.0.1:1\"", "sever"),
        ("datadir = \"/x\"", "datadir"),
        ("DATA_DIR = \"/x\"", "DATA_DIR"),
        ("[[instances]]\nname = \"a\"\npaht = 1", "paht"),
        ("[[auth.tokens]]\nname = \"a\"\nsecret = \"s\"", "secret"),
    ] {
        let error = error_of(text);
        assert!(error.contains(key) && error.contains("test.toml"), "{error}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_key() {
    for (text, key) in [
        ("[server]\nlisten = \"localhost\"", "server.listen"),
        ("[server]\nlog_level = \"loud\"", "server.log_level"),
        ("[server]\nlog_level = \"\"", "`OFF`, `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`"),
        ("[server]\nhttp_workers = -1", "server.http_workers"),
        ("[server]\nmax_connections = \"many\"", "server.max_connections"),
        ("[auth]\nmode = \"off\"", "auth.mode"),
        ("[auth]\ntokens = \"abc\"", "auth.tokens"),
        ("[paging]\nmax = 99999999999", "paging.max"),
        ("server = 1", "server"),
    ] {
        let error = error_of(text);
        assert!(error.contains(key) && error.contains("test.toml"), "{error}");
    }
}

#[test]
fn a_missing_key_of_a_list_entry_is_named() {
    let error = error_of("[[instances]]\nname = \"a\"\nproject_id = \"p\"\nengine = \"sqlite\"");
    assert!(error.contains("instances[0]") && error.contains("source"), "{error}");
}

#[test]
fn invalid_toml_is_refused_with_its_line() {
    let error = error_of("[server]\nlisten = ");
    assert!(error.contains("test.toml") && error.contains("line 2"), "{error}");
}

#[test]
fn an_unknown_variable_is_refused() {
    for name in ["COFFER__SERVER__LISEN", "COFFER__SERVER", "COFFER__DATADIR", "COFFER__"] {
        let error = merge(None, environment(&[(name, "1")])).unwrap_err();
        assert!(matches!(&error, ConfigError::Variable { name: named, .. } if named == name));
    }
}

#[test]
fn a_list_cannot_come_from_the_environment() {
    for name in ["COFFER__INSTANCES", "COFFER__AUTH__TOKENS", "COFFER__INSTANCES[0]__NAME"] {
        let error = merge(None, environment(&[(name, "x")])).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("only the configuration file"), "{error}");
    }
}

#[test]
fn a_wrong_value_in_a_variable_names_the_environment() {
    let file = layer("[executor]\nworkers = 2");
    let error = merge(Some(&file), environment(&[("COFFER__EXECUTOR__WORKERS", "two")]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("executor.workers") && error.contains("the environment"), "{error}");
    assert!(!error.contains("test.toml"), "{error}");
}

#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    let bytes = OsString::from_vec(vec![b'/', 0xff]);
    let error = variables([(OsString::from("COFFER__DATA_DIR"), bytes)].into_iter()).unwrap_err();
    assert!(error.to_string().contains("COFFER__DATA_DIR is not UTF-8"), "{error}");
}

#[test]
fn a_named_file_must_exist_and_the_default_one_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert!(read_if_exists(&path).unwrap().is_none());
    let error = Config::load(Some(&path)).unwrap_err().to_string();
    assert!(error.contains("none.toml"), "{error}");
    assert!(read_if_exists(folder.path()).is_err(), "a folder is not a configuration");
}

#[test]
fn an_endless_file_is_refused() {
    let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("longer than 4 MiB"), "{error}");
}
