//! `coffer key`, and keys that are given to commands.

use std::io::Write as _;
use std::process::{Output, Stdio};

use super::encryption::{coffer, database, new_key, stdout};
use crate::support::{TestServer, id_of, stderr_of, write_file};

#[test]
fn a_signer_that_is_none_is_an_error_of_the_command_line_that_repeats_it() {
    let refused = coffer(&["list", "--from", "nowhere", "--signer", "nonsense"]).output().unwrap();
    let said = stderr_of(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("nonsense") && said.contains("coffer-signer:4af3"), "{said}");
}

#[test]
fn a_catalog_is_rebuilt_from_the_data_directory_also_where_a_key_of_the_configuration_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (config, shown) = (folder.path().join("coffer.toml"), folder.path().display());
    let text =
        format!("data_dir = \"{shown}/data\"\n[encryption]\nidentity_files = [\"{shown}/none\"]\n");
    write_file(&config, text);
    let config = config.to_str().unwrap();
    stdout(coffer(&["catalog", "rebuild", "--config", config]).output().unwrap());
    let from = ["catalog", "rebuild", "--from", "/", "--config", config];
    let refused = stderr_of(&coffer(&from).output().unwrap());
    assert!(refused.contains(&format!("{shown}/none")), "{refused}");
}

/// Runs the program with this on its standard input.
fn typed(arguments: &[&str], text: &str) -> Output {
    let mut command = coffer(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_key_with_a_passphrase_is_made_and_printed_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (file, sheet) = (folder.path().join("key"), folder.path().join("sheet"));
    let (key, sheet) = (file.to_str().unwrap(), sheet.to_str().unwrap());
    let made = typed(&["key", "new", "--passphrase", "--to", key], "sesame\nsesame\n");
    assert!(stdout(made).contains("age1"));
    let public = stdout(typed(&["key", "show", key], "sesame\n"));
    let printed = stdout(typed(&["key", "sheet", key], "sesame\n"));
    write_file(sheet.as_ref(), printed.as_bytes());
    assert_eq!(stdout(typed(&["key", "show", sheet], "")), public);
    // The same from the standard input, of a key that nothing protects.
    let again = stdout(typed(&["key", "sheet", "-"], &printed));
    assert!(again.contains(public.trim()), "{again}");
    for (text, why) in [("", "a line of the standard input"), ("wrong\n", "not its passphrase")] {
        let refused = typed(&["key", "sheet", key], text);
        let said = stderr_of(&refused);
        assert!(!refused.status.success() && said.contains(why) && said.contains(key), "{said}");
    }
}

#[test]
fn errors_about_the_file_of_a_key_name_it_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, bad) = (folder.path().join("missing"), folder.path().join("bad"));
    write_file(&bad, "this is no key\n");
    let (missing, bad) = (missing.to_str().unwrap(), bad.to_str().unwrap());
    let nowhere = folder.path().join("no/folder/key");
    for (arguments, file, advice) in [
        (["key", "show", missing].as_slice(), missing, "coffer key new"),
        (&["key", "sheet", missing], missing, "coffer key new"),
        (&["key", "test", missing], missing, "coffer key new"),
        (&["key", "show", bad], bad, "name another file"),
        (&["key", "new", "--to", bad], bad, "name another file with --to"),
        (&["key", "new", "--to", nowhere.to_str().unwrap()], "no/folder/key", "make it"),
    ] {
        let refused = coffer(arguments).output().unwrap();
        let said = stderr_of(&refused);
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(said.contains(file) && said.contains(advice), "{arguments:?}: {said}");
        assert_eq!(said.matches(file).count(), 1, "{arguments:?}: {said}");
    }
}

#[test]
fn a_key_of_the_configuration_that_is_missing_or_another_one_is_said_before_the_first_backup() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let (wanted, public) = new_key(folder.path(), "wanted");
    let (other, other_public) = new_key(folder.path(), "other");
    let missing = folder.path().join("missing");
    let start = |files: String| {
        let server = TestServer::builder()
            .instance_sqlite("shop", &path)
            .toml(&format!(
                "[encryption]\nrecipients = [\"{public}\"]\napplies_to = \"both\"\nidentity_files = [{files}]"
            ))
            .allow_warning("was never tried")
            .allow_warning("cannot be read with it")
            .allow_warning("none of the secret keys");
        server.start()
    };
    let said = |server: &TestServer| {
        let health = server.admin().get("health").with_status(200).json()["health"].take();
        let doctor = String::from_utf8(server.run(&["doctor"]).stdout).unwrap();
        let found = health["problems"].as_array().unwrap().iter();
        let message =
            found.filter(|it| it["kind"] == "key_unusable").map(|it| it["message"].to_string());
        (message.collect::<String>(), doctor)
    };
    // The one that is missing takes nothing from the one that is there.
    let server = start(format!("{missing:?}, {wanted:?}"));
    let (health, doctor) = said(&server);
    for text in [&health, &doctor, &server.log().text()] {
        assert!(text.contains(missing.to_str().unwrap()), "{text}");
    }
    assert!(doctor.contains("a key on this machine reads them"), "{doctor}");
    let full = server.admin().full("shop");
    let to = folder.path().join("restored.db");
    server.run_ok(&["restore", id_of(&full), "--to", to.to_str().unwrap()]);
    drop(server);
    let server = start(format!("{other:?}"));
    let (health, doctor) = said(&server);
    for text in [&health, &doctor, &server.log().text()] {
        let named = text.contains(&other_public) && text.contains(&public);
        assert!(named && text.contains("none of the secret keys"), "{text}");
    }
    drop(server);
    let server = start(format!("{wanted:?}"));
    assert_eq!(said(&server).0, "");
}
