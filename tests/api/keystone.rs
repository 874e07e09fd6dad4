//! Tokens of OpenStack's Keystone: what they allow here, and what happens if it cannot be asked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::rt::{spawn, time::sleep};
use coffer::domain::SystemClock;
use coffer::keystone::{Keystone, KeystoneError, Reached, Roles, Settings};

use crate::receivers::{IdentityServer, Manner};
use crate::support::{A1, Answer, Fixture, Request};

const MINUTE: Duration = Duration::from_secs(60);

/// Why Keystone could not be asked, each time that it changed.
pub(crate) type Reports = Arc<Mutex<Vec<Option<String>>>>;

/// Starts to ask this server.
pub(crate) fn asking(url: &str, keep: Duration, admin_everywhere: bool) -> (Keystone, Reports) {
    let one = |it: &str| vec![it.to_owned()];
    let (admin, member, reader) = (one("admin"), one("member"), one("reader"));
    let timeout = Duration::from_millis(700);
    let settings = Settings {
        reached: Reached { auth_url: url.to_owned(), ca_file: None, timeout },
        roles: Roles { admin, member, reader, admin_everywhere },
        keep,
    };
    let reports = Reports::default();
    let seen = Arc::clone(&reports);
    let report = move |why: Option<&KeystoneError>| {
        seen.lock().unwrap().push(why.map(ToString::to_string));
    };
    (Keystone::start(settings, Arc::new(SystemClock), Box::new(report)).unwrap(), reports)
}

/// A server that takes tokens of a Keystone.
struct Cloud {
    keystone: IdentityServer,
    server: Fixture,
    reports: Reports,
}

impl Cloud {
    fn new() -> Self {
        Self::keeping(MINUTE, false)
    }

    fn keeping(keep: Duration, admin_everywhere: bool) -> Self {
        let keystone = IdentityServer::start();
        keystone.add("member-token", "project-a", &["member", "reader"]);
        keystone.add("reader-token", "project-a", &["reader"]);
        keystone.add("admin-token", "p-admin", &["admin"]);
        let (asking, reports) = asking(&keystone.url(), keep, admin_everywhere);
        let server = Fixture::with_keystone(asking);
        Self { keystone, server, reports }
    }

    async fn with(&self, token: &str, request: Request) -> Answer {
        self.server.send(request.header("X-Auth-Token", token)).await
    }

    async fn list(&self, token: &str, project: &str) -> Answer {
        self.with(token, Request::get(&format!("/v1.0/{project}/backups"))).await
    }

    async fn status(&self, token: &str, project: &str) -> u16 {
        self.list(token, project).await.status
    }
}

fn create(project: &str) -> Request {
    let body = serde_json::json!({"backup": {"name": "b", "instance": A1}});
    Request::post(&format!("/v1.0/{project}/backups")).json(&body)
}

#[actix_web::test]
async fn a_token_allows_what_its_roles_say_in_its_project_and_is_asked_about_once() {
    let cloud = Cloud::new();
    assert_eq!(cloud.with("member-token", create("project-a")).await.status, 202);
    assert_eq!(cloud.status("member-token", "project-a").await, 200);
    assert_eq!(cloud.status("member-token", "project-b").await, 403);
    assert_eq!(cloud.keystone.asked("member-token"), 1);
    assert_eq!(cloud.status("reader-token", "project-a").await, 200);
    assert_eq!(cloud.with("reader-token", create("project-a")).await.status, 403);
    let bearer =
        Request::get("/v1.0/project-a/backups").header("Authorization", "Bearer reader-token");
    assert_eq!(cloud.server.send(bearer).await.status, 200);
    let events = cloud.server.get("/v1.0/project-a/events", "admin").await.json();
    assert!(events.to_string().contains("keystone:mia@Default"), "{events}");
    let allowed = ["/v3", "/v3/auth/tokens?nocatalog"];
    assert!(cloud.keystone.paths().iter().all(|it| allowed.contains(&it.as_str())));
}

