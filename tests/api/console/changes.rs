//! What the forms do: back up, restore, pin, delete and undo; and how open pages hear of it.

use coffer::catalog::Read;
use coffer::domain::{BackupId, Status};

use crate::support::{A1, admin, blocking};

use super::fixture::{Browser, assert_says, text};

fn id_in(location: &str) -> BackupId {
    location.rsplit('/').next().unwrap().parse().unwrap()
}

async fn back_up(browser: &Browser, kind: &str) -> BackupId {
    let fields = format!("name=by+hand&kind={kind}");
    let answer = browser.post(&format!("/console/instances/{A1}/backup"), &fields).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    id_in(answer.header("location"))
}

#[actix_web::test]
async fn a_backup_is_made_in_the_project_of_its_instance_by_an_administrator_too() {
    let browser = Browser::signed_in("admin").await;
    let id = back_up(&browser, "full").await;
    let waiting = browser.text(&format!("/console/backups/{id}")).await;
    assert_says(&waiting, &["by hand", "NEW", "Under way"]);
    browser.server.run_jobs(b"an archive");
    let made = browser.server.catalog.backup(&admin::<Read>(), id).unwrap();
    assert_eq!((made.status, made.project.as_str()), (Status::Completed, "project-a"));
    let incremental = back_up(&browser, "incremental").await;
    let made = browser.server.catalog.backup(&admin::<Read>(), incremental).unwrap();
    assert_eq!(made.parent, Some(id));
    let answer = browser.post(&format!("/console/instances/{A1}/backup"), "name=again").await;
    assert_eq!(answer.status, 422, "one is under way");
    let answer = browser.post(&format!("/console/instances/{A1}/backup"), "name=%21%21").await;
    assert_eq!(answer.status, 400);
    assert_says(&text(&answer), &["at least one letter or digit"]);
}

#[actix_web::test]
async fn a_restore_has_a_plan_before_and_a_report_after() {
    let browser = Browser::signed_in("alice").await;
    let id = browser.server.completed_backup("alice", "project-a", A1, "first").await;
    let plan = browser.text(&format!("/console/backups/{id}/restore")).await;
    assert_says(
        &plan,
        &["The plan", "1 archive", "first restored", "No database that runs is touched"],
    );
    let answer = browser.post(&format!("/console/backups/{id}/restore"), "name=again").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let to = answer.header("location").to_owned();
    assert_says(&browser.text(&to).await, &["The restore waits or is under way"]);
    browser.server.run_jobs(b"");
    let report = browser.text(&to).await;
    assert_says(&report, &["Restored: every byte was compared", "/restored/it", &id.to_string()]);
    assert_says(&browser.text(&format!("{to}/delete")).await, &["cannot be undone"]);
    assert_eq!(browser.post(&format!("{to}/delete"), "").await.status, 303);
    assert_eq!(browser.get(&to).await.status, 404);
}

#[actix_web::test]
async fn a_delete_shows_what_goes_and_is_undone() {
    let browser = Browser::signed_in("alice").await;
    let full = browser.server.completed_backup("alice", "project-a", A1, "first").await;
    let child = back_up(&browser, "incremental").await;
    browser.server.run_jobs(b"an archive");
    let preview = browser.text(&format!("/console/backups/{full}/delete")).await;
    assert_says(
        &preview,
        &["2 backups would go", "1 other built on it", "undone for 24 h", "by hand"],
    );
    let pinned = browser.post(&format!("/console/backups/{child}/pin"), "").await;
    assert_eq!(pinned.status, 303);
    let preview = browser.text(&format!("/console/backups/{full}/delete")).await;
    assert_says(&preview, &["cannot be deleted now", "is pinned"]);
    assert!(!preview.contains("danger"), "{preview}");
    assert_eq!(browser.post(&format!("/console/backups/{full}/delete"), "").await.status, 422);
    browser.post(&format!("/console/backups/{child}/unpin"), "").await;
    let answer = browser.post(&format!("/console/backups/{full}/delete"), "").await;
    let back = format!("/console/instances/{A1}?deleted={full}");
    assert_eq!((answer.status, answer.header("location")), (303, back.as_str()));
    let offer = browser.text(&back).await;
    assert_says(
        &offer,
        &["Deleted, with what was built on it", &format!("/console/backups/{full}/undelete")],
    );
    assert_eq!(browser.get(&format!("/console/backups/{child}")).await.status, 404);
    blocking(|| browser.server.catalog.trashed(vec![child, full]).wait()).unwrap();
    assert_says(&browser.text(&back).await, &["These can be brought back"]);
    let answer = browser.post(&format!("/console/backups/{full}/undelete"), "").await;
    assert_eq!((answer.status, id_in(answer.header("location"))), (303, full), "{answer:?}");
    for id in [full, child] {
        assert_eq!(browser.get(&format!("/console/backups/{id}")).await.status, 200);
    }
    assert!(!browser.text(&back).await.contains("Deleted, with"), "it is there again");
}

#[actix_web::test]
async fn open_pages_hear_of_a_change_and_end_with_the_server() {
    let browser = Browser::signed_in("alice").await;
    let changes = std::sync::Arc::clone(browser.server.catalog.changes());
    let mut heard = changes.follow();
    let as_of = |page: &str| {
        page.split_once("data-live=\"").map(|(_, it)| it.split('"').next().unwrap().to_owned())
    };
    let page = browser.text("/console/").await;
    assert_eq!(as_of(&page), Some(changes.count().to_string()));
    browser.server.create_backup("alice", "project-a", A1, "first").await;
    assert!(heard.next().await);
    assert_ne!(
        as_of(&browser.text("/console/").await),
        as_of(&page),
        "the page knows what it has shown"
    );
    changes.end();
    assert!(!heard.next().await && !changes.follow().next().await);
    // The stream of a page ends, too, or this would wait for ever.
    let stream = browser.get("/console/live").await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(text(&stream), "retry: 3000\n\n");
}
