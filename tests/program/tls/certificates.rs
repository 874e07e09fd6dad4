//! Certificates of the port: renewed, wrong, near their end, and as credentials.

use super::*;

/// Has the server read its files again, and waits until it says this.
#[track_caller]
fn reload(server: &TestServer, expected: &str) -> String {
    let from = server.log().len();
    let pid = Pid::from_raw(server.pid().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let said = server.log().wait_for(expected, from);
    said.unwrap_or_else(|| panic!("{expected}:\n{}", server.log().text()))
}

#[test]
fn a_renewed_certificate_is_for_new_connections_and_a_wrong_one_leaves_the_old() {
    let files = Files::new();
    let mut server = files.server().allow_warning("the certificate is not taken over").start();
    let first = in_file(&files.certificate());
    assert_eq!(shown(&files, &server), first);
    let mut open = files.connect(&server);
    assert!(ask(&mut open, HEALTH).starts_with("HTTP/1.1 200"));

    files.issue(LONG);
    let second = in_file(&files.certificate());
    assert_ne!(first, second);
    assert_eq!(shown(&files, &server), first, "nobody has said that there is another one");
    reload(&server, "TLS: the certificate");
    assert_eq!(shown(&files, &server), second);
    assert!(ask(&mut open, HEALTH).starts_with("HTTP/1.1 200"), "an open connection goes on");

    let kept = files.path("kept.pem");
    std::fs::copy(files.certificate(), &kept).unwrap();
    server.trust(&kept);
    let key = std::fs::read(files.key()).unwrap();
    files.issue(("20200101000000Z", "20210101000000Z"));
    let said = reload(&server, "the certificate is not taken over, the old one stays in use");
    assert!(said.contains("ended on 2021-01-01T00:00:00 UTC: renew it"), "{said}");
    // A key of another certificate.
    files.issue(LONG);
    write_file(&files.key(), &key);
    let said = reload(&server, "the certificate is not taken over");
    assert!(said.contains("does not belong to the certificate"), "{said}");
    write_file(&files.key(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    reload(&server, "the private key");
    std::fs::remove_file(files.certificate()).unwrap();
    let said = reload(&server, "the certificate is not taken over");
    assert!(said.contains("certificate.pem cannot be read"), "{said}");
    assert_eq!(shown(&files, &server), second);
    assert!(ask(&mut open, HEALTH).starts_with("HTTP/1.1 200"));
    assert!(!server.log().text().contains("AAAA"));
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_mends_it() {
    let files = Files::new();
    let status = Command::new("chmod").arg("644").arg(files.key()).status();
    assert!(status.unwrap().success());
    let serve = || {
        // One that is not refused would serve for ever.
        let mut serve = Command::new("timeout");
        serve.args(["60", env!("CARGO_BIN_EXE_coffer")]);
        serve.env("COFFER__DATA_DIR", files.path("data"));
        serve.env("COFFER__SERVER__LISTEN", "127.0.0.1:0");
        serve.args(["serve", "--config", "/dev/null"]);
        serve
    };
    let mut refused = serve();
    refused.env("COFFER__SERVER__TLS__CERTIFICATE", files.certificate());
    refused.env("COFFER__SERVER__TLS__PRIVATE_KEY", files.key());
    let output = refused.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr_of(&output);
    assert!(said.contains(&format!("chmod 600 {}", files.key().display())), "{said}");
    assert!(!files.path("data").exists(), "nothing is made before");

    let mut refused = serve();
    refused.env("COFFER__SERVER__TLS__CERTIFICATE", files.certificate());
    let output = refused.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr_of(&output);
    assert!(said.contains("server.tls.private_key is empty"), "{said}");
}

/// What the doctor finds of TLS: the level and the text of each.
fn findings(server: &TestServer, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut doctor = server.command(&["doctor", "--json"]);
    doctor.env("COFFER__SERVER__LISTEN", address(server).to_string());
    let output = doctor.envs(settings.iter().copied()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["findings"].as_array().unwrap().iter().filter(|it| it["check"] == "TLS");
    all.map(|it| (it["level"].as_str().unwrap().to_owned(), it["found"].to_string())).collect()
}

/// A moment as OpenSSL writes it, so many days from now.
fn in_days(days: u64) -> String {
    let then = SystemClock.now().plus(Duration::from_secs(days * 24 * 3600 + 600));
    format!("{}Z", then.to_wire().replace(['-', ':', 'T'], ""))
}

#[test]
fn a_certificate_that_ends_soon_is_said_by_the_log_the_alerts_and_the_doctor() {
    let files = Files::new();
    let (begin, end) = ("20260101000000Z", in_days(5));
    files.issue((begin, &end));
    let server = files.server().allow_warning("ends in 5 days").start();
    let said = server.log().wait_for("WARN", 0).unwrap();
    assert!(
        said.contains("ends in 5 days") && said.contains("clients refuse to connect then"),
        "{said}"
    );
    let alert = || {
        let alerts = server.admin().get("alerts?all_projects=true").with_status(200).json();
        let all = alerts["alerts"].as_array().unwrap().clone();
        all.iter().find(|it| it["kind"] == "certificate_ends").map(drop)
    };
    wait_until("the alert", alert);
    let found = findings(&server, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "warning" && found[0].1.contains("ends in 5 days"), "{found:?}");

    files.issue((begin, &in_days(90)));
    let found = findings(&server, &[]);
    assert_eq!(found[0].0, "ok", "{found:?}");
    assert!(found[1].1.contains("does not show the certificate"), "{found:?}");
    reload(&server, "TLS: the certificate");
    wait_until("what the server says of itself", || {
        let health = server.anonymous().get("/healthcheck").json();
        (health["notices"] == json!([])).then_some(())
    });
    assert_eq!(findings(&server, &[]).len(), 1);
}

#[test]
fn the_doctor_says_what_is_wrong_with_certificate_and_key() {
    let files = Files::new();
    let server = files.server().start();
    let found = findings(&server, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == "ok" && found[0].1.contains("belongs to its key"), "{found:?}");
    let public = |url| findings(&server, &[("COFFER__SERVER__PUBLIC_URL", url)]);
    assert_eq!(public("https://backup.example.org").len(), 1);
    assert_eq!(public("https://127.0.0.1:8779/a").len(), 1);
    let found = public("https://other.example.org");
    assert_eq!(found[1].0, "warning", "{found:?}");
    let expected = "is for backup.example.org, and not for other.example.org";
    assert!(found[1].1.contains(expected), "{found:?}");

    let kept = [files.certificate(), files.key()].map(|it| std::fs::read(it).unwrap());
    files.issue(("20200101000000Z", "20210101000000Z"));
    let found = findings(&server, &[]);
    assert!(found[0].0 == "problem" && found[0].1.contains("ended on 2021-01-01"), "{found:?}");
    write_file(&files.certificate(), &kept[0]);
    let found = findings(&server, &[]);
    assert!(found[0].0 == "problem" && found[0].1.contains("does not belong"), "{found:?}");
    write_file(&files.key(), &kept[1]);
    assert_eq!(findings(&server, &[])[0].0, "ok");
    std::fs::set_permissions(files.key(), Permissions::from_mode(0o640)).unwrap();
    chown(files.key(), Some(1), None).unwrap_or_default();
    let found = findings(&server, &[]);
    assert!(found[0].0 == "problem" && found[0].1.contains("(mode 0640)"), "{found:?}");
}

#[test]
fn certificate_and_key_may_be_credentials_of_systemd_which_only_the_service_has() {
    let files = Files::new();
    // As systemd sets it: the folder is closed to others.
    std::fs::set_permissions(files.key(), Permissions::from_mode(0o440)).unwrap();
    let mut server = TestServer::builder()
        .env("CREDENTIALS_DIRECTORY", files.folder.path().to_str().unwrap())
        .setting("server.tls.certificate", "certificate.pem")
        .setting("server.tls.private_key", "key.pem")
        .start();
    server.trust(&files.certificate());
    assert_eq!(shown(&files, &server), in_file(&files.certificate()));
    server.set_env("CREDENTIALS_DIRECTORY", None);
    let found = findings(&server, &[]);
    assert!(found[0].0 == "warning" && found[0].1.contains("cannot be checked here"), "{found:?}");
    let output = by_port(&server, &["list"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr_of(&output);
    assert!(said.contains("certificate.pem is a systemd credential"), "{said}");
    assert!(server.run(&["list"]).status.success(), "by the socket it works");
}
