//! Tokens: what a login gets, and where the store is.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use ureq::http::{HeaderMap, Request, StatusCode};

use crate::storage::requests::{About, Answer, Call, Content, Refusal, Requests, read_answer};
use crate::storage::{Result, StorageError};

use super::SwiftSettings;
use super::login::Login;
use super::name::Name;

/// A token, and the address of the account that it is for.
pub(super) struct Session {
    pub(super) token: String,
    pub(super) url: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Session").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What Keystone says of a token, so far as it matters.
#[derive(Deserialize)]
struct Described {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

/// Logs in.
pub(super) fn begin(requests: &Requests, settings: &SwiftSettings) -> Result<Session> {
    let about = About { action: "logging in at", what: &settings.auth_url };
    let session = match settings.login.read()? {
        Login::Legacy { user, key } => legacy(requests, about, (&user, &key)),
        Login::Keystone(asked) => keystone(requests, settings, &asked),
    }?;
    Ok(Session { url: session.url.trim_end_matches('/').to_owned(), ..session })
}

fn legacy(requests: &Requests, about: About<'_>, (user, key): (&str, &str)) -> Result<Session> {
    // The store gives out these tokens itself, and names its answers as it does all others.
    let name = Name::new();
    let make = || {
        let request = name.on(Request::builder().method("GET").uri(about.what));
        request.header("x-auth-user", user).header("x-auth-key", key)
    };
    let sort = |status, headers: &HeaderMap, text: &str| {
        if name.is_not_in(headers) { Refusal::Busy } else { sort(status, headers, text) }
    };
    let call = Call { about, content: Content::Nothing, make: &make, sort: &sort };
    let answer = requests.run(&call, |response| {
        name.require(&response)?;
        read_answer(response)
    })?;
    let token = answer.header("x-auth-token").or_else(|| answer.header("x-storage-token"));
    let found = token.zip(answer.header("x-storage-url"));
    let (token, url) =
        found.ok_or_else(|| about.unclear("the answer holds no token and no address"))?;
    Ok(Session { token: token.to_owned(), url: url.to_owned() })
}

fn keystone(requests: &Requests, settings: &SwiftSettings, asked: &Value) -> Result<Session> {
    let about = About { action: "logging in at", what: &settings.auth_url };
    let base = settings.auth_url.trim_end_matches('/');
    let base = base.strip_suffix("/v3").unwrap_or(base);
    let (url, body) = (format!("{base}/v3/auth/tokens"), asked.to_string());
    let make =
        || Request::builder().method("POST").uri(&url).header("content-type", "application/json");
    let content = Content::Bytes(body.as_bytes());
    let answer = requests.run(&Call { about, content, make: &make, sort: &sort }, read_answer)?;
    let token = answer.header("x-subject-token");
    let token = token.ok_or_else(|| about.unclear("the answer holds no token"))?.to_owned();
    Ok(Session { token, url: endpoint(&answer, settings, about)? })
}

/// The address of the object store in the region that was asked for.
fn endpoint(answer: &Answer, settings: &SwiftSettings, about: About<'_>) -> Result<String> {
    let described: Described = serde_json::from_slice(&answer.body)
        .map_err(|_other| about.unclear("the answer cannot be read"))?;
    let services = described.token.catalog.into_iter().filter(|it| it.kind == "object-store");
    let endpoints = services.flat_map(|it| it.endpoints).filter(|it| it.interface == "public");
    let endpoints: Vec<_> = endpoints.collect();
    let region =
        |it: &Endpoint| it.region_id.clone().or_else(|| it.region.clone()).unwrap_or_default();
    let is_it =
        |it: &&Endpoint| settings.region.as_ref().is_none_or(|wanted| *wanted == region(it));
    if let Some(found) = endpoints.iter().find(is_it) {
        return Ok(found.url.clone());
    }
    let known: Vec<_> = endpoints.iter().map(region).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let wanted =
        settings.region.as_ref().map_or(String::new(), |it| format!(" in the region {it}"));
    Err(StorageError::Unreachable {
        action: "logging in at",
        what: settings.auth_url.clone(),
        why: format!(
            "its catalog has no public object-store{wanted}; correct `region`, or the roles of the user (regions: {known})"
        ),
    })
}

fn sort(status: StatusCode, _headers: &HeaderMap, _text: &str) -> Refusal {
    match status.as_u16() {
        401 | 403 => Refusal::WrongLogin,
        408 | 425 | 429 | 498 | 500 | 502..=504 => Refusal::Busy,
        other => Refusal::other(other, ""),
    }
}
