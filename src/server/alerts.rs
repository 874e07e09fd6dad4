//! The channels of the configuration, and the thread that tells them what is wrong.

use std::io;
use std::sync::Arc;
use std::thread;

use crate::access::AlertChannels;
use crate::config::{AlertConfig, AlertService, AlertTarget, Config, EmailConfig, SecretConfig};
use crate::domain::{Clock as _, DeliveryId, SystemClock, with_causes};
use crate::executor::Context;
use crate::notify::{
    Address, Authorities, Channel, Channels, Command, Credential, Email, Notifier, NotifyError,
    NotifyThread, Problems, Security, Service, Target,
};
use crate::policy::{AlertEvent, Message};
use crate::wire::ChannelTest;

use super::ServerError;

/// The channels of the configuration.
pub fn channels(config: &Config) -> Result<Vec<Channel>, ServerError> {
    config.alerts.iter().map(channel).collect()
}

fn channel(alert: &AlertConfig) -> Result<Channel, ServerError> {
    let name = alert.name.clone();
    match target(alert) {
        Ok(target) => Ok(Channel { name, target }),
        Err(source) => Err(ServerError::Alert { name, source }),
    }
}

fn target(alert: &AlertConfig) -> Result<Target, NotifyError> {
    let none = || NotifyError::Settings("it says not where messages go".to_owned());
    let authorities = Authorities::of(alert.ca_file.clone());
    Ok(match alert.target().ok_or_else(none)? {
        AlertTarget::Service(service, url) => Target::Service(Address {
            service: match service {
                AlertService::Webhook => Service::Webhook,
                AlertService::Ntfy => Service::Ntfy,
                AlertService::Slack => Service::Slack,
                AlertService::Discord => Service::Discord,
                AlertService::Gotify => Service::Gotify,
                AlertService::Healthchecks => Service::Healthchecks,
            },
            url: credential(url),
            token: alert.token.as_ref().map(credential),
            authorities,
        }),
        AlertTarget::Email(email) => Target::Email(to_email(email)?.trusting(authorities)),
        AlertTarget::Command(line) => Target::Command(Command::new(line)?),
    })
}

fn credential(secret: &SecretConfig) -> Credential {
    match secret {
        SecretConfig::Text(secret) => Credential::Text(secret.clone()),
        SecretConfig::File { file } => Credential::File(file.clone()),
    }
}

fn to_email(email: &EmailConfig) -> Result<Email, NotifyError> {
    let wrong = |why: &str| NotifyError::Settings(format!("email.{why}"));
    let security = match email.tls.as_deref() {
        None | Some("starttls") => Security::StartTls,
        Some("tls") => Security::Tls,
        Some("none") => Security::None,
        Some(_) => return Err(wrong("tls has to be \"starttls\", \"tls\" or \"none\"")),
    };
    let login = match (&email.user, &email.password_file) {
        (Some(user), Some(file)) => Some((user.clone(), Credential::File(file.clone()))),
        (None, None) => None,
        (Some(_), None) => return Err(wrong("user is set; set password_file too")),
        (None, Some(_)) => return Err(wrong("password_file is set; set user too")),
    };
    Email::new(&email.smtp, security, &email.from, &email.to, login)
}

/// Takes over the channels of the configuration: what waits for them is attempted at once, and what waits for others is
/// dropped.
pub(super) fn apply(new: Vec<Channel>, config: &Config, context: &Context, channels: &Channels) {
    channels.set(new);
    context.catalog.set_alert_routes(config.alert_routes());
    match context.catalog.retry_deliveries(channels.names()).wait() {
        Ok(dropped) => {
            for (channel, count) in dropped {
                log::warn!(
                    "{count} messages for channel {channel:?} are dropped: the configuration has it no more"
                );
            }
        }
        // The disk may be full or read-only; then they are attempted when they are due.
        Err(error) => log::debug!("messages wait as before: {}", with_causes(&error)),
    }
}

/// Starts the thread that tells people what is wrong.
pub(super) fn start(context: &Context, channels: &Arc<Channels>) -> io::Result<NotifyThread> {
    let (catalog, clock) = (Arc::clone(&context.catalog), Arc::clone(&context.clock));
    let bell = Arc::clone(&context.bell);
    let asked = Arc::clone(&catalog);
    let problems: Problems = Box::new(move || asked.problems());
    let notifier = Notifier::new(catalog, clock, Arc::clone(channels), Arc::clone(&bell), problems);
    NotifyThread::start(notifier, bell)
}

impl AlertChannels for Channels {
    fn names(&self) -> Vec<String> {
        Self::names(self)
    }

    fn test(&self, names: &[String]) -> Vec<ChannelTest> {
        let all = self.all();
        let asked: Vec<_> = all.iter().filter(|it| names.contains(&it.name)).cloned().collect();
        test_channels(&asked)
    }
}

/// Sends a test message through each of these channels, all at once, and waits for what comes back.
pub fn test_channels(channels: &[Channel]) -> Vec<ChannelTest> {
    thread::scope(|scope| {
        let tests = channels.iter().map(|channel| {
            let channel_name = channel.name.clone();
            (
                channel_name,
                scope.spawn(move || channel.send(DeliveryId::generate(), &test_message(), true)),
            )
        });
        let tests: Vec<_> = tests.collect();
        let ended = tests.into_iter().map(|(channel, test)| match test.join() {
            Ok(Ok(answer)) => ChannelTest { channel, delivered: true, answer },
            Ok(Err(error)) => ChannelTest { channel, delivered: false, answer: error.to_string() },
            Err(_panic) => {
                let answer = "the test panicked; the log has the place".to_owned();
                ChannelTest { channel, delivered: false, answer }
            }
        });
        ended.collect()
    })
}

fn test_message() -> Message {
    let text = "Somebody asked for this with coffer alert test. Nothing is wrong.".to_owned();
    Message::plain(AlertEvent::Test, None, SystemClock.now(), "this is a test", text)
}
