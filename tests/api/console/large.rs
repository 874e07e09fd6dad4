//! The pages of a server with a thousand instances and a hundred thousand backups: none has a list without end, and none
//! takes more than 60 KB on the way.

use std::io::Read as _;

use flate2::read::GzDecoder;
use rusqlite::Connection;

use crate::support::{Answer, Request};

use super::fixture::{Browser, text};

/// The most bytes of a page, as they are sent.
const MOST_BYTES: usize = 60_000;
/// The most rows of a list.
const MOST_ROWS: usize = 100;

/// An instance with 300 full backups, a hundred of them in the trash, and two hundred drills.
const HEAVY: &str = "00000001-0000-4000-8000-000000000000";
/// The first backup of the second instance, which two hundred others are built on.
const ROOT: &str = "00000002-0001-7000-8000-000000000000";

/// A thousand instances with a hundred backups each; one in ten is damaged, and has an alert.
const LARGE: &str = include_str!("../../data/large_catalog.sql");

/// What a browser that takes gzip gets: the page, and how long it was on the way.
async fn loaded(browser: &Browser, path: &str) -> (String, usize) {
    let request = Request::get(path).header("Cookie", &browser.cookie);
    let request = request.header("Accept-Encoding", "gzip, deflate, br, zstd");
    let answer = browser.send(request.header("Sec-Fetch-Site", "same-origin")).await;
    let sent = (answer.status, answer.header("content-encoding"));
    assert_eq!(sent, (200, "gzip"), "{path}: {answer:?}");
    let mut page = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut page).unwrap();
    (page, answer.body.len())
}

/// How many rows the longest list of a page has.
fn longest_list(page: &str) -> usize {
    let mut longest = 0;
    for (list, row) in
        [("tbody", "<tr"), ("ul", "<li"), ("ol", "<li"), ("svg", "<rect"), ("svg", "<circle")]
    {
        for part in page.split(&format!("<{list}")).skip(1) {
            let inside = part.split(&format!("</{list}>")).next().unwrap_or_default();
            longest = longest.max(inside.matches(row).count());
        }
    }
    longest
}

/// The path behind the link to the next part of the list in this section.
fn next_in(page: &str, label: &str) -> Option<String> {
    let (_, nav) = page.split_once(&format!("aria-label=\"Pages of {label}\""))?;
    let (_, next) = nav.split_once("</nav>")?.0.split_once("rel=\"next\" href=\"")?;
    Some(next.split_once('"')?.0.replace("&amp;", "&").split('#').next()?.to_owned())
}

#[actix_web::test]
async fn no_page_of_a_large_server_has_a_list_without_end_or_is_long_on_the_way() {
    let browser = Browser::signed_in("admin").await;
    let db = Connection::open(browser.server.catalog_file()).unwrap();
    db.execute_batch(LARGE).unwrap();
    let last = format!("00000001-{:04x}-7000-8000-000000000000", 200);
    for path in [
        "",
        "?page=11",
        "?state=critical",
        "?search=number",
        &format!("instances/{HEAVY}"),
        &format!("instances/{HEAVY}?days=30"),
        &format!("backups/{last}"),
        &format!("backups/{ROOT}"),
        &format!("backups/{ROOT}/delete"),
        &format!("backups/{ROOT}/restore"),
        "alerts",
        "events",
        "quotas",
        "api",
    ] {
        let (page, bytes) = loaded(&browser, &format!("/console/{path}")).await;
        println!("{path}: {bytes} bytes of {}, {} rows", page.len(), longest_list(&page));
        assert!(bytes <= MOST_BYTES, "{path}: {bytes} bytes");
        assert!(longest_list(&page) <= MOST_ROWS, "{path}: {} rows", longest_list(&page));
    }
    let overview = loaded(&browser, "/console/").await.0;
    assert!(overview.contains("Page 1 of") && overview.contains("is damaged or missing"));
    for (path, label, other) in [
        (format!("/console/instances/{HEAVY}"), "chains", "Page 2 of 4, 200 chains"),
        (format!("/console/instances/{HEAVY}"), "backups", "nightly 1 150"),
        (format!("/console/backups/{ROOT}/delete"), "backups", "Page 2 of 6, 300 backups"),
        (format!("/console/backups/{last}"), "tables", "Page 2 of 6, 300 tables"),
        ("/console/alerts".to_owned(), "alerts", "Page 2 of 10, 499 alerts"),
        ("/console/events".to_owned(), "events", "nobody"),
    ] {
        let next = next_in(&loaded(&browser, &path).await.0, label);
        let next = next.unwrap_or_else(|| panic!("{path}: no other {label}"));
        let page = loaded(&browser, &next).await.0;
        assert!(page.contains(other) || other == "nobody", "{next}: {page}");
    }
}

#[actix_web::test]
async fn a_page_is_compressed_only_for_our_own_and_its_forms_have_another_token_each_time() {
    let browser = Browser::signed_in("alice").await;
    for (site, encoding) in
        [("same-origin", "gzip"), ("none", "gzip"), ("same-site", ""), ("cross-site", "")]
    {
        let request = Request::get("/console/").header("Cookie", &browser.cookie);
        let request = request.header("Accept-Encoding", "gzip").header("Sec-Fetch-Site", site);
        let answer: Answer = browser.send(request).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{site}");
        assert!(answer.header("vary").contains("Accept-Encoding"), "{answer:?}");
    }
    assert_eq!(browser.get("/console/").await.header("content-encoding"), "", "not asked for");
    let style = Request::get("/console/assets/console.css").header("Accept-Encoding", "gzip");
    let style = browser.send(style).await;
    assert_eq!(style.header("content-encoding"), "gzip");
    let mut css = String::new();
    GzDecoder::new(&style.body[..]).read_to_string(&mut css).unwrap();
    assert_eq!(css, text(&browser.get("/console/assets/console.css").await));
    let tokens = [browser.form_token().await, browser.form_token().await];
    assert_ne!(tokens[0], tokens[1]);
    for token in &tokens {
        let body = format!("form_token={token}&project=project-a&backups=1&instances=1");
        let form = browser.form("/console/quotas", body).header("Sec-Fetch-Site", "same-origin");
        let refused = text(&browser.send(form).await);
        assert!(!refused.contains("did not come from a page"), "{refused}");
    }
}

#[actix_web::test]
async fn names_that_turn_the_order_of_letters_are_written_out() {
    let browser = Browser::signed_in("alice").await;
    let name = "invoice\u{202e}gpj.exe\u{200b}";
    let made =
        browser.server.completed_backup("alice", "project-a", crate::support::A1, name).await;
    for path in [format!("backups/{made}"), format!("backups/{made}/delete"), "events".to_owned()] {
        let page = browser.text(&format!("/console/{path}")).await;
        assert!(!page.contains(['\u{202e}', '\u{200b}']), "{path}");
        assert!(page.contains("\\u{202e}gpj.exe\\u{200b}") || path == "events", "{path}: {page}");
    }
    let query = "/console/?search=%E2%80%AEx";
    assert!(!browser.text(query).await.contains('\u{202e}'));
}
