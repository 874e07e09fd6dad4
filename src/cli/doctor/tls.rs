//! The certificate of the port: whether it can be used, is for the names of the server, and holds.

use std::os::unix::fs::MetadataExt as _;

use url::Url;

use crate::client::{Connection, is_somebody_else};
use crate::config::{Config, TlsConfig};
use crate::domain::{Clock as _, SystemClock};
use crate::server;
use crate::tls::{Certificate, Pair, TlsError};

use super::finding::Findings;

const CHECK: &str = "TLS";

pub(super) fn tls(config: &Config, findings: &mut Findings) {
    let Some(files) = config.server.tls() else { return };
    let pair = match Pair::read(&files.certificate, &files.private_key) {
        Ok(pair) => pair,
        Err(error @ TlsError::NoCredential { .. }) => {
            let advice = "the log of the server says when it ends, and so do its alerts";
            return findings.warning(CHECK, format!("cannot be checked here: {error}"), advice);
        }
        Err(error) => {
            let advice = "until then the server does not start, and one that runs keeps the certificate that it has";
            return findings.problem(CHECK, error.to_string(), advice);
        }
    };
    let (certificate, now) = (pair.certificate(), SystemClock.now());
    let file = certificate.path().display();
    match certificate.why_renew(now) {
        Some(why) => {
            let advice = "renew it, and then systemctl reload coffer";
            if certificate.require_holds(now).is_err() {
                findings.problem(CHECK, why, advice);
            } else {
                findings.warning(CHECK, why, advice);
            }
        }
        None => findings.ok(
            CHECK,
            format!(
                "the certificate {file} belongs to its key, and ends in {} days",
                certificate.days_left(now)
            ),
        ),
    }
    owner(config, files, findings);
    names(config, certificate, findings);
    shown(config, certificate, findings);
}

/// Whether the user of the server may read the key: this one may be root.
fn owner(config: &Config, files: &TlsConfig, findings: &mut Findings) {
    let (Ok(key), Ok(data)) = (files.private_key.metadata(), config.data_dir.metadata()) else {
        return;
    };
    let is_of_group = key.mode() & 0o040 != 0;
    if data.uid() != 0 && key.uid() != data.uid() && !is_of_group {
        let name = server::user_name(data.uid()).unwrap_or_else(|| data.uid().to_string());
        let shown = files.private_key.display();
        let found =
            format!("the private key {shown} cannot be read by {name}, who runs the server");
        findings.problem(CHECK, found, format!("chown {name} {shown}"));
    }
}

/// Whether it is for every name by which clients reach the server.
fn names(config: &Config, certificate: &Certificate, findings: &mut Findings) {
    let public = config.server.public_url().and_then(|it| Url::parse(it).ok());
    let public = public.as_ref().and_then(Url::host_str);
    let hosts = config.server.hosts.split_whitespace();
    let hosts = hosts.map(|it| it.rsplit_once(':').map_or(it, |(name, _port)| name));
    let others: Vec<&str> =
        public.into_iter().chain(hosts).filter(|it| !certificate.is_for(it)).collect();
    if others.is_empty() {
        return;
    }
    let (file, names) = (certificate.path().display(), certificate.names());
    let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
    findings.warning(
        CHECK,
        format!("the certificate {file} is for {names}, and not for {}", others.join(", ")),
        "have one issued for all names of server.public_url and server.hosts, or take those out that no client uses",
    );
}

/// Whether the server that runs shows this one.
fn shown(config: &Config, certificate: &Certificate, findings: &mut Findings) {
    let listen = config.server.listen;
    if listen.port() == 0 {
        return;
    }
    let port = Connection::trusting_only(&format!("https://{listen}"), certificate.clone());
    if port.send("GET", "/healthcheck", None).is_err_and(|error| is_somebody_else(&error)) {
        let found = format!(
            "what answers at {listen} does not show the certificate {}",
            certificate.path().display()
        );
        findings.warning(CHECK, found, "if it was renewed: systemctl reload coffer; if TLS was just turned on: systemctl restart coffer");
    }
}
