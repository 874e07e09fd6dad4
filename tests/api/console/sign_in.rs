//! Signing in and out.

use std::time::Duration;

use coffer::catalog::Reply;

use crate::keystone::asking;
use crate::receivers::{IdentityServer, Manner};

use super::fixture::{Browser, assert_says, text};

#[actix_web::test]
async fn a_token_begins_a_session_whose_cookie_no_script_and_no_other_site_gets() {
    let browser = Browser::new();
    let answer = browser.try_to_sign_in("alice-secret").await;
    assert_eq!((answer.status, answer.header("location")), (303, "/console/"));
    let cookie = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("alice"), "{cookie}");
    let proxied = Browser::with(true, Some("https://backup.example.org"));
    let answer = proxied.try_to_sign_in("alice-secret").await;
    assert!(answer.header("set-cookie").contains("; Secure"), "{answer:?}");
}

#[actix_web::test]
async fn a_wrong_token_is_refused_counted_and_after_five_the_address_waits() {
    let browser = Browser::new();
    for _wrong in 0..5 {
        let answer = browser.try_to_sign_in("guessed").await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, ""));
        assert_says(&text(&answer), &["not a token of this server"]);
    }
    let answer = browser.try_to_sign_in("alice-secret").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "60"));
    browser.put_on(Duration::from_secs(60));
    assert_eq!(browser.try_to_sign_in("alice-secret").await.status, 303);
    let catalog = &browser.server.catalog;
    crate::support::blocking(|| catalog.write_counted(true).map(Reply::wait)).unwrap().unwrap();
    let mut admin = browser;
    admin.sign_in("admin").await;
    assert_says(&admin.text("/console/events").await, &["Sign in", "Refused"]);
}

#[actix_web::test]
async fn a_session_ends_by_itself_by_signing_out_and_with_its_token() {
    let mut browser = Browser::signed_in("alice").await;
    browser.put_on(Duration::from_secs(3600));
    assert_eq!(browser.get("/console/").await.status, 200, "an hour is not too long");
    browser.put_on(Duration::from_secs(3601));
    let answer = browser.get("/console/events").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), "/console/sign-in?after=%2Fconsole%2Fevents&why=ended");
    assert_says(&browser.text("/console/sign-in?why=ended").await, &["Your session is over"]);

    browser.sign_in("alice").await;
    for _half_hours in 0..24 {
        browser.put_on(Duration::from_secs(1800));
        assert_eq!(browser.get("/console/").await.status, 200);
    }
    browser.put_on(Duration::from_secs(1));
    assert_eq!(browser.get("/console/").await.status, 303, "no session lasts longer");

    browser.sign_in("alice").await;
    let answer = browser.post("/console/sign-out", "").await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{answer:?}");
    assert_eq!(browser.get("/console/").await.status, 303);

    browser.sign_in("alice").await;
    browser.server.catalog.set_configured_tokens(Vec::new());
    assert_eq!(browser.get("/console/").await.status, 303);
}

#[actix_web::test]
async fn one_goes_back_to_the_page_that_was_asked_for_and_nowhere_else() {
    let browser = Browser::new();
    for (after, leads_to) in [
        ("/console/alerts", "/console/alerts"),
        ("https://evil.example/", "/console/"),
        ("//evil.example/", "/console/"),
        ("/console/sign-out", "/console/"),
    ] {
        let form = browser.form("/console/sign-in", format!("token=alice-secret&after={after}"));
        let answer = browser.send(form.header("Sec-Fetch-Site", "same-origin")).await;
        assert_eq!(answer.header("location"), leads_to);
    }
}

