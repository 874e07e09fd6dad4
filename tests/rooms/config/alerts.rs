//! Channels for alerts, and who hears of what, as the configuration says it.

use std::time::Duration;

use coffer::config::{AlertService, AlertTarget, Config, ConfigError, SecretConfig};
use coffer::policy::AlertRoutes;
use coffer::server::alert_channels;
use rstest::rstest;

const INSTANCES: &str = "[[instances]]\nname = \"shop\"\nproject_id = \"p\"\nengine = \"sqlite\"\n\
                         source = { path = \"/srv/shop.db\" }\n";

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_toml(text, "test.toml")
}

/// The only problem of a configuration with this channel.
fn problem(channel: &str) -> String {
    match load(&format!("[[alerts]]\n{channel}")) {
        Err(ConfigError::Values(problems)) if problems.len() == 1 => problems[0].to_string(),
        other => panic!("{other:?}"),
    }
}

fn routes(own: &str) -> AlertRoutes {
    let text = format!(
        "[defaults]\nalerts = [\"ops\"]\n[[alerts]]\nname = \"ops\"\nntfy = \"https://n/t\"\ndigest = \"weekly\"\n\
         [[alerts]]\nname = \"monitor\"\nhealthchecks = \"https://h/1\"\n{INSTANCES}{own}"
    );
    load(&text).unwrap().alert_routes()
}

#[test]
fn without_channels_nobody_is_told_anything() {
    assert_eq!(load("").unwrap().alert_routes().default.channels, [""; 0]);
}

#[test]
fn an_instance_has_the_channels_of_the_defaults_or_its_own() {
    let shop = load(INSTANCES).unwrap().instances[0].instance_id();
    let routes_of = routes("");
    assert_eq!(routes_of.of(Some(shop)).channels, ["ops"]);
    assert_eq!(routes_of.of(Some(shop)).reminder.duration(), Duration::from_secs(86_400));
    assert_eq!(routes_of.of(None).channels, ["ops"], "those of the server as a whole");
    assert_eq!(routes_of.digests.len(), 1);
    assert_eq!(routes_of.digests[0].schedule.to_string(), "weekly mon 08:00");
    assert_eq!(routes_of.pinged_of(shop).count(), 0);
    let own = routes("alerts = [\"ops\", \"monitor\"]\nreminder = \"0\"");
    assert_eq!(own.of(Some(shop)).channels, ["ops", "monitor"]);
    assert_eq!(own.of(Some(shop)).reminder.duration(), Duration::ZERO);
    assert_eq!(own.pinged_of(shop).collect::<Vec<_>>(), ["monitor"]);
    assert_eq!(routes("alerts = []").of(Some(shop)).channels, [""; 0], "nobody hears of this one");
}

#[test]
fn a_url_is_a_text_or_stands_in_a_file() {
    let config = load("[[alerts]]\nname = \"a\"\nslack = { file = \"slack-url\" }").unwrap();
    let file = SecretConfig::File { file: "slack-url".into() };
    assert_eq!(config.alerts[0].target(), Some(AlertTarget::Service(AlertService::Slack, &file)));
    let wrong = load("[[alerts]]\nname = \"a\"\nslack = { path = \"x\" }").unwrap_err().to_string();
    assert!(wrong.contains("neither a text nor { file = "), "{wrong}");
}

#[rstest]
#[case("name = \"a\"", "channel needs exactly one of webhook, ntfy, slack")]
#[case(
    "name = \"a\"\nntfy = \"https://n\"\ncommand = [\"/bin/x\"]",
    "channel needs exactly one of"
)]
#[case("name = \"a b\"\nntfy = \"https://n\"", "name must have 1 to 64 of")]
#[case(
    "name = \"a\"\nslack = \"https://s\"\ntoken = \"t\"",
    "token is only for webhook, ntfy and gotify"
)]
#[case("name = \"a\"\ncommand = []", "command names no program")]
#[case(
    "name = \"a\"\nntfy = \"https://n\"\ndigest = \"often\"",
    "digest \"often\" is not a schedule"
)]
#[case("name = \"a\"\nhealthchecks = \"https://h\"\ndigest = \"daily\"", "digest is of no use")]
fn a_channel_that_makes_no_sense_is_named_with_its_key(#[case] channel: &str, #[case] why: &str) {
    let found = problem(channel);
    assert!(found.starts_with("alerts[0] (a") && found.contains(why), "{found}");
}

#[test]
fn a_channel_that_is_named_and_not_defined_is_named_where_that_is() {
    let text = format!(
        "[defaults]\nalerts = [\"ops\"]\nreminder = \"soon\"\n{INSTANCES}alerts = [\"mail\"]"
    );
    let Err(ConfigError::Values(problems)) = load(&text) else { panic!() };
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(problems[0], "defaults.alerts names \"ops\", but no [[alerts]] has this name");
    assert!(problems[1].starts_with("instances[0] (shop): alerts names \"mail\""), "{problems:?}");
    assert!(problems[2].starts_with("defaults.reminder \"soon\" is not a time"), "{problems:?}");
}

#[rstest]
#[case("email = { smtp = \"m\", from = \"x\", to = \"a@b.c\" }", "email.from is \"x\"")]
#[case(
    "email = { smtp = \"m\", from = \"a@b.c\", to = \"a@b.c\", user = \"u\" }",
    "email.user is set; set"
)]
#[case(
    "email = { smtp = \"m\", from = \"a@b.c\", to = \"a@b.c\", tls = \"ssl\" }",
    "email.tls has to be"
)]
#[case("command = [\"notify\"]", "command has to begin with an absolute path")]
fn settings_of_mail_and_commands_are_checked_at_the_start(#[case] line: &str, #[case] why: &str) {
    let config = load(&format!("[[alerts]]\nname = \"a\"\n{line}")).unwrap();
    let error = alert_channels(&config).unwrap_err().to_string();
    let expected = format!("the channel \"a\" of the configuration's [[alerts]]: {why}");
    assert!(error.starts_with(&expected), "{error}");
}
