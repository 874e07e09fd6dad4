//! Pages: no row is repeated or skipped, whatever happens between two requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::{A1, A2, Fixture};
use serde_json::json;

const LIST: &str = "/v1.0/project-a/backups";

async fn with_backups(count: usize) -> (Fixture, Vec<String>) {
    let fixture = Fixture::new();
    let mut ids = Vec::new();
    for number in 0..count {
        let instance = if number % 2 == 0 { A1 } else { A2 };
        let id =
            fixture.completed_backup("alice", "project-a", instance, &format!("n{number}")).await;
        ids.push(id.to_string());
    }
    ids.reverse();
    (fixture, ids)
}

/// Follows the links from this page on.
async fn walk(fixture: &Fixture, first: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = fixture.get(&path, "alice").await;
        assert_eq!(page.status, 200, "{page:?}");
        ids.extend(page.ids());
        next = page.next();
        assert!(ids.len() < 1000, "pages without end");
    }
    ids
}

#[actix_web::test]
async fn every_row_is_listed_once_newest_first_whatever_the_limit() {
    let (fixture, ids) = with_backups(7).await;
    for limit in [1, 2, 3, 6, 7, 8, 100, 1_000_000] {
        assert_eq!(walk(&fixture, &format!("{LIST}?limit={limit}")).await, ids, "{limit}");
    }
}

#[actix_web::test]
async fn the_last_page_has_no_links_and_a_default_page_has_twenty_rows() {
    let (fixture, ids) = with_backups(21).await;
    let first = fixture.get(LIST, "alice").await;
    assert_eq!(first.ids(), ids[..20]);
    assert_eq!(first.json()["links"].as_array().unwrap().len(), 1);
    assert_eq!(first.json()["links"][0]["rel"], "next");
    let last = fixture.get(&first.next().unwrap(), "alice").await;
    assert_eq!(last.ids(), ids[20..]);
    assert!(last.json().get("links").is_none());
    let exact = fixture.get(&format!("{LIST}?limit=21"), "alice").await;
    assert!(exact.json().get("links").is_none());
}

#[actix_web::test]
async fn rows_are_neither_repeated_nor_skipped_while_others_are_added_and_deleted() {
    let (fixture, ids) = with_backups(6).await;
    let first = fixture.get(&format!("{LIST}?limit=2"), "alice").await;
    fixture.completed_backup("alice", "project-a", A1, "newer").await;
    // The row of the marker is one of those deleted.
    for gone in [&ids[1], &ids[0]] {
        assert_eq!(fixture.delete(&format!("{LIST}/{gone}"), "alice").await.status, 202);
    }
    fixture.run_jobs(b"");
    assert_eq!(walk(&fixture, &first.next().unwrap()).await, ids[2..]);
}

#[actix_web::test]
async fn the_marker_keeps_the_filters_that_the_stock_client_drops() {
    let (fixture, ids) = with_backups(6).await;
    let of_a1: Vec<String> = ids.iter().skip(1).step_by(2).cloned().collect();
    let first = fixture.get(&format!("{LIST}?instance_id={A1}&limit=1"), "alice").await;
    let next = first.next().unwrap();
    let marker = next.split("marker=").nth(1).unwrap();
    // As the stock client asks: the marker and nothing else.
    let second = fixture.get(&format!("{LIST}?marker={marker}"), "alice").await;
    assert_eq!([first.ids(), second.ids()].concat(), of_a1);
    // The same filter again is fine, another one is not.
    assert_eq!(walk(&fixture, &next).await, of_a1[1..]);
    let other = fixture.get(&format!("{LIST}?marker={marker}&instance_id={A2}"), "alice").await;
    other.assert_fault(400, "badRequest");
    let status = fixture.get(&format!("{LIST}?status=COMPLETED&limit=1"), "alice").await;
    let datastore = fixture.get(&format!("{LIST}?datastore=mysql&limit=1"), "alice").await;
    assert_eq!(walk(&fixture, &status.next().unwrap()).await, ids[1..]);
    assert_eq!(walk(&fixture, &datastore.next().unwrap()).await, ids[1..]);
}

#[actix_web::test]
async fn the_id_of_a_backup_is_a_marker_too() {
    let (fixture, ids) = with_backups(4).await;
    let behind = fixture.get(&format!("{LIST}?marker={}", ids[1]), "alice").await;
    assert_eq!(behind.ids(), ids[2..]);
    let of_a2 = fixture.get(&format!("{LIST}?marker={}&instance_id={A2}", ids[1]), "alice").await;
    assert_eq!(of_a2.ids(), ids[2..3]);
}

#[actix_web::test]
async fn the_next_link_keeps_the_other_parameters() {
    let (fixture, _ids) = with_backups(3).await;
    let page = fixture.get(&format!("{LIST}?limit=1&include=a%20b"), "alice").await;
    let href = page.json()["links"][0]["href"].as_str().unwrap().to_owned();
    let start = format!("http://coffer.test{LIST}?limit=1&include=a%20b&marker=");
    assert!(href.starts_with(&start), "{href}");
}

