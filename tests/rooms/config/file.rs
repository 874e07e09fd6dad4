//! What a file sets, and the errors of a wrong one.

use std::path::Path;

use coffer::config::Config;

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
    assert!(error.contains("\"instances[0].source\""), "{error}");
}

#[test]
fn invalid_toml_is_refused_with_its_line() {
    let error = error_of("[server]\nlisten = ");
    assert!(error.contains("test.toml") && error.contains("line 2"), "{error}");
}

#[test]
fn a_named_file_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let error = Config::load(Some(&folder.path().join("none.toml"))).unwrap_err().to_string();
    assert!(error.contains("none.toml"), "{error}");
}

#[test]
fn an_endless_file_is_refused() {
    let error = Config::load(Some(Path::new("/dev/zero"))).unwrap_err().to_string();
    assert!(error.contains("longer than 4 MiB"), "{error}");
}

/// The instance of Coffer's own catalog beside `shop`, if there is one.
fn own_catalog(more: &str) -> Option<coffer::config::InstanceConfig> {
    let text = format!(
        "data_dir = \"/srv/coffer\"\n{more}\n[[instances]]\nname = \"shop\"\nproject_id = \"p\"\n\
         engine = \"sqlite\"\nsource = {{ path = \"/srv/shop.db\" }}\n"
    );
    let config = Config::from_toml(&text, "test").unwrap();
    assert_eq!(config.instances[0].name, "shop");
    config.instances.get(1).cloned()
}

#[test]
fn the_own_catalog_is_backed_up_beside_others_in_a_project_of_its_own() {
    let own = own_catalog("").unwrap();
    assert_eq!((own.name.as_str(), own.project_id.as_str()), ("coffer-catalog", "coffer"));
    let policy = own.policy(&Config::default().defaults);
    assert_eq!(policy.timetable.unwrap().schedule.to_string(), "daily 04:00");
    assert!(policy.keep.is_some_and(|keep| keep.lets_go()));

    let own = own_catalog("[defaults]\nschedule = \"hourly\"\nkeep = { daily = 9 }").unwrap();
    assert_eq!((own.schedule, own.keep), (None, None), "what holds for all holds for it");
    assert_eq!(own.full_every.as_deref(), Some("1"), "one file is enough");

    assert_eq!(own_catalog("[catalog]\nbackup = false"), None);
    let itself = "[[instances]]\nname = \"own\"\nproject_id = \"p\"\nengine = \"sqlite\"\n\
                  source = { path = \"/var/lib/coffer/catalog.db\" }";
    assert_eq!(
        Config::from_toml(itself, "test").unwrap().instances.len(),
        1,
        "it is there already"
    );
}
