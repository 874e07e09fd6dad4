//! `[encryption]` and `encrypt_to`: a setting that cannot be honoured is an error.

use coffer::config::{Config, ConfigError};
use coffer::encryption::NewIdentity;

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_toml(text, "test.toml")
}

fn place(more: &str) -> String {
    format!("[[places]]\nname = \"nas\"\ntype = \"disk\"\npath = \"/mnt/nas\"\n{more}\n")
}

#[test]
fn a_place_has_the_recipients_of_the_server_or_its_own_or_none() {
    let key = NewIdentity::generate().public();
    let other = NewIdentity::generate().public();
    let all = format!("[encryption]\nrecipients = [\"{key}\"]\n");
    for (own, expected) in [
        ("", vec![key.clone()]),
        (&format!("encrypt_to = [\"{other}\"]"), vec![other.clone()]),
        ("encrypt_to = []", Vec::new()),
    ] {
        let config = load(&(place(own) + &all)).unwrap();
        assert_eq!(config.recipients_of(&config.places[0]), expected, "{own}");
    }
}

#[test]
fn what_is_no_public_key_signer_or_absolute_path_is_named_with_its_key() {
    let secret = NewIdentity::generate().secret();
    let cases = [
        ("[encryption]\nrecipients = [\"age1nonsense\"]".to_owned(), "encryption.recipients"),
        (format!("[encryption]\nrecipients = [\"{secret}\"]"), "encryption.recipients"),
        (place("encrypt_to = [\"pgp:1234\"]"), "places[0] (nas): encrypt_to"),
        ("[encryption]\nsigners = [\"me\"]".to_owned(), "encryption.signers"),
        ("[encryption]\nidentity_files = [\"key\"]".to_owned(), "encryption.identity_files"),
    ];
    for (text, key) in cases {
        let error = load(&text).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
        assert!(!error.contains(&secret), "{error}");
    }
    let (key, other) = (NewIdentity::generate().public(), NewIdentity::generate().public());
    let both = "[encryption]\napplies_to = \"both\"\n";
    let with_keys = format!("{both}recipients = [\"{key}\"]");
    load(&(place(&format!("encrypt_to = [\"{key}\"]")) + &with_keys)).unwrap();
    for (text, expected) in [
        (both.to_owned(), "encryption.applies_to"),
        (place("encrypt_to = []") + &with_keys, "places[0] (nas): encrypt_to"),
        (place(&format!("encrypt_to = [\"{other}\"]")) + &with_keys, "places[0] (nas): encrypt_to"),
    ] {
        let error = load(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(load(&with_keys).unwrap().archive_recipients(), [key]);
    for text in ["cipher = \"rot13\"", "applies_to = \"all\""] {
        load(&format!("[encryption]\n{text}")).unwrap_err();
    }
}
