//! No secret of a channel is shown anywhere.

use std::os::unix::fs::PermissionsExt as _;

use coffer::config::Config;
use coffer::notify::{Email, Security, Service};
use coffer::policy::ProblemKind;
use coffer::server::alert_channels;

use super::channels::secret_file;
use super::*;
use crate::receivers::MailReceiver;

const SECRET: &str = "T0psecret-value";

/// Why the first attempt failed.
fn why(channel: Channel) -> String {
    let mut house = House::new(vec![channel]);
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(0);
    house.failed(1)
}

#[test]
fn an_error_does_not_show_the_url_or_the_token_that_the_receiver_repeats() {
    let receiver = HttpReceiver::start();
    let url = receiver.url(&format!("/services/{SECRET}/x?key={SECRET}"));
    receiver.answer_next(403, &format!("no service /services/{SECRET}/x?key={SECRET} at {url}"));
    let refused = why(channel("ops", Service::Slack, &url));
    assert!(
        refused.starts_with("Slack answered 403: no service") && !refused.contains(SECRET),
        "{refused}"
    );
    let nobody = why(channel("ops", Service::Slack, &format!("http://127.0.0.1:1/{SECRET}")));
    assert!(nobody.contains("Connection refused") && !nobody.contains(SECRET), "{nobody}");
    let no_url = why(channel("ops", Service::Ntfy, &format!("ntfy.example.org/{SECRET}")));
    assert!(no_url.contains("has to begin with https://") && !no_url.contains(SECRET), "{no_url}");
    receiver.answer_next(401, &format!("wrong token {SECRET}"));
    let mut with_token = channel("ops", Service::Ntfy, &receiver.url("/t"));
    if let Target::Service(address) = &mut with_token.target {
        address.token = Some(Credential::Text(Secret::new(SECRET.to_owned())));
    }
    let refused = why(with_token);
    assert_eq!(refused, "ntfy answered 401: wrong token [secret]");
}

#[test]
fn a_mail_server_that_repeats_the_password_is_quoted_without_it() {
    let receiver = MailReceiver::start();
    receiver.refuse_passwords();
    let folder = TempDir::new().unwrap();
    let file = secret_file(folder.path(), SECRET);
    let login = Some(("coffer".to_owned(), Credential::File(file)));
    let (from, to) = ("c@example.org", "a@example.org");
    let email = Email::new(&receiver.address(), Security::None, from, to, login).unwrap();
    let refused = why(Channel { name: "mail".to_owned(), target: Target::Email(email) });
    // As the client sent it: in Base64 with the user.
    assert!(refused.contains("535") && !refused.contains("VDBwc2VjcmV0"), "{refused}");
}

#[test]
fn a_secret_in_a_file_that_others_may_read_is_refused_and_one_that_changed_is_read_again() {
    let receiver = HttpReceiver::start();
    let folder = TempDir::new().unwrap();
    let file = secret_file(folder.path(), &receiver.url("/one"));
    let mut channel = channel("ops", Service::Webhook, "");
    if let Target::Service(address) = &mut channel.target {
        address.url = Credential::File(file.clone());
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = channel.check().unwrap_err().to_string();
    assert!(refused.contains("(mode 0640): chmod 600"), "{refused}");
    let mut house = House::new(vec![channel]);
    house.set_problems(&[problem(ProblemKind::Failed, Some(shop()))]);
    house.tick_after(0);
    assert_eq!(house.failed(1), refused);
    secret_file(folder.path(), &receiver.url("/two"));
    house.tick_after(10);
    house.delivered();
    assert_eq!(receiver.received()[0].path, "/two");
}

#[test]
fn neither_the_configuration_nor_a_channel_shows_a_secret() {
    let text = format!(
        "[[alerts]]\nname = \"ops\"\nntfy = \"https://ntfy.example.org/t?auth={SECRET}\"\ntoken = \"{SECRET}\"\n\
         [defaults]\nalerts = [\"ops\"]\n"
    );
    let config = Config::from_toml(&text, "test.toml").unwrap();
    let channels = alert_channels(&config).unwrap();
    for shown in [
        format!("{config:?}"),
        serde_json::to_string(&config).unwrap(),
        format!("{channels:?}"),
        format!("{:?}", config.alert_routes()),
    ] {
        assert!(shown.contains("ops") && !shown.contains(SECRET), "{shown}");
    }
}