#[actix_web::test]
async fn without_tokens_one_click_signs_in_unless_another_name_leads_here() {
    let browser = Browser::with(false, None);
    let form = || browser.form("/console/sign-in", String::new());
    let answer = browser.send(form().header("Origin", "http://coffer.test")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let rebound = crate::support::Request::with_host(
        actix_web::http::Method::POST,
        "/console/sign-in",
        "evil.example",
    );
    let answer = browser.send(rebound.header("Origin", "http://evil.example")).await;
    assert_eq!(answer.status, 403);
}

/// A browser of a server that keeps nothing of what Keystone says, and that Keystone with a token of a member.
fn with_keystone() -> (IdentityServer, Browser) {
    let keystone = IdentityServer::start();
    keystone.add("mias-token", "project-a", &["member"]);
    let (asked, _reports) = asking(&keystone.url(), Duration::ZERO, false);
    (keystone, Browser::with_keystone(asked))
}

#[actix_web::test]
async fn a_token_of_keystone_begins_a_session_that_may_do_what_its_roles_say_and_ends_with_it() {
    let (keystone, mut browser) = with_keystone();
    assert_says(&browser.text("/console/sign-in").await, &["openstack token issue"]);
    browser.sign_in_with("mias-token").await;
    assert_says(&browser.text("/console/").await, &["Instances"]);
    assert_eq!(browser.get("/console/quotas").await.status, 200);
    let refused = browser.post("/console/quotas", "project=project-a&backups=1&instances=1").await;
    assert_eq!(refused.status, 403, "a member is no administrator: {refused:?}");
    keystone.add("mias-token", "project-a", &["service"]);
    let answer = browser.get("/console/").await;
    assert_eq!(answer.header("location"), "/console/sign-in?after=%2Fconsole%2F&why=ended");

    keystone.add("mias-token", "project-a", &["member"]);
    assert_eq!(browser.get("/console/").await.status, 303, "a session that ended stays so");
    browser.sign_in_with("mias-token").await;
    assert_eq!(browser.get("/console/").await.status, 200);
    keystone.revoke("mias-token");
    assert_eq!(browser.get("/console/").await.status, 303);
    assert_eq!(browser.try_to_sign_in("mias-token").await.status, 403);
    // Coffer's own go on beside it, and Keystone never sees them.
    browser.sign_in("alice").await;
    assert_eq!(browser.get("/console/").await.status, 200);
    assert_eq!(keystone.asked("alice-secret"), 0);
}

#[actix_web::test]
async fn while_keystone_is_away_its_sessions_wait_for_it_and_can_be_ended() {
    let (keystone, mut browser) = with_keystone();
    browser.sign_in_with("mias-token").await;
    let token = browser.form_token().await;
    keystone.answer(Manner::Status(500, String::new()));
    for path in ["/console/", "/console/events"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_says(&text(&answer), &["it answers 500", "Your session goes on"]);
    }
    let answer = browser.try_to_sign_in("other-token").await;
    assert_eq!((answer.status, answer.header("set-cookie")), (503, ""));
    assert!(!text(&answer).contains("other-token"));
    assert_eq!(browser.get("/console/sign-in").await.status, 200);
    keystone.answer(Manner::Right);
    assert_eq!(browser.get("/console/").await.status, 200, "nobody signs in again");

    keystone.answer(Manner::Status(500, String::new()));
    let form = browser.form("/console/sign-out", format!("form_token={token}"));
    let answer = browser.send(form.header("Sec-Fetch-Site", "same-origin")).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/console/sign-in?why=out"));
    keystone.answer(Manner::Right);
    assert_eq!(browser.get("/console/").await.status, 303);
}

#[actix_web::test]
async fn a_token_of_keystone_that_allows_nothing_begins_no_session_and_says_why() {
    let (keystone, browser) = with_keystone();
    keystone.add("service-token", "project-a", &["service"]);
    keystone.add_unscoped("unscoped-token");
    for (token, why) in
        [("service-token", "roles in its project"), ("unscoped-token", "for no project")]
    {
        let answer = browser.try_to_sign_in(token).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, ""), "{answer:?}");
        assert_says(&text(&answer), &[why, "openstack token issue"]);
    }
}
