//! The keys of sources. No server is needed: what is wrong is found before one is asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use coffer::domain::{FailureCode, Source};
use coffer::engine::find;
use serde_json::{Value, json};

fn source(keys: &Value) -> Source {
    serde_json::from_value(keys.clone()).unwrap()
}

#[track_caller]
fn assert_refused(engine: &str, keys: &Value, word: &str) {
    let refused = find(engine).unwrap().check_source(&source(keys)).unwrap_err();
    let failure = refused.failure().unwrap();
    assert_eq!(failure.code, FailureCode::SourceInvalid, "{keys}: {failure}");
    assert!(failure.message.contains(word), "{keys}: {failure}");
}

#[test]
fn an_invalid_key_of_any_server_is_named() {
    for (keys, word) in [
        (json!({}), "url or a socket"),
        (json!({"url": "sqlite://db"}), "scheme"),
        (json!({"url": "SCHEME://db?sslmode=off"}), "tls"),
        (json!({"url": "SCHEME://"}), "host"),
        (json!({"url": "SCHEME://-h"}), "host"),
        (json!({"url": "SCHEME://db:x"}), "port"),
        (json!({"url": "SCHEME://db", "socket": "/s"}), "keep one"),
        (json!({"url": "SCHEME://a@db", "user": "b"}), "source.user"),
        (json!({"socket": "run/x"}), "absolute"),
        (json!({"socket": "/run/../x"}), "absolute"),
        (json!({"path": "s"}), "absolute"),
        (json!({"socket": "/s", "tls": "yes"}), "source.tls"),
        (json!({"socket": "/s", "tls": true}), "\"verify-ca\""),
        (json!({"socket": "/s", "extra_args": "-v"}), "list"),
        (json!({"socket": "/s", "pasword_file": "/p"}), "pasword_file"),
        (json!({"path": "/s", "user": "b"}), "\"user\""),
        (json!({"user": "b", "password": "x"}), "password_file"),
        (json!({"user": "b", "password_file": "a/b"}), "systemd credential"),
        (json!({"user": "b", "password_file": "/a/../b"}), "systemd credential"),
    ] {
        for (engine, scheme) in [
            ("postgresql", "postgres"),
            ("mariadb", "mysql"),
            ("mysql", "mysql"),
            ("redis", "redis"),
        ] {
            let mut keys = keys.clone();
            if let Some(Value::String(url)) = keys.get_mut("url") {
                *url = url.replace("SCHEME", scheme);
            }
            assert_refused(engine, &keys, word);
        }
    }
}

#[test]
fn a_file_or_folder_that_is_not_there_is_known_without_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let look = |engine: &str| {
        let keys = source(&json!({ "path": path.to_str().unwrap() }));
        find(engine).unwrap().require_there(&keys).map_err(|it| it.failure().unwrap().code)
    };
    assert_eq!(look("sqlite"), Err(FailureCode::SourceMissing));
    assert_eq!(look("directory"), Err(FailureCode::SourceMissing));
    std::fs::create_dir(&path).unwrap();
    assert_eq!(look("sqlite"), Err(FailureCode::SourceInvalid));
    assert_eq!(look("directory"), Ok(()));
    std::fs::remove_dir(&path).unwrap();
    std::fs::File::create_new(&path).unwrap();
    assert_eq!(look("sqlite"), Ok(()));
}

#[test]
fn what_an_engine_does_not_support_is_refused_with_a_reason() {
    for (engine, keys, word) in [
        ("postgresql", json!({"url": "mysql://db"}), "scheme"),
        ("postgresql", json!({"user": "u", "method": "magic"}), "source.method"),
        ("postgresql", json!({"user": "u", "databases": ["a"]}), "logical"),
        ("postgresql", json!({"user": "u", "method": "logical", "databases": "a"}), "list"),
        ("mariadb", json!({"url": "postgresql://db"}), "scheme"),
        ("mariadb", json!({"socket": "/s", "method": "fast"}), "source.method"),
        ("mariadb", json!({"socket": "/s", "database": "shop"}), "whole server"),
        ("mysql", json!({"socket": "/s", "method": "physical"}), "must be \"logical\""),
        ("redis", json!({"socket": "/s", "method": "logical"}), "\"method\""),
        ("redis", json!({"url": "rediss://h", "tls": "off"}), "keep one"),
        ("redis", json!({"url": "rediss://h", "tls": "verify-full"}), "verify-ca"),
        ("redis", json!({"socket": "/s", "tls": "require"}), "does not leave this machine"),
        ("redis", json!({"url": "redis://h", "ca_file": "/c"}), "rediss://"),
        ("redis", json!({"url": "rediss://h", "cert_file": "/c"}), "key_file"),
        ("redis", json!({"url": "redis://h/3"}), "all of them"),
        ("redis", json!({"url": "redis://h", "extra_args": ["-a", "x"]}), "password_file"),
    ] {
        assert_refused(engine, &keys, word);
    }
    let one = json!({"url": "mysql://me@db/shop", "method": "logical"});
    assert!(find("mariadb").unwrap().check_source(&source(&one)).is_ok());
}