#[actix_web::test]
async fn an_administrator_acts_in_every_project_only_if_the_configuration_says_so() {
    let cloud = Cloud::new();
    assert_eq!(cloud.status("admin-token", "p-admin").await, 200);
    assert_eq!(cloud.status("admin-token", "project-a").await, 403);
    let quotas = || Request::get("/v1.0/p-admin/mgmt/quotas/project-a");
    assert_eq!(cloud.with("admin-token", quotas()).await.status, 403);
    let cloud = Cloud::keeping(MINUTE, true);
    assert_eq!(cloud.status("admin-token", "project-a").await, 200);
    assert_eq!(cloud.with("admin-token", quotas()).await.status, 200);
}

#[actix_web::test]
async fn a_token_without_a_project_or_a_role_is_refused_with_the_reason() {
    let cloud = Cloud::new();
    cloud.keystone.add_unscoped("unscoped-token");
    cloud.keystone.add("service-token", "project-a", &["service"]);
    for (token, reason) in [("unscoped-token", "for no project"), ("service-token", "roles")] {
        let answer = cloud.list(token, "project-a").await;
        answer.assert_fault(403, "forbidden");
        assert!(answer.message().contains(reason), "{answer:?}");
    }
}

#[actix_web::test]
async fn a_wrong_token_is_asked_about_once_and_many_make_the_address_wait() {
    let cloud = Cloud::new();
    assert_eq!(cloud.status("member-token", "project-a").await, 200);
    for _again in 0..3 {
        cloud.list("wrong-0", "project-a").await.assert_fault(401, "unauthorized");
    }
    assert_eq!(cloud.keystone.asked("wrong-0"), 1);
    for number in 1..30 {
        assert_eq!(cloud.status(&format!("wrong-{number}"), "project-a").await, 401);
    }
    let answer = cloud.list("wrong-30", "project-a").await;
    answer.assert_fault(429, "tooManyRequests");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(cloud.keystone.asked("wrong-30"), 0);
    // What is known already goes on.
    assert_eq!(cloud.status("member-token", "project-a").await, 200);
    assert_eq!(cloud.status("alice-secret", "project-a").await, 200);
}

#[actix_web::test]
async fn what_cannot_be_a_token_or_is_a_password_never_reaches_keystone() {
    let cloud = Cloud::new();
    for wrong in ["", " ", "two words", &"x".repeat(5000)] {
        assert_eq!(cloud.status(wrong, "project-a").await, 401, "{wrong:.20}");
    }
    // mia:member-token
    let basic = Request::get("/v1.0/project-a/backups")
        .header("Authorization", "Basic bWlhOm1lbWJlci10b2tlbg==");
    assert_eq!(cloud.server.send(basic).await.status, 401);
    assert_eq!(cloud.server.get("/v1.0/project-a/backups", "").await.status, 401);
    assert!(!cloud.keystone.paths().iter().any(|it| it.contains("tokens")));
}

#[actix_web::test]
async fn a_revoked_token_ends_with_what_is_kept_of_it() {
    let cloud = Cloud::keeping(Duration::ZERO, false);
    assert_eq!(cloud.status("member-token", "project-a").await, 200);
    cloud.keystone.revoke("member-token");
    assert_eq!(cloud.status("member-token", "project-a").await, 401);
    assert_eq!(cloud.keystone.asked("member-token"), 2);
}

