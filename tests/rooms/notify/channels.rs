//! What each kind of channel sends, to real receivers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use coffer::notify::{Command, Email, Security, Service};
use coffer::policy::ProblemKind;

use super::*;
use crate::receivers::MailReceiver;

/// What a service gets when a backup of the shop failed and when that is over.
fn sent(service: Service, path: &str, token: Option<&str>) -> Vec<Received> {
    let receiver = HttpReceiver::start();
    let mut channel = channel("it", service, &receiver.url(path));
    if let Target::Service(address) = &mut channel.target {
        address.token = token.map(|it| Credential::Text(Secret::new(it.to_owned())));
    }
    let mut house = House::new(vec![channel]);
    house.set_problems(&[problem(ProblemKind::Damaged, Some(shop()))]);
    house.tick_after(A_WHILE);
    house.set_problems(&[]);
    house.tick_after(A_WHILE);
    house.delivered();
    receiver.received()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[test]
fn a_webhook_gets_json_and_the_token_as_bearer() {
    let sent = sent(Service::Webhook, "/hook?a=1", Some("s3cret"));
    assert_eq!(
        (sent[0].path.as_str(), sent[0].header("authorization")),
        ("/hook?a=1", "Bearer s3cret")
    );
    assert_eq!(sent[0].header("content-type"), "application/json");
    assert_eq!(sent[0].json()["host"], host());
}

#[test]
fn ntfy_gets_title_priority_and_tags_as_headers() {
    let sent = sent(Service::Ntfy, "/backups", Some("tk_1"));
    let [began, ended] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(began.path, "/backups");
    assert_eq!(began.header("authorization"), "Bearer tk_1");
    let title = format!("[{}] shop: a backup is damaged or missing", host());
    assert_eq!(began.header("x-title"), title);
    assert_eq!((began.header("x-priority"), began.header("x-tags")), ("5", "rotating_light"));
    let since = "Since 2026-01-01T00:00:00Z.";
    assert_eq!(began.body, format!("what happened: damaged\nWhat to do: what to do\n{since}"));
    assert_eq!((ended.header("x-priority"), ended.header("x-tags")), ("3", "white_check_mark"));
}

#[test]
fn slack_discord_and_gotify_get_what_they_take() {
    let slack = sent(Service::Slack, "/services/T/B/x", None);
    let text = slack[0].json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with(&format!("*[{}] shop: a backup is damaged or missing*\n", host())),
        "{text}"
    );
    let discord = sent(Service::Discord, "/api/webhooks/1/x", None);
    let content = discord[0].json();
    assert!(content["content"].as_str().unwrap().contains("what happened: damaged"), "{content}");
    assert_eq!(content["allowed_mentions"]["parse"], serde_json::json!([]));
    let gotify = sent(Service::Gotify, "/sub/", Some("app"));
    assert_eq!(
        (gotify[0].path.as_str(), gotify[0].header("x-gotify-key")),
        ("/sub/message", "app")
    );
    assert_eq!(gotify[0].json()["priority"], 10);
}

#[test]
fn each_kind_of_alert_begins_and_ends_by_mail_too() {
    let receiver = MailReceiver::start();
    let folder = TempDir::new().unwrap();
    let password = secret_file(folder.path(), "hunter2");
    let login = Some(("coffer".to_owned(), Credential::File(password)));
    let (from, to) = ("Coffer <coffer@example.org>", "a@example.org, Bö <b@example.org>");
    let email = Email::new(&receiver.address(), Security::None, from, to, login).unwrap();
    let mut house =
        House::new(vec![Channel { name: "mail".to_owned(), target: Target::Email(email) }]);
    house.tick_after(A_WHILE);
    for kind in ProblemKind::ALL {
        house.set_problems(&[problem(*kind, Some(shop()))]);
        house.tick_after(60);
        house.set_problems(&[]);
        house.tick_after(60);
        house.delivered();
    }
    let mails = receiver.mails();
    assert_eq!(mails.len(), 2 * ProblemKind::ALL.len());
    for (pair, kind) in mails.chunks(2).zip(ProblemKind::ALL) {
        let [began, ended] = pair else { panic!() };
        let text = began.data.replace("=\n", "");
        assert!(text.contains(&format!("what happened: {}", kind.as_str())), "{text}");
        assert!(text.contains("Message-ID: <") && text.contains("@example.org>"), "{text}");
        assert!(ended.data.contains("over"), "{}", ended.data);
        assert_eq!(began.from, "MAIL FROM:<coffer@example.org>");
        assert_eq!(began.to, ["RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>"]);
        // Nothing, the user and the password, in Base64.
        assert_eq!(began.login, "AUTH PLAIN AGNvZmZlcgBodW50ZXIy");
    }
}

