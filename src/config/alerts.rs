//! Channels that tell people what is wrong: entries of `[[alerts]]`, and who hears of what.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, Secret};
use crate::policy::{AlertRoute, AlertRoutes, Digest, Schedule, Span};

use super::keep::{Wrong, optional, read};
use super::{Config, InstanceConfig, PolicyConfig};

/// The times of a digest that names none.
const DAILY: &str = "daily 08:00";
const WEEKLY: &str = "weekly mon 08:00";

/// A channel: where its messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct AlertConfig {
    pub name: String,
    #[serde(default)]
    pub webhook: Option<SecretConfig>,
    #[serde(default)]
    pub ntfy: Option<SecretConfig>,
    #[serde(default)]
    pub slack: Option<SecretConfig>,
    #[serde(default)]
    pub discord: Option<SecretConfig>,
    #[serde(default)]
    pub gotify: Option<SecretConfig>,
    #[serde(default)]
    pub healthchecks: Option<SecretConfig>,
    #[serde(default)]
    pub token: Option<SecretConfig>,
    #[serde(default)]
    pub email: Option<EmailConfig>,
    #[serde(default)]
    pub command: Option<Vec<String>>,
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Where e-mail is sent from and to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml explains every key")]
pub struct EmailConfig {
    pub smtp: String,
    pub from: String,
    pub to: String,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub tls: Option<String>,
}

/// Services that are reached by a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum AlertService {
    Webhook,
    Ntfy,
    Slack,
    Discord,
    Gotify,
    Healthchecks,
}

/// A text that may not be shown: in the configuration, or in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "this is neither a text nor { file = \"…\" }")]
pub enum SecretConfig {
    /// The text itself.
    Text(Secret),
    /// A file, or the name of a systemd credential.
    File {
        /// Its path, or the credential's name.
        file: PathBuf,
    },
}

/// Where the messages of a channel go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertTarget<'c> {
    /// To a service.
    Service(AlertService, &'c SecretConfig),
    /// To people, by e-mail.
    Email(&'c EmailConfig),
    /// To a program, with its arguments.
    Command(&'c [String]),
}

impl AlertConfig {
    /// Where its messages go. `None`: nowhere, or to several places; a loaded configuration has no such channel.
    pub fn target(&self) -> Option<AlertTarget<'_>> {
        let mut targets = self.services();
        targets.extend(self.email.as_ref().map(AlertTarget::Email));
        targets.extend(self.command.as_deref().map(AlertTarget::Command));
        targets.pop().filter(|_| targets.is_empty())
    }

    fn services(&self) -> Vec<AlertTarget<'_>> {
        let all = [
            (AlertService::Webhook, &self.webhook),
            (AlertService::Ntfy, &self.ntfy),
            (AlertService::Slack, &self.slack),
            (AlertService::Discord, &self.discord),
            (AlertService::Gotify, &self.gotify),
            (AlertService::Healthchecks, &self.healthchecks),
        ];
        let each =
            all.into_iter().filter_map(|(service, url)| url.as_ref().map(|it| (service, it)));
        each.map(|(service, url)| AlertTarget::Service(service, url)).collect()
    }

    fn digest(&self) -> Result<Option<Schedule>, String> {
        match self.digest.as_deref() {
            None | Some("") => Ok(None),
            Some("daily") => read(DAILY).map(Some),
            Some("weekly") => read(WEEKLY).map(Some),
            Some(text) => read(text).map(Some),
        }
    }

    fn hears_of_each_backup(&self) -> bool {
        self.healthchecks.is_some()
    }

    /// What is wrong with it.
    fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let mut add = |key: &str, why: String| wrong.push((key.to_owned(), why));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(letter) {
            add("name", "must have 1 to 64 of A-Z a-z 0-9 _ - .".to_owned());
        }
        if self.target().is_none() {
            let why = "needs exactly one of webhook, ntfy, slack, discord, gotify, healthchecks, email, command";
            add("channel", why.to_owned());
        }
        let takes_token = matches!(
            self.target(),
            Some(AlertTarget::Service(
                AlertService::Webhook | AlertService::Ntfy | AlertService::Gotify,
                _
            ))
        );
        if self.token.is_some() && !takes_token {
            add("token", "is only for webhook, ntfy and gotify".to_owned());
        }
        if let Some(file) = &self.ca_file {
            if self.command.is_some() {
                add("ca_file", "is of no use to a command".to_owned());
            } else if !file.is_absolute() {
                add("ca_file", format!("is {}; use an absolute path", file.display()));
            }
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            add("command", "names no program".to_owned());
        }
        if let Err(why) = self.digest() {
            add("digest", why);
        }
        if self.hears_of_each_backup() && self.digest.as_ref().is_some_and(|it| !it.is_empty()) {
            add("digest", "is of no use to healthchecks; add a channel of another kind".to_owned());
        }
        wrong
    }
}

