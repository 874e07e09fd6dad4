//! What each page shows of a real catalog.

use std::time::Duration;

use coffer::catalog::{Catalog, FleetRules};
use coffer::domain::{DiskRoom, Failure, FailureCode, FleetArchive};
use uuid::Builder;

use crate::support::{A1, A2, Answer, POSTGRES, START, blocking};

use super::fixture::{Browser, assert_says, text};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn backed_up(who: &str) -> (Browser, String) {
    let browser = Browser::signed_in(who).await;
    let made = browser.server.completed_backup("alice", "project-a", A1, "first").await;
    (browser, made.to_string())
}

#[actix_web::test]
async fn the_overview_says_what_is_safe_worst_first_and_what_to_do() {
    let (browser, _) = backed_up("alice").await;
    let room = DiskRoom { free_bytes: 30 << 20, total_bytes: 100 << 20, headroom_bytes: 10 << 20 };
    browser.server.catalog.note_room(room, 3);
    let page = browser.text("/console/").await;
    assert_says(
        &page,
        &["Not everything is backed up", "1 instance safe", "20.0 MiB", "2026-11-23 19:0"],
    );
    let damaged = browser.server.completed_backup("alice", "project-a", A2, "second").await;
    let failure = Failure::new(FailureCode::ArchiveDamaged, "a bit is <wrong>");
    blocking(|| browser.server.catalog.report_damage(damaged, failure).wait()).unwrap();
    let page = browser.text("/console/").await;
    assert_says(
        &page,
        &["No: something is not safe", "a bit is &lt;wrong&gt;", "--salvage", "Critical"],
    );
    let rows = page.split_once("<tbody>").unwrap().1;
    assert!(rows.find(">a2<").unwrap() < rows.find(">a1<").unwrap(), "{rows}");
}

#[actix_web::test]
async fn instances_are_found_by_name_and_state_and_paged() {
    let (browser, _) = backed_up("alice").await;
    let page = browser.text("/console/?search=A1&state=safe").await;
    assert!(page.contains(">a1<") && !page.contains(">a2<"), "{page}");
    let none = browser.text("/console/?search=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert_says(
        &none,
        &["No instance is like that", "value=\"&lt;script&gt;alert(1)&lt;/script&gt;\""],
    );
    assert!(!none.contains("<script>alert"), "{none}");
    assert_says(&browser.text("/console/?page=999").await, &[">a1<"]);
}

#[actix_web::test]
async fn names_and_texts_that_are_html_are_shown_as_text() {
    let browser = Browser::signed_in("alice").await;
    let name = "<script>alert('x')</script>\" onmouseover=\"alert(2)";
    let made = browser.server.completed_backup("alice", "project-a", A1, name).await;
    for path in [
        format!("/console/instances/{A1}"),
        format!("/console/backups/{made}"),
        format!("/console/backups/{made}/delete"),
        format!("/console/backups/{made}/restore"),
    ] {
        let page = browser.text(&path).await;
        assert!(page.contains("&lt;script&gt;alert"), "{path}: {page}");
        assert!(!page.contains("<script>alert") && !page.contains("\" onmouseover"), "{path}");
    }
}

#[actix_web::test]
async fn an_instance_shows_its_points_its_rows_its_schedule_and_what_is_kept() {
    let (browser, made) = backed_up("alice").await;
    browser.post(&format!("/console/backups/{made}/drill"), "").await;
    browser.server.run_jobs(b"an archive");
    let page = browser.text(&format!("/console/instances/{A1}")).await;
    assert_says(
        &page,
        &[
            ">first<",
            "COMPLETED",
            "Restored in a drill",
            "One drill has passed so far. ",
            "The numbers",
            ">42<",
            "Nothing backs it up by itself",
            "everything is kept",
            "name=\"days\"",
            "1 backup",
            "Back up now",
        ],
    );
    let chart = "<svg class=\"chart\"";
    assert!(!page.contains(chart), "of one point: {page}");
    browser.server.completed_backup("alice", "project-a", A1, "second").await;
    assert_says(&browser.text(&format!("/console/instances/{A1}")).await, &[chart, ">second<"]);
    let ahead = browser.text(&format!("/console/instances/{A1}?days=30")).await;
    assert_says(&ahead, &["there will be 2 backups of today and 0 new ones", "Still there"]);
    let empty = browser.text(&format!("/console/instances/{POSTGRES}")).await;
    assert_says(&empty, &["There is no backup yet", "No drill has passed yet"]);
}

