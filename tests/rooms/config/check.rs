//! Values that make no sense are refused, all in one error.

use coffer::config::{Config, ConfigError};
use coffer::domain::Verify;
use rstest::rstest;

fn problems(text: &str) -> Vec<String> {
    match Config::from_toml(text, "test.toml") {
        Ok(_) => Vec::new(),
        Err(ConfigError::Values(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

fn instance(name: &str, more: &str) -> String {
    format!("[[instances]]\nname = \"{name}\"\nproject_id = \"p\"\nengine = \"sqlite\"\n{more}\n")
}

fn token(name: &str, digest_byte: u8, roles: &str) -> String {
    let sha256 = hex::encode([digest_byte; 32]);
    format!(
        "[[auth.tokens]]\nname = \"{name}\"\nproject_id = \"p\"\nroles = {roles}\n\
         sha256 = \"{sha256}\"\n"
    )
}

#[rstest]
#[case("data_dir = \"var\"", "data_dir")]
#[case("data_dir = \"/var/../etc\"", "data_dir")]
#[case("data_dir = \"/\"", "data_dir")]
#[case("data_dir = \"\"", "data_dir")]
#[case("[server]\npublic_url = \"backup.example.org\"", "server.public_url")]
#[case("[server]\npublic_url = \"https://\"", "server.public_url")]
#[case("[server]\npublic_url = \"https://a b\"", "server.public_url")]
#[case("[server]\nhttp_workers = 65", "server.http_workers")]
#[case("[server]\nmax_connections = 0", "server.max_connections")]
#[case("[server]\nrequest_timeout_s = 0", "server.request_timeout_s")]
#[case("[executor]\nworkers = 0", "executor.workers")]
#[case("[executor]\ncompression_level = 20", "executor.compression_level")]
#[case("[executor]\nnice = 20", "executor.nice")]
#[case("[executor]\nnice = -1", "executor.nice")]
#[case("[quota]\nbackups = -2", "quota.backups")]
#[case("[paging]\ndefault = 0", "paging.default")]
#[case("[paging]\nmax = 10", "paging.default")]
#[case("[paging]\nmax = 0", "paging.max")]
#[case("[auth.keystone]\ncache_s = 61", "auth.keystone.cache_s")]
#[case("[auth.keystone]\ntimeout_s = 0", "auth.keystone.timeout_s")]
#[case("[auth.keystone]\nca_file = \"ca.pem\"", "auth.keystone.ca_file")]
#[case("[auth.keystone]\nauth_url = \"keystone:5000\"", "auth.keystone.auth_url")]
#[case("[auth.keystone]\nauth_url = \"https://me:pw@keystone\"", "auth.keystone.auth_url")]
#[case("[auth]\nmode = \"keystone\"", "auth.keystone.auth_url")]
#[case(
    "[auth]\nmode = \"keystone\"\n[auth.keystone]\nauth_url = \"http://k\"\nadmin_roles = []\nmember_roles = []\n\
         reader_roles = []",
    "auth.keystone.member_roles"
)]
fn a_value_out_of_range_is_named(#[case] text: &str, #[case] key: &str) {
    let problems = problems(text);
    assert!(problems.iter().any(|problem| problem.starts_with(key)), "{problems:?}");
}

#[test]
fn no_authentication_is_for_a_loopback_address_only() {
    let with = |listen: &str| {
        problems(&format!("[server]\nlisten = \"{listen}\"\n[auth]\nmode = \"none\""))
    };
    for local in ["127.0.0.1:8779", "127.8.8.8:0", "[::1]:8779", "[::ffff:127.0.0.1]:1"] {
        assert!(with(local).is_empty(), "{local}");
    }
    for open in ["0.0.0.0:8779", "[::]:8779", "192.168.0.1:8779"] {
        let problems = with(open);
        assert!(problems.len() == 1 && problems[0].starts_with("auth.mode"), "{problems:?}");
    }
}

#[test]
fn names_and_ids_of_instances_are_unique_in_their_project() {
    let source = "source = { path = \"/srv/a.db\" }";
    let twice = instance("shop", source) + &instance("shop", source);
    assert!(problems(&twice)[0].contains("instances[1] (shop): name is used twice"));
    let other = twice.replacen("project_id = \"p\"", "project_id = \"q\"", 1);
    assert!(problems(&other).is_empty());

    let id = "id = \"0d5a4f6e-7b1c-4c55-9d6e-1f2a3b4c5d6e\"\n".to_owned() + source;
    let same = instance("a", &id) + &instance("b", &id);
    assert!(problems(&same)[0].contains("instances[1] (b): id is used by another instance"));
}

#[test]
fn an_id_that_another_instance_derives_is_refused() {
    let source = "source = { path = \"/srv/a.db\" }";
    let derived =
        Config::from_toml(&instance("a", source), "t").unwrap().instances[0].instance_id();
    let both = instance("a", source) + &instance("b", &format!("id = \"{derived}\"\n{source}"));
    assert!(problems(&both)[0].contains("id is used by another instance"));
}

#[test]
fn a_source_that_contains_the_data_dir_is_refused() {
    for path in ["/var/lib", "/", "/var/lib/coffer"] {
        let problems = problems(&instance("shop", &format!("source = {{ path = \"{path}\" }}")));
        let start = "instances[0] (shop): source.path contains data_dir";
        assert!(problems.len() == 1 && problems[0].starts_with(start), "{path}: {problems:?}");
    }
    for path in ["/var/lib/coffer-shop", "/var/lib/coffer/catalog.db"] {
        let text = instance("shop", &format!("source = {{ path = \"{path}\" }}"));
        assert!(problems(&text).is_empty(), "{path}");
    }
}

#[rstest]
#[case("")]
#[case("...")]
#[case("a/b")]
#[case("a\\nb")]
fn a_name_that_clients_could_not_use_is_refused(#[case] name: &str) {
    assert_eq!(problems(&instance(name, "source = { path = \"/srv/a.db\" }")).len(), 1);
}

#[test]
fn a_name_has_at_most_255_characters_of_any_script() {
    let with = |name: &str| problems(&instance(name, "source = { path = \"/srv/a.db\" }"));
    assert!(with("магазин").is_empty());
    assert!(with(&"店".repeat(255)).is_empty());
    assert_eq!(with(&"店".repeat(256)).len(), 1);
}

#[test]
fn an_unsafe_token_is_refused() {
    let good = token("a", 1, "[\"member\", \"reader\"]");
    assert!(problems(&good).is_empty());
    assert!(problems(&(good.clone() + &token("a", 2, "[\"admin\"]")))[0].contains("another token"));
    assert!(problems(&(good + &token("b", 1, "[\"admin\"]")))[0].contains("sha256"));
    assert!(problems(&token("a", 1, "[]"))[0].contains("roles"));
    assert!(problems(&token("a:b", 1, "[\"admin\"]"))[0].contains("colon"));
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let empty = token("a", 1, "[\"admin\"]").replace(&hex::encode([1; 32]), of_nothing);
    assert!(problems(&empty)[0].contains("empty secret"));
}

#[test]
fn an_invalid_digest_or_role_is_named() {
    for (text, wanted) in [
        (token("a", 1, "[\"member\"]").replace("0101", "01"), "sha256"),
        (token("a", 1, "[\"member\"]").replace("0101", "zz01"), "sha256"),
        (token("a", 1, "[\"owner\"]"), "expected one of `admin`, `member`, `reader`"),
    ] {
        let error = Config::from_toml(&text, "test.toml").unwrap_err().to_string();
        assert!(error.contains("auth.tokens[0]") && error.contains(wanted), "{error}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let error = Config::from_toml("data_dir = \"x\"\n[executor]\nworkers = 0", "test.toml");
    let text = error.unwrap_err().to_string();
    assert!(text.contains("\n  data_dir") && text.contains("\n  executor.workers"), "{text}");
}

#[test]
fn a_public_url_loses_its_last_slash() {
    let with = |url: &str| {
        let text = format!("[server]\npublic_url = \"{url}\"");
        let server = Config::from_toml(&text, "t").unwrap().server;
        server.public_url().map(str::to_owned)
    };
    assert_eq!(with("https://b.example.org/").as_deref(), Some("https://b.example.org"));
    assert_eq!(with("http://[::1]:8779/trove").as_deref(), Some("http://[::1]:8779/trove"));
    assert_eq!(with(""), None);
}

#[test]
fn verify_is_archive_or_restore() {
    let with = |verify: &str| {
        Config::from_toml(&instance("a", &format!("source = {{ path = \"/a\" }}\n{verify}")), "t")
    };
    for (text, verify) in [
        ("", Verify::Archive),
        ("verify = \"archive\"", Verify::Archive),
        ("verify = \"restore\"", Verify::Restore),
    ] {
        assert_eq!(with(text).unwrap().instances[0].verify, verify);
    }
    let error = with("verify = \"always\"").unwrap_err().to_string();
    assert!(["always", "archive", "restore"].iter().all(|it| error.contains(it)), "{error}");
}
