//! Links in answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HOST;
use actix_web::http::uri::Authority;

use crate::wire::Link;

use super::State;
use super::connection::Connection;

/// What a link begins with: the configured scheme and host, or those of the request if they are this server's.
/// A host that the client made up is not believed, nor are headers that any client could set to send others
/// elsewhere (`X-Forwarded-*`, `Forwarded`): then it is empty, and the link begins with its path.
pub(super) fn base(request: &HttpRequest, state: &State) -> String {
    if let Some(url) = &state.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let local = request.conn_data::<Arc<Connection>>().and_then(|it| it.local());
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    match host.filter(|host| is_own(host, &state.hosts, local)) {
        Some(host) => format!("http://{host}"),
        None => String::new(),
    }
}

/// Whether `host`, with or without a port, is configured, the loopback, or the address that the client reached.
fn is_own(host: &str, configured: &[String], local: Option<SocketAddr>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let name = authority.host();
    if name.eq_ignore_ascii_case("localhost")
        || configured
            .iter()
            .any(|it| it.eq_ignore_ascii_case(name) || it.eq_ignore_ascii_case(host))
    {
        return true;
    }
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| {
        let address = address.to_canonical();
        address.is_loopback() || local.is_some_and(|it| it.ip().to_canonical() == address)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_this_servers_if_it_is_configured_or_loopback_or_was_connected_to() {
        let configured = ["Backup.example.org".to_owned(), "proxy:81".to_owned()];
        let local = Some("192.0.2.7:8779".parse().unwrap());
        for own in [
            "localhost",
            "LOCALHOST:8779",
            "127.0.0.1:8779",
            "127.8.8.8",
            "[::1]:8779",
            "192.0.2.7",
            "192.0.2.7:8779",
            "backup.example.org",
            "backup.example.org:443",
            "proxy:81",
        ] {
            assert!(is_own(own, &configured, local), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "127.0.0.1@evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "proxy",
            "localhost/evil",
            "[::2]",
        ] {
            assert!(!is_own(other, &configured, local), "{other}");
        }
    }
}
