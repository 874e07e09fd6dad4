//! What nobody gets without a session, and what no other site can do with one.

use actix_web::http::Method;

use crate::support::{A1, B1, Request};

use super::fixture::{Browser, text};

const ID: &str = "01a21c3c-c8a3-7543-b60a-b9e95cc32443";

/// Every page and form there is.
fn paths() -> Vec<String> {
    let plain =
        ["", "alerts", "events", "quotas", "api", "live", "sign-out", "alerts/test", "nowhere"];
    let of_instance = ["", "/backup", "/delete"].map(|it| format!("instances/{A1}{it}"));
    let of_backup = [
        "",
        "/archive",
        "/delete",
        "/restore",
        "/drill",
        "/verify",
        "/consolidate",
        "/pin",
        "/unpin",
        "/undelete",
    ]
    .map(|it| format!("backups/{ID}{it}"));
    let all = plain.map(str::to_owned).into_iter().chain(of_instance).chain(of_backup);
    all.map(|it| format!("/console/{it}")).collect()
}

#[actix_web::test]
async fn nothing_answers_without_a_session_but_the_sign_in_page_and_its_assets() {
    let browser = Browser::new();
    for path in paths() {
        for method in [Method::GET, Method::POST] {
            for cookie in ["", "coffer_session=", "coffer_session=0000", "other=1"] {
                let request = Request::new(method.clone(), &path).header("Cookie", cookie);
                let answer = browser.send(request.header("Sec-Fetch-Site", "same-origin")).await;
                assert!(answer.body.is_empty(), "{method} {path}");
                let to = answer.header("location");
                // A page that is open asks for it, and would report a page of HTML as a fault.
                if path == "/console/live" && method == Method::GET {
                    assert_eq!((answer.status, to), (204, ""), "{cookie}");
                    continue;
                }
                assert_eq!(answer.status, 303, "{method} {path}");
                assert!(to.starts_with("/console/sign-in?"), "{method} {path}: {to}");
            }
        }
    }
    for open in ["sign-in", "assets/console.css", "assets/console.js", "assets/icon.svg"] {
        assert_eq!(browser.get(&format!("/console/{open}")).await.status, 200, "{open}");
    }
    assert_eq!(browser.get("/console").await.header("location"), "/console/");
}

#[actix_web::test]
async fn a_token_in_a_header_is_no_session() {
    let browser = Browser::new();
    let request = Request::get("/console/").token_of("admin");
    assert_eq!(browser.send(request).await.status, 303);
}