#[actix_web::test]
async fn filters_narrow_the_list() {
    let (fixture, ids) = with_backups(3).await;
    let failed = fixture.create_backup("alice", "project-a", A1, "bad").await.to_string();
    fixture.fail_next();
    let list = async |query: &str| fixture.get(&format!("{LIST}?{query}"), "alice").await.ids();
    assert_eq!(list("status=FAILED").await, std::slice::from_ref(&failed));
    assert_eq!(list("status=COMPLETED").await, ids);
    assert_eq!(list("datastore=postgresql").await, [""; 0]);
    let id = coffer::domain::Datastore::datastore_id("mysql");
    assert_eq!(list(&format!("datastore={id}")).await.len(), 4);
    assert_eq!(list(&format!("instance_id={A2}")).await, ids[1..2]);
    // Below the instance every other filter is ignored.
    let below = format!("/v1.0/project-a/instances/{A2}/backups?status=FAILED&datastore=oracle");
    assert_eq!(fixture.get(&below, "alice").await.ids(), ids[1..2]);
    let body = fixture.get(&format!("{LIST}/{failed}"), "alice").await.json();
    let failure = json!({"code": "source_missing", "message": "the database does not exist"});
    assert_eq!(body["backup"]["failure"], failure);
}

#[actix_web::test]
async fn instances_are_paged_by_their_ids() {
    let fixture = Fixture::new();
    let mut names = Vec::new();
    let mut next = Some("/v1.0/project-a/instances?limit=2".to_owned());
    while let Some(path) = next {
        let page = fixture.get(&path, "alice").await;
        let body = page.json();
        let rows = body["instances"].as_array().unwrap();
        assert!(rows.len() <= 2);
        names.extend(rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        next = page.next();
    }
    assert_eq!(names, ["a1", "a2", "a4", "a5", "a6"]);
}

#[actix_web::test]
async fn a_limit_is_a_number_above_zero_and_never_more_than_the_most() {
    let (fixture, _ids) = with_backups(101).await;
    let rows = async |query: &str| {
        let answer = fixture.get(&format!("{LIST}?{query}"), "alice").await;
        (answer.status == 200).then(|| answer.ids().len())
    };
    for (limit, most) in
        [("1", 1), ("%2B2", 2), ("%202", 2), ("101", 100), (&"9".repeat(50), 100), ("", 20)]
    {
        assert_eq!(rows(&format!("limit={limit}")).await, Some(most), "{limit}");
    }
    for bad in ["0", "000", "-1", "abc", "1.5", "0x10", "%2B", "--1", "%D9%A2", "1e3"] {
        assert_eq!(rows(&format!("limit={bad}")).await, None, "{bad}");
    }
    assert_eq!(rows("limit=1&limit=2").await, None);
    assert_eq!(rows("limit=2&limit=2").await, Some(2));
}

#[actix_web::test]
async fn all_projects_reads_yes_as_trove_does() {
    let fixture = Fixture::new();
    let status =
        async |text| fixture.get(&format!("{LIST}?all_projects={text}"), "alice").await.status;
    for yes in ["true", "True", "1", "on", "yes"] {
        assert_eq!(status(yes).await, 403, "{yes}");
    }
    for no in ["false", "0", "", "maybe", "no", "2"] {
        assert_eq!(status(no).await, 200, "{no}");
    }
}

#[actix_web::test]
async fn the_filters_of_a_marker_apply_and_may_be_repeated_but_not_changed() {
    let (fixture, _ids) = with_backups(3).await;
    let first = fixture.get(&format!("{LIST}?instance_id={A1}&limit=1"), "admin").await;
    let next = first.next().unwrap();
    let marker = next.split(['?', '&']).find(|it| it.starts_with("marker=")).unwrap();
    let status =
        async |more: &str| fixture.get(&format!("{LIST}?{marker}{more}"), "admin").await.status;
    assert_eq!(status("").await, 200);
    assert_eq!(status(&format!("&instance_id={A1}")).await, 200);
    assert_eq!(status("&all_projects=false").await, 200);
    assert_eq!(status(&format!("&instance_id={A2}")).await, 400);
    assert_eq!(status("&status=FAILED").await, 400);
    assert_eq!(status("&all_projects=true").await, 400);
}

#[actix_web::test]
async fn a_text_that_this_server_did_not_make_is_no_marker() {
    let (fixture, _ids) = with_backups(2).await;
    let next = fixture.get(&format!("{LIST}?limit=1"), "alice").await.next().unwrap();
    let marker = next.split(['?', '&']).find_map(|it| it.strip_prefix("marker=")).unwrap();
    let own = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).unwrap()).unwrap();
    assert!(own.contains("\"v\":1"), "{own}");
    let older = URL_SAFE_NO_PAD.encode(own.replace("\"v\":1", "\"v\":0"));
    let odd = URL_SAFE_NO_PAD.encode(r#"{"v":1,"at":0,"id":"x","f":{"status":"LOST"}}"#);
    for text in ["2", "abc", "e30", &older, &odd, &"A".repeat(2049)] {
        let answer = fixture.get(&format!("{LIST}?marker={text}"), "alice").await;
        answer.assert_fault(400, "badRequest");
    }
}
