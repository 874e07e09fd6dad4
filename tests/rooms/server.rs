//! Opening a data directory for a configuration.

use coffer::config::Config;
use coffer::server::open_and_lock;
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