#[actix_web::test]
async fn a_change_from_another_site_or_without_the_forms_token_is_refused() {
    let browser = Browser::signed_in("alice").await;
    let path = format!("/console/instances/{A1}/backup");
    let token = browser.form_token().await;
    let good = format!("form_token={token}&name=by+hand&kind=full");
    let form = |body: &str| browser.form(&path, body.to_owned());
    for (what, request) in [
        ("says nothing of where it is from", form(&good)),
        ("another site", form(&good).header("Sec-Fetch-Site", "cross-site")),
        ("another name of the same site", form(&good).header("Sec-Fetch-Site", "same-site")),
        ("another origin", form(&good).header("Origin", "http://evil.example")),
        ("no origin", form(&good).header("Origin", "null")),
        (
            "another origin, whatever the browser says of the site",
            form(&good)
                .header("Origin", "http://evil.example")
                .header("Sec-Fetch-Site", "same-origin"),
        ),
        ("no token", form("name=by+hand").header("Origin", "http://coffer.test")),
        (
            "a wrong token",
            form("form_token=abc&name=by+hand").header("Origin", "http://coffer.test"),
        ),
    ] {
        let answer = browser.send(request).await;
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
        assert!(text(&answer).contains("Nothing was changed"), "{what}");
    }
    let rows = browser.server.get("/v1.0/project-a/backups", "alice").await;
    assert!(rows.ids().is_empty(), "nothing was made");
    let answer = browser.send(form(&good).header("Origin", "http://coffer.test")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    // Through a proxy, by the name that the configuration says.
    let mut proxied = Browser::with(true, Some("https://backup.example.org"));
    proxied.sign_in("alice").await;
    let body = format!("form_token={}&name=by+hand&kind=full", proxied.form_token().await);
    let request = proxied.form(&path, body).header("Origin", "https://backup.example.org");
    assert_eq!(proxied.send(request).await.status, 303);
}

#[actix_web::test]
async fn by_a_name_that_is_not_this_servers_nothing_is_shown_or_done_even_with_a_cookie() {
    let browser = Browser::signed_in("alice").await;
    let path = format!("/console/instances/{A1}/backup");
    let body = format!("form_token={}&name=by+hand&kind=full", browser.form_token().await);
    for (host, status) in [
        ("evil.example", 403),
        ("coffer.test.evil.example", 403),
        ("coffer.test", 200),
        ("127.0.0.1:8779", 200),
    ] {
        let at = |method, path: &str| {
            Request::with_host(method, path, host).header("Cookie", &browser.cookie)
        };
        let page = browser.send(at(Method::GET, "/console/")).await;
        assert_eq!(page.status, status, "{host}: {page:?}");
        let form = at(Method::POST, &path)
            .header("Origin", &format!("http://{host}"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.clone());
        let answer = browser.send(form).await;
        if status == 403 {
            assert!(text(&page).contains("server.hosts"), "{page:?}");
            assert_eq!(answer.status, 403, "{host}");
        }
    }
    let rows = browser.server.get("/v1.0/project-a/backups", "alice").await;
    assert_eq!(rows.ids().len(), 1, "the other names made one, and then it was under way");
}

#[actix_web::test]
async fn a_form_of_one_session_does_not_serve_another() {
    let mut browser = Browser::signed_in("alice").await;
    let token = browser.form_token().await;
    browser.sign_in("alice").await;
    let body = format!("form_token={token}&name=by+hand");
    let form = browser.form(&format!("/console/instances/{A1}/backup"), body);
    assert_eq!(browser.send(form.header("Sec-Fetch-Site", "same-origin")).await.status, 403);
}

#[actix_web::test]
async fn every_answer_forbids_what_a_browser_need_not_do_and_no_page_is_kept() {
    let browser = Browser::signed_in("alice").await;
    for path in [
        "/console/",
        "/console/nowhere",
        "/console/sign-in",
        "/console/assets/console.js",
        "/console",
    ] {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        let kept = if path.contains("assets") { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        assert!(answer.header("x-openstack-request-id").starts_with("req-"), "{path}");
    }
    let page = browser.text("/console/").await;
    assert!(!page.contains("style=") && !page.contains("onclick"), "{page}");
    assert_eq!(page.matches("<script").count(), 1);
}

#[actix_web::test]
async fn a_reader_changes_nothing_and_a_member_sees_its_own_project_only() {
    let browser = Browser::signed_in("reader").await;
    let page = browser.text(&format!("/console/instances/{A1}")).await;
    assert!(page.contains("may read only") && !page.contains("Back up now"), "{page}");
    let fields = "name=by+hand&kind=full";
    let answer = browser.post(&format!("/console/instances/{A1}/backup"), fields).await;
    assert_eq!(answer.status, 403);
    assert_eq!(browser.get(&format!("/console/instances/{B1}")).await.status, 404);
    let overview = browser.text("/console/").await;
    assert!(overview.contains(">a1<") && !overview.contains(">b1<"), "{overview}");
    let alice = Browser::signed_in("alice").await;
    assert_eq!(
        alice.post("/console/quotas", "project=project-a&backups=5&instances=5").await.status,
        403
    );
    assert_eq!(alice.get("/console/quotas?project=project-b").await.status, 403);
    let of_bob = alice.server.completed_backup("bob", "project-b", B1, "of bob").await;
    for path in ["", "/archive", "/delete", "/restore"] {
        assert_eq!(
            alice.get(&format!("/console/backups/{of_bob}{path}")).await.status,
            404,
            "{path}"
        );
    }
    for action in ["pin", "drill", "delete", "undelete"] {
        let answer = alice.post(&format!("/console/backups/{of_bob}/{action}"), "").await;
        assert_eq!(answer.status, 404, "{action}");
    }
}

#[actix_web::test]
async fn a_form_that_is_too_long_or_of_another_method_is_refused() {
    let browser = Browser::signed_in("alice").await;
    let long = "x".repeat(17 << 10);
    let answer =
        browser.post(&format!("/console/instances/{A1}/backup"), &format!("name={long}")).await;
    assert_eq!(answer.status, 400);
    let request = Request::new(Method::DELETE, "/console/").header("Cookie", &browser.cookie);
    assert_eq!(browser.send(request).await.status, 404);
}