#[test]
fn a_restored_folder_is_a_valid_source_but_has_no_server_to_ask() {
    for engine in ["postgresql", "mariadb", "mysql", "redis"] {
        let engine = find(engine).unwrap();
        let restored = source(&json!({"path": "/srv/restored"}));
        assert!(engine.check_source(&restored).is_ok());
        let failure = engine.probe(&restored).unwrap_err().failure().unwrap();
        assert_eq!(failure.code, FailureCode::SourceInvalid);
        assert!(failure.message.contains("no server is known"), "{failure}");
    }
}

#[test]
fn the_default_method_is_logical_for_mysql_and_physical_for_the_others() {
    for (engine, method, logical) in [
        ("postgresql", None, false),
        ("postgresql", Some("logical"), true),
        ("mariadb", None, false),
        ("mariadb", Some("logical"), true),
        ("mysql", None, true),
        ("mysql", Some("logical"), true),
    ] {
        let mut keys = json!({"socket": "/s"});
        if let Some(method) = method {
            keys["method"] = method.into();
        }
        let hints = find(engine).unwrap().restore_hints("shop", &source(&keys)).join("\n");
        assert_eq!(hints.contains("restored/data/databases"), logical, "{engine}, {method:?}");
    }
}

#[test]
fn a_path_of_any_bytes_survives_the_way_through_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let directory = find("directory").unwrap();
    for name in [&b"a b'\"\n%41?#.db"[..], b"\xff\xfe%", "ä".as_bytes()] {
        let path = folder.path().join(OsStr::from_bytes(name));
        std::fs::create_dir_all(path.join("inner")).unwrap();
        let found = directory.probe(&directory.source_of(&path)).unwrap();
        assert_eq!(found.notes, ["members: 2"], "{path:?}");
        let url = json!({ "url": coffer::file_url::of_path(&path) });
        assert!(directory.probe(&source(&url)).is_ok(), "{url}");
    }
    assert!(directory.check_source(&directory.source_of("/".as_ref())).is_ok());
}

#[test]
fn a_source_without_a_usable_path_is_refused_with_the_reason() {
    for (bad, word) in [
        (json!({}), "needs a path"),
        (json!({"path": ""}), "absolute"),
        (json!({"path": "/a\0b"}), "zero byte"),
        (json!({"path": 7}), "text"),
        (json!({"url": "http:///srv/a"}), "file:///path"),
        (json!({"url": "file://host/a"}), "file:///path"),
        (json!({"url": "file:///a%4"}), "file:///path"),
        (json!({"url": "file:///a%zz"}), "file:///path"),
        (json!({"url": "file:///a%00"}), "zero byte"),
        (json!({"pth": "/x"}), "\"pth\""),
    ] {
        assert_refused("sqlite", &bad, word);
    }
}

#[test]
fn waits_are_whole_numbers_of_seconds_up_to_an_hour() {
    let sqlite = find("sqlite").unwrap();
    for (key, least) in [("lock_wait_s", 0), ("answer_wait_s", 1)] {
        for good in [least, 3600] {
            let keys = json!({"path": "/a", key: good});
            assert!(sqlite.check_source(&source(&keys)).is_ok(), "{keys}");
        }
        for bad in [json!(least - 1), json!(3601), json!("30"), json!(1.5), json!(null)] {
            assert_refused("sqlite", &json!({"path": "/a", key: bad}), key);
        }
    }
}
