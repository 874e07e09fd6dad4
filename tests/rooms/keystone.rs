//! Keystone by TLS: only one whose certificate is of the authority that is trusted, and for the name that is asked, gets
//! a token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coffer::domain::SystemClock;
use coffer::keystone::{Keystone, KeystoneError, Reached, Roles, Settings, find_version};

use crate::receivers::{Authority, IdentityServer};

fn reached(auth_url: String, ca_file: Option<PathBuf>) -> Reached {
    Reached { auth_url, ca_file, timeout: Duration::from_secs(20) }
}

/// Asks whose token this is.
fn ask(reached: Reached) -> Result<String, KeystoneError> {
    let one = |it: &str| vec![it.to_owned()];
    let (admin, member, reader) = (one("admin"), one("member"), one("reader"));
    let roles = Roles { admin, member, reader, admin_everywhere: false };
    let settings = Settings { reached, roles, keep: Duration::ZERO };
    let keystone = Keystone::start(settings, Arc::new(SystemClock), Box::new(|_why| ())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(keystone.caller_of("mias-token")).map(|it| it.name.clone())
}

#[test]
fn a_keystone_whose_certificate_is_of_the_authority_in_ca_file_is_asked() {
    let authority = Authority::new();
    let keystone = IdentityServer::start_by_tls(&authority);
    keystone.add("mias-token", "project-a", &["member"]);
    let trusted = reached(keystone.tls_url("127.0.0.1"), Some(authority.file("ca.crt")));
    assert_eq!(find_version(&trusted).unwrap(), "v3.14");
    assert_eq!(ask(trusted).unwrap(), "keystone:mia@Default");
    assert_eq!(keystone.asked("mias-token"), 1);
}

#[test]
fn a_keystone_of_another_authority_or_another_name_gets_no_token() {
    let (authority, other) = (Authority::new(), Authority::new());
    let keystone = IdentityServer::start_by_tls(&authority);
    keystone.add("mias-token", "project-a", &["member"]);
    let url = keystone.tls_url("127.0.0.1");
    let trusted = Some(authority.file("ca.crt"));
    for (what, reached) in [
        ("another authority", reached(url.clone(), Some(other.file("ca.crt")))),
        ("the machine's authorities", reached(url.clone(), None)),
        ("another name", reached(keystone.tls_url("localhost"), trusted.clone())),
    ] {
        let found = ask(reached.clone());
        let is_tls = |it: &KeystoneError| matches!(it, KeystoneError::NoAnswer(why) if why.contains("certificate"));
        assert!(found.as_ref().is_err_and(is_tls), "{what}: {found:?}");
        assert!(find_version(&reached).as_ref().is_err_and(is_tls), "{what}");
    }
    // Nor one that would speak without TLS, where TLS is asked for.
    let plain = IdentityServer::start();
    let found = ask(reached(plain.tls_url("127.0.0.1"), trusted));
    assert!(matches!(found, Err(KeystoneError::NoAnswer(_))), "{found:?}");
    for server in [&keystone, &plain] {
        assert_eq!(server.asked("mias-token"), 0);
    }
}

#[test]
fn a_file_that_holds_no_certificate_is_named_and_nobody_is_asked() {
    let authority = Authority::new();
    let keystone = IdentityServer::start_by_tls(&authority);
    for wrong in ["server.ext", "none.crt"] {
        let found = ask(reached(keystone.tls_url("127.0.0.1"), Some(authority.file(wrong))));
        let text = found.as_ref().map_err(ToString::to_string);
        assert!(
            matches!(&found, Err(KeystoneError::Authorities(_)))
                && text.is_err_and(|it| it.contains("auth.keystone.ca_file")),
            "{found:?}"
        );
    }
    assert!(keystone.paths().is_empty());
}