#[actix_web::test]
async fn a_backup_shows_its_proof_its_drill_and_how_to_restore_it_by_hand() {
    let (browser, made) = backed_up("alice").await;
    browser.post(&format!("/console/backups/{made}/drill"), "").await;
    assert_says(
        &browser.text(&format!("/console/backups/{made}")).await,
        &["A drill waits for its turn"],
    );
    browser.server.run_jobs(b"an archive");
    let page = browser.text(&format!("/console/backups/{made}")).await;
    assert_says(
        &page,
        &[
            "Nothing that a person could miss",
            "Drill passed",
            "shop.orders",
            "CHECK TABLE",
            &format!("coffer restore {made} --to PATH"),
            "zstd -dc",
            "tar -xf -",
            "Nobody asked for copies",
        ],
    );
    let archive = browser.get(&format!("/console/backups/{made}/archive")).await;
    assert_eq!(
        (&archive.body[..], archive.header("content-type")),
        (&b"an archive"[..], "application/zstd")
    );
    assert!(archive.header("content-disposition").starts_with("attachment; filename="));
}

#[actix_web::test]
async fn a_backup_is_verified_on_request_and_its_page_says_how_far_that_is() {
    let (browser, made) = backed_up("alice").await;
    let path = format!("/console/backups/{made}");
    let before = browser.text(&path).await;
    assert_says(&before, &["Verify now"]);
    assert!(!before.contains("Verification passed"), "{before}");
    browser.post(&format!("{path}/verify"), "").await;
    let waiting = browser.text(&path).await;
    assert_says(&waiting, &["<p role=\"status\">", "A verification waits for its turn"]);
    assert!(!waiting.contains("Verify now"), "{waiting}");
    browser.server.run_jobs(b"an archive");
    assert_says(&browser.text(&path).await, &["Verify now", "Verification passed"]);

    let id = made.parse().unwrap();
    let rotten = Failure::new(FailureCode::ArchiveDamaged, "a bit is <wrong>");
    blocking(|| browser.server.catalog.report_verify_failed(id, rotten).wait()).unwrap();
    assert_says(
        &browser.text(&path).await,
        &["A verification found damage", "A bit is &lt;wrong&gt;."],
    );
    let away = Failure::new(FailureCode::Storage, "the disk does not answer");
    blocking(|| browser.server.catalog.report_verify_failed(id, away).wait()).unwrap();
    assert_says(
        &browser.text(&path).await,
        &["did not come to a result", "takes nothing from the backup", "The disk does not answer."],
    );
}

#[actix_web::test]
async fn a_failed_backup_says_why_and_a_running_one_how_far_it_is() {
    let browser = Browser::signed_in("alice").await;
    let failed = browser.server.create_backup("alice", "project-a", A1, "fails").await;
    browser.server.fail_next();
    let page = browser.text(&format!("/console/backups/{failed}")).await;
    assert_says(&page, &["FAILED", "The database does not exist.", "source_missing"]);
    assert!(!page.contains("Restore…") && page.contains("Delete…"), "{page}");
    let running = browser.server.create_backup("alice", "project-a", A2, "runs").await;
    browser.server.claim_backup();
    browser.server.catalog.progress(running, 0.42);
    let page = browser.text(&format!("/console/backups/{running}")).await;
    assert_says(&page, &["BUILDING", "42 %"]);
}

#[actix_web::test]
async fn backups_of_an_instance_are_paged_without_gap_or_repetition() {
    let browser = Browser::signed_in("alice").await;
    let mut made = Vec::new();
    for number in 0..53 {
        let name = format!("number-{number}.");
        made.push(browser.server.completed_backup("alice", "project-a", A1, &name).await);
    }
    let first = browser.text(&format!("/console/instances/{A1}")).await;
    let (_, rest) = first.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split_once('"').unwrap().0.replace("&amp;", "&");
    let second = browser.text(next.split('#').next().unwrap()).await;
    let table = |page: &str| {
        let (_, part) = page.split_once("Backups, newest first").unwrap();
        part.split_once("</table>").unwrap().0.to_owned()
    };
    let (first, second) = (table(&first), table(&second));
    for (number, id) in made.iter().enumerate() {
        let shown = [&first, &second].map(|page| page.contains(&id.to_string()));
        assert_eq!(shown, [number >= 3, number < 3], "{number}");
    }
}

