//! Names of this server.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::uri::Authority;

/// The address of this server that the client of a connection reached; known to each of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Reached(pub Option<SocketAddr>);

/// Whether `host`, with or without a port, is configured, the loopback, or the address that the client reached.
pub fn is_own_host(host: &str, configured: &[String], local: Option<SocketAddr>) -> bool {
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
            "[::2]",
        ] {
            assert!(!is_own_host(other, &configured, local), "{other}");
        }
    }
}
