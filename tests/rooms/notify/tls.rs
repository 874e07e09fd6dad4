//! Messages by TLS: to a receiver whose certificate is trusted, and to no other.

use coffer::notify::{Email, Security};
use coffer::policy::ProblemKind;

use super::*;
use crate::receivers::{Authority, MailReceiver, MailSecurity};

const PASSWORD: &str = "hunter2-hunter2";

/// Somebody tells this channel that a backup is damaged.
fn damaged(channel: Channel) -> House {
    let mut house = House::new(vec![channel]);
    house.set_problems(&[problem(ProblemKind::Damaged, Some(shop()))]);
    house.tick_after(A_WHILE);
    house
}

fn trusted(authority: &Authority) -> Authorities {
    Authorities::of(Some(authority.file("ca.crt")))
}

fn mail(address: &str, security: Security, authorities: Authorities) -> Channel {
    let login = ("coffer".to_owned(), Credential::Text(Secret::new(PASSWORD.to_owned())));
    let (from, to) = ("coffer@example.org", "a@example.org");
    let email = Email::new(address, security, from, to, Some(login)).unwrap();
    Channel { name: "mail".to_owned(), target: Target::Email(email.trusting(authorities)) }
}

#[test]
fn a_webhook_by_https_is_reached_if_its_authority_is_trusted_and_gets_nothing_otherwise() {
    let authority = Authority::new();
    let receiver = HttpReceiver::start_tls(&authority);
    let mut channel = webhook(&receiver);
    let why = damaged(channel.clone()).failed(1);
    assert!(why.contains("certificate"), "{why}");
    if let Target::Service(address) = &mut channel.target {
        address.authorities = trusted(&authority);
    }
    assert_eq!(receiver.received().len(), 0);
    damaged(channel.clone()).delivered();
    assert_eq!(events(&receiver), ["began damaged"]);
    // The certificate is of 127.0.0.1 alone.
    let elsewhere = receiver.url("/hook").replace("127.0.0.1", "localhost");
    if let Target::Service(address) = &mut channel.target {
        address.url = Credential::Text(Secret::new(elsewhere));
    }
    let why = damaged(channel).failed(1);
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn mail_by_tls_from_the_beginning_or_from_starttls_on_is_delivered_and_the_password_encrypted() {
    let authority = Authority::new();
    for (security, offered) in [
        (Security::Tls, MailSecurity::Tls(authority.server())),
        (Security::StartTls, MailSecurity::StartTls(authority.server())),
    ] {
        let receiver = MailReceiver::start_with(offered);
        let why = damaged(mail(&receiver.address(), security, Authorities::default())).failed(1);
        assert!(why.contains("certificate"), "{security:?}: {why}");
        assert_eq!(receiver.mails().len(), 0);
        damaged(mail(&receiver.address(), security, trusted(&authority))).delivered();
        let mails = receiver.mails();
        assert_eq!(mails.len(), 1);
        assert!(mails[0].encrypted && mails[0].data.contains("what happened: damaged"));
        assert!(mails[0].login.starts_with("AUTH PLAIN "), "{:?}", mails[0]);
    }
}

#[test]
fn a_mail_server_that_does_not_offer_starttls_gets_neither_password_nor_mail() {
    let authority = Authority::new();
    let receiver = MailReceiver::start();
    let why = damaged(mail(&receiver.address(), Security::StartTls, trusted(&authority))).failed(1);
    assert!(why.to_lowercase().contains("starttls"), "{why}");
    assert_eq!(receiver.mails().len(), 0);
}

#[test]
fn a_file_of_authorities_that_holds_none_is_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let receiver = HttpReceiver::start_tls(&authority);
    let mut channel = webhook(&receiver);
    for (file, expected) in [("server.key", "holds no certificate"), ("gone", "cannot be read")] {
        if let Target::Service(address) = &mut channel.target {
            address.authorities = Authorities::of(Some(authority.file(file)));
        }
        let why = channel.check().unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
        assert_eq!(damaged(channel.clone()).failed(1), why);
    }
    assert_eq!(receiver.received().len(), 0);
}