impl PolicyConfig {
    fn reminder(&self) -> Result<Span, String> {
        optional::<Span>(&self.reminder).map(Option::unwrap_or_default)
    }
}

impl Config {
    /// Who hears of what, where the configuration was loaded.
    pub fn alert_routes(&self) -> AlertRoutes {
        let default = AlertRoute {
            channels: self.defaults.alerts.clone(),
            reminder: self.defaults.reminder().unwrap_or_default(),
        };
        let route = |it: &InstanceConfig| {
            let own = it.reminder.as_deref().and_then(|text| optional::<Span>(text).ok());
            let reminder = own.map_or(default.reminder, Option::unwrap_or_default);
            let channels = it.alerts.as_ref().unwrap_or(&default.channels).clone();
            (it.instance_id(), AlertRoute { channels, reminder })
        };
        let instances: HashMap<InstanceId, AlertRoute> = self.instances.iter().map(route).collect();
        let pinged = self.alerts.iter().filter(|it| it.hears_of_each_backup());
        let pinged: BTreeSet<String> = pinged.map(|it| it.name.clone()).collect();
        let digest = |it: &AlertConfig| {
            Some(Digest { channel: it.name.clone(), schedule: it.digest().ok().flatten()? })
        };
        let digests = self.alerts.iter().filter_map(digest).collect();
        AlertRoutes { default, instances, pinged, digests, zone: self.defaults.zone_or_utc() }
    }
}

/// What is wrong with the channels and with what names them: the whole key, and the rest of the sentence.
pub(super) fn wrong_alerts(config: &Config) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for (index, alert) in config.alerts.iter().enumerate() {
        let key = |field: &str| format!("alerts[{index}] ({}): {field}", alert.name);
        wrong.extend(alert.wrong().into_iter().map(|(field, why)| (key(&field), why)));
        if !names.insert(alert.name.as_str()) {
            wrong
                .push((key("name"), "is used by another channel; names must be unique".to_owned()));
        }
    }
    let mut undefined = |key: String, channels: &[String]| {
        for channel in channels.iter().filter(|it| !names.contains(it.as_str())) {
            let why = format!("names {channel:?}, but no [[alerts]] has this name");
            wrong.push((key.clone(), why));
        }
    };
    undefined("defaults.alerts".to_owned(), &config.defaults.alerts);
    for (index, instance) in config.instances.iter().enumerate() {
        let key = format!("instances[{index}] ({}): alerts", instance.name);
        undefined(key, instance.alerts.as_deref().unwrap_or_default());
    }
    if let Err(why) = config.defaults.reminder() {
        wrong.push(("defaults.reminder".to_owned(), why));
    }
    for (index, instance) in config.instances.iter().enumerate() {
        if let Some(Err(why)) = instance.reminder.as_deref().map(optional::<Span>) {
            wrong.push((format!("instances[{index}] ({}): reminder", instance.name), why));
        }
    }
    wrong
}
