//! Sends requests to services.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error};

use crate::domain::Secret;

use super::request::Request;
use super::{Authorities, NotifyError, Result, Service};

/// How long a service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is read of an answer, in bytes, and shown of it, in characters.
const ANSWER_READ: u64 = 4096;
const ANSWER_SHOWN: usize = 200;

/// Secrets are this long at least, in bytes.
const SECRET_LENGTH: usize = 8;

/// Sends a request and waits for the answer. `secrets` are taken out of what is said of it.
pub(super) fn send(
    service: Service,
    request: Request,
    secrets: &[Option<&Secret>],
    authorities: &Authorities,
) -> Result<String> {
    let Request { url, headers, body } = request;
    let no_answer =
        |error: &Error| NotifyError::NoAnswer { service: service.name(), reason: why(error) };
    let mut post = agent(&url, authorities)?.post(url.reveal());
    for (name, value) in &headers {
        post = post.header(*name, value.reveal());
    }
    let mut answer = post.send(body.as_str()).map_err(|error| no_answer(&error))?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(ANSWER_READ).lossy_utf8(true).read_to_string();
    // An answer that is too long, or that breaks off, has said the important part in its status.
    let text = shown(&text.unwrap_or_default(), &url, secrets);
    // Healthchecks says so of a check that does not exist, with the status of success.
    let unknown = service == Service::Healthchecks && text.contains("not found");
    if !status.is_success() || unknown {
        let (service, status) = (service.name(), status.as_u16());
        return Err(NotifyError::Refused { service, status, answer: text });
    }
    Ok(format!("{} answered {}", service.name(), status.as_u16()))
}

/// The beginning of an answer in one line, without the secrets that it may repeat: those that were sent, and each part of
/// the URL behind the host that is long enough to be one.
fn shown(text: &str, url: &Secret, secrets: &[Option<&Secret>]) -> String {
    let behind_host = url.reveal().splitn(4, '/').nth(3).unwrap_or_default();
    let parts = behind_host.split(['/', '?', '&', '=', '#']).filter(|it| it.len() >= SECRET_LENGTH);
    let parts: Vec<Secret> = parts.map(|it| Secret::new(it.to_owned())).collect();
    let mut text = text.to_owned();
    for secret in secrets.iter().flatten().copied().chain([url]).chain(&parts) {
        text = secret.redact(&text);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|it| !it.is_control()).take(ANSWER_SHOWN).collect()
}

/// An agent for one request: nothing of it stays in memory afterwards.
fn agent(url: &Secret, authorities: &Authorities) -> Result<Agent> {
    let encrypted = url.reveal().starts_with("https:");
    let found = if encrypted { authorities.certificates()? } else { Vec::new() };
    let roots = if found.is_empty() {
        RootCerts::WebPki
    } else {
        let certificates = found.iter().map(|it| Certificate::from_der(it).to_owned());
        RootCerts::Specific(Arc::new(certificates.collect()))
    };
    let tls = TlsConfig::builder().root_certs(roots).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("coffer/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls);
    Ok(config.build().into())
}

/// What went wrong. Not the error's own text: it may hold the URL.
fn why(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        Error::HostNotFound => "the host is not known: check the URL and the DNS".to_owned(),
        Error::ConnectionFailed => "the connection failed".to_owned(),
        Error::Tls(what) => format!("TLS: {what}"),
        Error::Rustls(error) => format!("TLS: {error}"),
        Error::BadUri(_) | Error::Http(_) => "the URL cannot be used".to_owned(),
        Error::Protocol(error) => format!("the answer is not HTTP: {error}"),
        _ => "the request failed".to_owned(),
    }
}
