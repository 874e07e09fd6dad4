//! Names of this server.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::uri::Authority;

/// The port where a `Host` names none.
const HTTP: u16 = 80;

/// The address of this server that the client of a connection reached; known to each of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Reached(pub Option<SocketAddr>);

/// Whether `host`, with or without a port, is configured, the loopback, or the address that the client reached.
pub fn is_own_host(host: &str, configured: &[String], local: Option<SocketAddr>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    // The parser leaves more there than a port.
    let port = match authority.as_str().strip_prefix(name) {
        Some("") => Some(HTTP),
        Some(rest) => rest.strip_prefix(':').and_then(|it| it.parse().ok()),
        None => None,
    };
    if port.is_none() {
        return false;
    }
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

/// Whether `host` is so, and also leads to this server from where the client is: a name that is not configured has to
/// have the port that the client reached. Where there is none, as on a Unix socket, none is compared.
pub fn leads_here(host: &str, configured: &[String], local: Option<SocketAddr>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let is_configured =
        |it: &String| it.eq_ignore_ascii_case(host) || it.eq_ignore_ascii_case(authority.host());
    is_own_host(host, configured, local)
        && (configured.iter().any(is_configured)
            || local.is_none_or(|it| it.port() == authority.port_u16().unwrap_or(HTTP)))
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
            assert!(is_own_host(own, &configured, local), "{own}");
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
            "localhost:99999",
            "127.0.0.1:x",
            "127.0.0.1:",
            "[::1]evil.example",
            "[::1].evil.example",
            "[::2]",
        ] {
            assert!(!is_own_host(other, &configured, local), "{other}");
        }
    }

    #[test]
    fn a_link_has_the_port_that_the_client_reached_or_that_of_a_configured_name() {
        let configured = ["backup.example.org".to_owned(), "proxy:81".to_owned()];
        let local = Some("127.0.0.1:8779".parse().unwrap());
        let leads = |host: &str| leads_here(host, &configured, local);
        for here in ["localhost:8779", "127.0.0.1:8779", "backup.example.org:443", "proxy:81"] {
            assert!(leads(here), "{here}");
        }
        for elsewhere in ["localhost:22", "localhost", "127.0.0.1", "[::1]:80", "proxy:82", "evil"]
        {
            assert!(!leads(elsewhere), "{elsewhere}");
        }
        let web = Some("127.0.0.1:80".parse().unwrap());
        assert!(leads_here("localhost", &[], web) && leads_here("localhost:9", &[], None));
    }
}
