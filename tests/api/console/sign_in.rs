//! Signing in and out.

use std::time::Duration;

use coffer::catalog::Reply;

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
