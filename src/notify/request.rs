//! What each service gets: its URL, its headers, its body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::domain::{DeliveryId, Secret};
use crate::policy::{AlertEvent, Message, ProblemKind, Severity};

use super::{NotifyError, Result};

/// Stands in a URL for the name of the instance.
pub(super) const INSTANCE: &str = "{instance}";

/// What Discord takes of a message; the others take more.
const DISCORD_CHARS: usize = 1900;

/// What is sent of any message.
const MOST_CHARS: usize = 8000;

/// Services that are reached by a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Webhook,
    Ntfy,
    Slack,
    Discord,
    Gotify,
    /// A monitor that hears when each backup begins and ends.
    Healthchecks,
}

impl Service {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "the webhook",
            Self::Ntfy => "ntfy",
            Self::Slack => "Slack",
            Self::Discord => "Discord",
            Self::Gotify => "Gotify",
            Self::Healthchecks => "the monitor",
        }
    }
}

/// A request to be sent by POST.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) url: Secret,
    /// Names and values.
    pub(super) headers: Vec<(&'static str, Secret)>,
    pub(super) body: String,
}

/// The message as JSON, with the id of its delivery, for programs.
pub(super) fn document(id: DeliveryId, message: &Message) -> Value {
    let mut document = json!(message);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.insert("host".to_owned(), json!(host()));
    }
    document
}

/// The name of this machine.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Title and text, for people who may watch several machines.
pub(super) fn title(message: &Message) -> String {
    let title: String =
        message.title.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    format!("[{}] {title}", host())
}

pub(super) fn body(message: &Message) -> String {
    cut(&message.body(), MOST_CHARS)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The request for a message; `None`: a monitor need not hear of it.
pub(super) fn of(
    service: Service,
    url: &Secret,
    token: Option<&Secret>,
    (id, message, all_well): (DeliveryId, &Message, bool),
) -> Result<Option<Request>> {
    check_url(service, url)?;
    let mut url = expanded(url.reveal(), message);
    let secret = |text: &str| Secret::new(text.to_owned());
    let mut headers = vec![("Idempotency-Key", secret(&id.to_string()))];
    let json = ("Content-Type", secret("application/json"));
    let plain = ("Content-Type", secret("text/plain; charset=utf-8"));
    let bearer = token.map(|it| ("Authorization", secret(&format!("Bearer {}", it.reveal()))));
    let body = match service {
        Service::Webhook => {
            headers.extend([json].into_iter().chain(bearer));
            document(id, message).to_string()
        }
        Service::Ntfy => {
            headers.extend([plain].into_iter().chain(bearer));
            headers.push(("X-Title", secret(&header_text(&title(message)))));
            headers.push(("X-Priority", secret(&priority(message).to_string())));
            headers.push(("X-Tags", secret(tag(message))));
            body(message)
        }
        Service::Slack => {
            headers.push(json);
            let (title, text) = (slack_text(&title(message)), slack_text(&body(message)));
            json!({ "text": format!("*{title}*\n{text}") }).to_string()
        }
        Service::Discord => {
            headers.push(json);
            let text = format!("**{}**\n{}", title(message), body(message));
            json!({ "content": cut(&text, DISCORD_CHARS), "allowed_mentions": { "parse": [] } })
                .to_string()
        }
        Service::Gotify => {
            headers.push(json);
            headers.extend(token.map(|it| ("X-Gotify-Key", it.clone())));
            url = with_path(&url, "message");
            let priority = priority(message) * 2;
            json!({ "title": title(message), "message": body(message), "priority": priority })
                .to_string()
        }
        Service::Healthchecks => {
            let Some(signal) = signal(message, all_well) else { return Ok(None) };
            headers.push(plain);
            url = with_path(&url, signal);
            format!("{}\n{}", message.title, body(message))
        }
    };
    Ok(Some(Request { url: Secret::new(url), headers, body }))
}

/// Fails unless it is a URL that can be asked.
pub(super) fn check_url(service: Service, url: &Secret) -> Result<()> {
    let text = url.reveal();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`|".contains(&byte));
    if rest.and_then(|it| it.split(['/', '?', '#']).next()).is_some_and(|it| it.contains('@')) {
        let why = "names a user, which is not sent; remove it, and set token";
        return Err(NotifyError::Settings(format!("the URL of {} {why}", service.name())));
    }
    let named = rest.is_some_and(|it| !it.is_empty() && !it.starts_with(['/', '?', '#', ':']));
    if named && plain {
        return Ok(());
    }
    let what = service.name();
    Err(NotifyError::Settings(format!(
        "the URL of {what} is none: it has to begin with https:// or http:// and hold only the characters of a URL"
    )))
}

/// The URL with the instance's name in its place.
fn expanded(url: &str, message: &Message) -> String {
    let name = message.instance.as_ref().map_or("coffer", |it| it.name.as_str());
    let slug: String = name.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-");
    url.replace(INSTANCE, &utf8_percent_encode(&slug, SLUG).to_string())
}

/// What is escaped of a name.
const SLUG: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The URL with this at the end of its path, unless it is there already, and before its query.
fn with_path(url: &str, end: &str) -> String {
    let (path, query) =
        url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let path = path.trim_end_matches('/');
    let path = if end.is_empty() || path.rsplit('/').next() == Some(end) {
        path.to_owned()
    } else {
        format!("{path}/{end}")
    };
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

/// What a monitor gets, as the end of its path; an empty one is success. It is well only if all is.
fn signal(message: &Message, all_well: bool) -> Option<&'static str> {
    // It hears of each backup, so a failure is no news, and what the next success ends is not over before.
    let is_news = message.kind != Some(ProblemKind::Failed);
    let lasts = message.kind.is_some_and(ProblemKind::ends_with_success);
    let critical = message.severity == Some(Severity::Critical);
    match message.event {
        AlertEvent::BackupStarted => Some("start"),
        AlertEvent::BackupSucceeded if all_well => Some(""),
        AlertEvent::BackupSucceeded | AlertEvent::BackupFailed => Some("fail"),
        AlertEvent::Began if critical && is_news => Some("fail"),
        AlertEvent::Ended if critical && !lasts && all_well => Some(""),
        AlertEvent::Began | AlertEvent::Ended | AlertEvent::Reminder | AlertEvent::Digest => None,
        // So that a test does not make the check well or bad.
        AlertEvent::Test => Some("log"),
    }
}

/// 1 to 5.
fn priority(message: &Message) -> u8 {
    match (message.event, message.severity) {
        (AlertEvent::Began | AlertEvent::Reminder, Some(Severity::Critical)) => 5,
        (AlertEvent::BackupFailed | AlertEvent::Began, _) => 4,
        (AlertEvent::Digest, _) => 2,
        _ => 3,
    }
}

/// The symbol beside the title.
const fn tag(message: &Message) -> &'static str {
    match (message.event, message.severity) {
        (AlertEvent::Ended | AlertEvent::BackupSucceeded, _) => "white_check_mark",
        (AlertEvent::Began | AlertEvent::Reminder, Some(Severity::Critical))
        | (AlertEvent::BackupFailed, _) => "rotating_light",
        (AlertEvent::Began | AlertEvent::Reminder, _) => "warning",
        (AlertEvent::BackupStarted | AlertEvent::Digest | AlertEvent::Test, _) => "floppy_disk",
    }
}

/// A text in a header, as RFC 2047 writes it unless it is ASCII.
fn header_text(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain { text.to_owned() } else { format!("=?UTF-8?B?{}?=", STANDARD.encode(text)) }
}

/// Slack gives these characters a meaning.
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
