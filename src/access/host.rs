//! Names of this server.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::uri::Authority;

/// The ports where a `Host` names none.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// How the client of a connection reached this server; known to each of its requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    /// The address. There is none at a Unix socket.
    pub local: Option<SocketAddr>,
    /// Whether by TLS.
    pub is_tls: bool,
}

impl Reached {
    /// What URLs begin with that lead here in the same way.
    pub const fn scheme(self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    const fn usual_port(self) -> u16 {
        if self.is_tls { HTTPS } else { HTTP }
    }
}

/// Whether `host`, with or without a port, is configured, the loopback, or the address that the client reached.
pub fn is_own_host(host: &str, configured: &[String], reached: Reached) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    // The parser leaves more there than a port.
    let port = match authority.as_str().strip_prefix(name) {
        Some("") => Some(reached.usual_port()),
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
        address.is_loopback() || reached.local.is_some_and(|it| it.ip().to_canonical() == address)
    })
}

/// Whether `host` is so, and also leads to this server from where the client is: a name that is not configured has to
/// have the port that the client reached. Where there is none, as on a Unix socket, none is compared.
pub fn leads_here(host: &str, configured: &[String], reached: Reached) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let is_configured =
        |it: &String| it.eq_ignore_ascii_case(host) || it.eq_ignore_ascii_case(authority.host());
    let port = authority.port_u16().unwrap_or(reached.usual_port());
    is_own_host(host, configured, reached)
        && (configured.iter().any(is_configured)
            || reached.local.is_none_or(|it| it.port() == port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(local: &str) -> Reached {
        Reached { local: Some(local.parse().unwrap()), is_tls: false }
    }

    #[test]
    fn a_host_is_this_servers_if_it_is_configured_or_loopback_or_was_connected_to() {
        let configured = ["Backup.example.org".to_owned(), "proxy:81".to_owned()];
        let local = at("192.0.2.7:8779");
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
        let local = at("127.0.0.1:8779");
        let leads = |host: &str| leads_here(host, &configured, local);
        for here in ["localhost:8779", "127.0.0.1:8779", "backup.example.org:443", "proxy:81"] {
            assert!(leads(here), "{here}");
        }
        for elsewhere in ["localhost:22", "localhost", "127.0.0.1", "[::1]:80", "proxy:82", "evil"]
        {
            assert!(!leads(elsewhere), "{elsewhere}");
        }
        let web = at("127.0.0.1:80");
        assert!(leads_here("localhost", &[], web) && !leads_here("localhost:443", &[], web));
        assert!(leads_here("localhost:9", &[], Reached::default()));
        let tls = Reached { is_tls: true, ..at("127.0.0.1:443") };
        assert!(leads_here("localhost", &[], tls) && !leads_here("localhost:80", &[], tls));
    }
}
