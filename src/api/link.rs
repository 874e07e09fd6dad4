//! Links in answers.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HOST;
use actix_web::http::uri::Authority;

use crate::access::{Reached, is_own_host, leads_here};
use crate::wire::Link;

use super::State;
use super::connection::Connection;

/// What a link begins with: the configured scheme and host, or those of the request if they lead to this server.
/// A host that the client made up is not believed, nor are headers that any client could set to send others
/// elsewhere (`X-Forwarded-*`, `Forwarded`): then it is empty, and the link begins with its path.
pub(super) fn base(request: &HttpRequest, state: &State) -> String {
    base_if(request, state, leads_here)
}

/// The same where a port on this machine may lead here in another way, such as a tunnel.
pub(super) fn base_at_any_port(request: &HttpRequest, state: &State) -> String {
    base_if(request, state, is_own_host)
}

type IsOurs = fn(&str, &[String], Reached) -> bool;

fn base_if(request: &HttpRequest, state: &State, is_ours: IsOurs) -> String {
    if let Some(url) = &state.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let reached = reached(request);
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    match host.filter(|host| is_ours(host, &state.hosts, reached)) {
        Some(host) => format!("{}://{host}", reached.scheme()),
        None => String::new(),
    }
}

/// The same for clients that need scheme and host: instead of a host that is not this server's, the address that the
/// client reached.
pub(super) fn absolute_base(request: &HttpRequest, state: &State) -> String {
    let base = base_at_any_port(request, state);
    if !base.is_empty() {
        return base;
    }
    let reached = reached(request);
    reached.local.map(|it| format!("{}://{it}", reached.scheme())).unwrap_or_default()
}

fn reached(request: &HttpRequest) -> Reached {
    request.conn_data::<Arc<Connection>>().map(|it| it.reached()).unwrap_or_default()
}

/// The `self` link of a resource, with version and project, and Trove's `bookmark` link, without.
pub(super) fn self_and_bookmark(base: &str, project: &str, path: &str) -> Vec<Link> {
    [("self", format!("{base}/v1.0/{project}/{path}")), ("bookmark", format!("{base}/{path}"))]
        .map(|(rel, href)| Link { href, rel: rel.to_owned() })
        .into()
}

/// The URL of a list request, for the link to its next page.
#[derive(Debug)]
pub(super) struct ListUrl {
    path: String,
    query: String,
}

impl ListUrl {
    pub(super) fn from_request(request: &HttpRequest, state: &State) -> Self {
        let mut path = base(request, state);
        path.push_str(request.uri().path());
        Self { path, query: request.query_string().to_owned() }
    }

    /// The link to the next page: the same URL with another marker.
    pub(super) fn next_page(&self, marker: &str) -> Link {
        let query = next_query(&self.query, marker);
        Link { href: format!("{}?{query}", self.path), rel: "next".to_owned() }
    }
}

/// The query of the request, byte for byte, except for the marker.
fn next_query(query: &str, marker: &str) -> String {
    let mut parts: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty() && part.split('=').next() != Some("marker"))
        .collect();
    let marker = format!("marker={marker}");
    parts.push(&marker);
    parts.join("&")
}