#[actix_web::test]
async fn a_keystone_that_answers_wrongly_gives_503_with_the_reason_and_what_is_known_goes_on() {
    let other = IdentityServer::start();
    other.add("good-token", "project-a", &["member"]);
    for (manner, reason) in [
        (Manner::Held, "no answer within"),
        (Manner::Status(500, "{\"error\": {}}".to_owned()), "answers 500"),
        (Manner::Status(200, "{\"tokens\": []}".to_owned()), "does not describe a token"),
        (Manner::Status(200, "<html>".to_owned()), "does not describe a token"),
        (Manner::Status(200, " ".repeat(300 << 10)), "longer than 256 KiB"),
        (Manner::Cut, "Keystone does not answer"),
        (Manner::Noise, "not HTTP"),
        (Manner::Elsewhere(format!("{}/auth/tokens?nocatalog", other.url())), "not followed"),
    ] {
        let cloud = Cloud::new();
        assert_eq!(cloud.status("member-token", "project-a").await, 200);
        cloud.keystone.add("good-token", "project-a", &["member"]);
        cloud.keystone.answer(manner.clone());
        let answer = cloud.list("good-token", "project-a").await;
        answer.assert_fault(503, "serviceUnavailable");
        let message = answer.message();
        assert!(
            message.contains(reason) && !message.contains("good-token"),
            "{manner:?} {message}"
        );
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(cloud.status("member-token", "project-a").await, 200);
        assert_eq!(cloud.status("alice-secret", "project-a").await, 200);
        cloud.keystone.answer(Manner::Right);
        let reports = cloud.reports.lock().unwrap().clone();
        let said = reports.last().unwrap().as_ref().unwrap();
        assert!(said.contains(reason) && !said.contains("good-token"), "{said}");
    }
    assert_eq!(other.asked("good-token"), 0);
}

#[actix_web::test]
async fn a_keystone_that_went_away_is_asked_again_once_it_may_be_back() {
    let Cloud { keystone, server, reports } = Cloud::new();
    let address = keystone.address();
    let list = |token: &'static str| {
        let request = Request::get("/v1.0/project-a/backups").header("X-Auth-Token", token);
        server.send(request)
    };
    assert_eq!(list("member-token").await.status, 200);
    drop(keystone);
    list("reader-token").await.assert_fault(503, "serviceUnavailable");
    assert_eq!(list("member-token").await.status, 200);
    let back = IdentityServer::start_at(address);
    back.add("reader-token", "project-a", &["reader"]);
    // For a moment everybody hears the same, and Keystone is not asked.
    let (begun, mut status) = (Instant::now(), 503);
    while status == 503 && begun.elapsed() < MINUTE {
        status = list("reader-token").await.status;
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((status, back.asked("reader-token")), (200, 1));
    let reports = reports.lock().unwrap().clone();
    assert!(matches!(reports.as_slice(), [None, Some(_), None]), "{reports:?}");
}

/// Waits until Keystone was asked about a token.
async fn until_asked(keystone: &IdentityServer, token: &str) {
    let begun = Instant::now();
    while keystone.asked(token) == 0 {
        assert!(begun.elapsed() < MINUTE);
        sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn those_who_send_one_token_at_once_share_one_question() {
    let keystone = IdentityServer::start();
    keystone.add("member-token", "project-a", &["member"]);
    let asking = Arc::new(asking(&keystone.url(), MINUTE, false).0);
    keystone.answer(Manner::Held);
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let asking = Arc::clone(&asking);
            spawn(async move { asking.caller_of("member-token").await })
        })
        .collect();
    until_asked(&keystone, "member-token").await;
    keystone.answer(Manner::Right);
    for one in crowd {
        assert_eq!(one.await.unwrap().unwrap().name, "keystone:mia@Default");
    }
    assert_eq!(keystone.asked("member-token"), 1);
}

#[actix_web::test]
async fn only_so_many_tokens_wait_and_none_of_them_for_long() {
    let keystone = IdentityServer::start();
    let asking = Arc::new(asking(&keystone.url(), MINUTE, false).0);
    keystone.answer(Manner::Held);
    let begun = Instant::now();
    let flood: Vec<_> = (0..200)
        .map(|number| {
            let asking = Arc::clone(&asking);
            spawn(async move { asking.caller_of(&format!("token-{number}")).await })
        })
        .collect();
    let (mut busy, mut unreached) = (0, 0);
    for one in flood {
        match one.await.unwrap() {
            Err(KeystoneError::Busy) => busy += 1,
            Err(KeystoneError::NoAnswer(_)) => unreached += 1,
            other => panic!("{other:?}"),
        }
    }
    // Four are asked about, and 64 wait; they hear what the first ones did, and do not wait for answers of their own.
    assert!((64..=68).contains(&unreached) && busy == 200 - unreached, "{busy} {unreached}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let asked = keystone.paths().iter().filter(|it| it.contains("tokens")).count();
    assert!(asked <= 8, "{asked}");
}
