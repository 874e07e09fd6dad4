//! `[[places]]`: a key of another type, and what a type cannot do, are errors.

use coffer::config::Config;
use rstest::rstest;

const SWIFT: &str =
    "type = \"swift\"\nauth_url = \"https://keystone.example.org/v3\"\ncontainer = \"backups\"\n";

fn refused(keys: &str) -> String {
    let text = format!("[[places]]\nname = \"offsite\"\n{keys}\n");
    Config::from_toml(&text, "test.toml").unwrap_err().to_string()
}

#[test]
fn a_container_of_swift_needs_two_keys_and_takes_these() {
    let more = "region = \"one\"\nprefix = \"shop\"\nca_file = \"/etc/ssl/ca.pem\"\n\
                credentials_file = \"/etc/coffer/swift\"\nkeep = { daily = 30 }\nmax_kib_s = 2000\n";
    for keys in [SWIFT.to_owned(), format!("{SWIFT}{more}")] {
        let text = format!("[[places]]\nname = \"offsite\"\n{keys}");
        assert_eq!(Config::from_toml(&text, "test.toml").unwrap().places.len(), 1);
    }
}

#[rstest]
#[case("lock = \"30 days\"", "lock cannot be kept: Swift locks nothing")]
#[case("bucket = \"b\"", "bucket is a key of type = \"s3\", and this is of \"swift\"")]
#[case("path = \"/mnt\"", "path is a key of type = \"disk\", and this is of \"swift\"")]
fn what_swift_cannot_do_or_does_not_know_is_said(#[case] more: &str, #[case] expected: &str) {
    let error = refused(&format!("{SWIFT}{more}"));
    assert!(error.contains("places[0] (offsite)") && error.contains(expected), "{error}");
}

#[rstest]
#[case("type = \"swift\"\ncontainer = \"c\"", "auth_url is missing; type = \"swift\" needs it")]
#[case("type = \"swift\"\nauth_url = \"https://k\"", "container is missing")]
#[case(
    "type = \"swift\"\nauth_url = \"k.example.org\"\ncontainer = \"c\"",
    "auth_url is \"k.example.org\""
)]
#[case(
    "type = \"s3\"\nendpoint = \"https://s\"\nbucket = \"b\"\ncontainer = \"c\"",
    "container is a key of type = \"swift\""
)]
#[case(
    "type = \"disk\"\npath = \"/mnt\"\nregion = \"r\"",
    "region is a key of type = \"s3\" or \"swift\""
)]
fn a_key_that_is_missing_or_of_another_type_is_named(#[case] keys: &str, #[case] expected: &str) {
    let error = refused(keys);
    assert!(error.contains(expected), "{error}");
}