#[test]
fn mail_settings_that_make_no_sense_are_refused_with_the_key() {
    let new = |smtp: &str, security, from: &str, to: &str, login: bool| {
        let login = login.then(|| ("u".to_owned(), Credential::File("/p".into())));
        Email::new(smtp, security, from, to, login)
            .err()
            .map(|it| it.to_string())
            .unwrap_or_default()
    };
    let (from, to) = ("c@example.org", "a@example.org");
    assert_eq!(new("mail.example.org", Security::StartTls, from, to, true), "");
    assert_eq!(new("[::1]:2525", Security::None, from, to, true), "");
    for (found, key) in [
        (new("mail:port", Security::Tls, from, to, false), "email.smtp is \"mail:port\""),
        (new("mail", Security::Tls, "nobody", to, false), "email.from is \"nobody\""),
        (new("mail", Security::Tls, from, "", false), "email.to"),
        (
            new("mail", Security::None, from, to, true),
            "email.tls would send the password unencrypted",
        ),
    ] {
        assert!(found.starts_with(key), "{found}");
    }
}

/// An executable file with this content.
fn script(folder: &Path, content: &str) -> String {
    let path = folder.join("on-alert");
    write_file(&path, &format!("#!/bin/sh\n{content}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test's own files need not survive a crash")]
fn write_file(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
}

/// A file that only its owner may read.
pub(super) fn secret_file(folder: &Path, secret: &str) -> std::path::PathBuf {
    let path = folder.join("secret");
    write_file(&path, &format!("{secret}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_command_gets_json_on_its_standard_input_and_its_arguments_without_a_shell() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let content = "cat > \"$2\"; printf %s \"$1\" > \"$2.arg\"; env > \"$2.env\"";
    let line =
        [script(folder.path(), content), "$HOME; rm".to_owned(), out.to_str().unwrap().to_owned()];
    let target = Target::Command(Command::new(&line).unwrap());
    let mut house = House::new(vec![Channel { name: "program".to_owned(), target }]);
    house.set_problems(&[problem(ProblemKind::RoomLow, None)]);
    house.tick_after(0);
    house.delivered();
    let read = |end: &str| std::fs::read_to_string(format!("{}{end}", out.display())).unwrap();
    let message: serde_json::Value = serde_json::from_str(&read("")).unwrap();
    assert_eq!((&message["kind"], &message["event"]), (&"room_low".into(), &"began".into()));
    assert_eq!(read(".arg"), "$HOME; rm");
    assert!(!read(".env").contains("CARGO"), "{}", read(".env"));
}

#[test]
fn a_command_that_fails_is_run_again_and_what_it_said_is_known() {
    let folder = TempDir::new().unwrap();
    let line = [script(folder.path(), "echo no network >&2; exit 3")];
    let target = Target::Command(Command::new(&line).unwrap());
    let mut house = House::new(vec![Channel { name: "program".to_owned(), target }]);
    house.set_problems(&[problem(ProblemKind::RoomLow, None)]);
    house.tick_after(0);
    let why = house.failed(1);
    assert!(why.ends_with("on-alert: ended with exit status: 3: no network"), "{why}");
    assert!(Command::new(&["sh".to_owned()]).is_err(), "which program that is depends on PATH");
}