#[actix_web::test]
async fn alerts_events_quotas_and_the_api_have_their_pages() {
    let (browser, made) = backed_up("admin").await;
    assert_says(
        &browser.text("/console/alerts").await,
        &["Nothing is wrong", "Nobody hears of alerts"],
    );
    let events = browser.text("/console/events").await;
    assert_says(&events, &["Backup create", "alice"]);
    assert_says(&browser.text(&format!("/console/events?object={made}")).await, &["Backup create"]);
    assert_says(&browser.text("/console/events?object=nothing").await, &["There is no such event"]);
    let answer = browser.post("/console/quotas", "project=project-a&backups=7&instances=-1").await;
    assert_eq!(answer.header("location"), "/console/quotas?project=project-a");
    assert_says(
        &browser.text("/console/quotas?project=project-a").await,
        &["value=\"7\"", "value=\"-1\""],
    );
    for wrong in ["backups=a&instances=1", "backups=-2&instances=1"] {
        let answer = browser.post("/console/quotas", &format!("project=project-a&{wrong}")).await;
        assert!([400, 422].contains(&answer.status), "{answer:?}");
    }
    let reference = browser.text("/console/api").await;
    assert_says(
        &reference,
        &["/v1.0/{project_id}/backups", "Make a backup, or register an archive", "curl"],
    );
    let answer: Answer = browser.post("/console/alerts/test", "channel=nobody").await;
    assert_eq!(answer.status, 404);
}

#[actix_web::test]
async fn what_is_not_there_says_so_as_a_page() {
    let browser = Browser::signed_in("alice").await;
    let unknown = crate::support::UNKNOWN_ID;
    for path in [format!("backups/{unknown}"), format!("instances/{unknown}"), "x/y/z".to_owned()] {
        let answer = browser.get(&format!("/console/{path}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "text/html; charset=utf-8")
        );
        assert_says(&text(&answer), &["Not found", "To the overview"]);
    }
}

/// A fleet with this many devices, of which each has a backup a day; the first one has none since long.
fn read_fleet(catalog: &Catalog, devices: u8) {
    let rules = FleetRules { place: "all".to_owned(), silent_after: None, retired: Vec::new() };
    catalog.set_fleets(vec![rules]);
    let archives = (0..devices).flat_map(|device| {
        let newest = START.minus(DAY * if device == 0 { 9 } else { 0 });
        (0..4).rev().map(move |day| {
            let made = newest.minus(DAY * day);
            let millis = u64::try_from(made.as_micros() / 1000).unwrap();
            let id = Builder::from_unix_timestamp_millis(millis, &[device; 10]).into_uuid();
            let key = format!("shop-{device:02}/archives/a/{A1}/{id}.tar.zst");
            FleetArchive::parse(&key, 3 << 20).unwrap()
        })
    });
    let archives: Vec<_> = archives.collect();
    let number = catalog.begin_fleet_reading("all").wait().unwrap();
    let added = catalog.add_fleet_page("all", (number, true), archives).wait().unwrap();
    let why = "the manifest says <b>nothing</b>".to_owned();
    catalog.name_fleet_instances(vec![(added.unnamed[0].number, Err(why))]).wait().unwrap();
    catalog.end_fleet_reading("all", (number, true), 0).unwrap();
}

#[actix_web::test]
async fn the_fleet_is_listed_worst_first_and_paged_for_administrators_only() {
    let browser = Browser::signed_in("admin").await;
    let link = "href=\"/console/fleet\"";
    assert!(!browser.text("/console/").await.contains(link), "there is no fleet");
    assert_says(&browser.text("/console/fleet").await, &["There are no devices with backups"]);
    blocking(|| read_fleet(&browser.server.catalog, 60));
    assert_says(&browser.text("/console/").await, &[link]);
    let first = browser.text("/console/fleet").await;
    let said = ["Silent", "In time", "12.0 MiB", "project a", "&lt;b&gt;nothing", "all", ": read "];
    assert_says(&first, &said);
    let rows = first.split_once("<tbody>").unwrap().1;
    assert!(rows.find("shop-00").unwrap() < rows.find("shop-01").unwrap(), "{rows}");
    let next = first.split_once("rel=\"next\" href=\"").unwrap().1.split_once('"').unwrap().0;
    let second = browser.text(next).await;
    let shown = |page: &str, device: u8| page.contains(&format!("shop-{device:02}<"));
    for device in 0..60 {
        let on = [shown(&first, device), shown(&second, device)];
        assert_eq!(on, [device < 50, device >= 50], "{device}");
    }
    assert!(!second.contains("rel=\"next\"") && second.contains("rel=\"prev\""), "{second}");
    blocking(|| browser.server.catalog.fleet_unread("all", "no <route>".to_owned()).wait())
        .unwrap();
    let failing = browser.text("/console/fleet?after=nonsense").await;
    assert_says(&failing, &["cannot be read", "No &lt;route&gt;.", "shop-00<"]);
    let member = Browser::signed_in("alice").await;
    blocking(|| read_fleet(&member.server.catalog, 1));
    assert_eq!(member.get("/console/fleet").await.status, 403);
    assert!(!member.text("/console/").await.contains(link));
}
