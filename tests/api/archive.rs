//! Downloads of archives: complete, by range, resumed, and of archives that are damaged or missing.

use std::sync::Mutex;

use crate::support::{A1, Answer, Fixture, Request};
use actix_web::body::BodySize;
use actix_web::http::Method;

/// Collects what is logged at level error.
struct Errors(Mutex<Vec<String>>);

impl log::Log for Errors {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Longer than two of the pieces that a download reads.
fn archive() -> Vec<u8> {
    (0_u32..100_000).flat_map(u32::to_le_bytes).collect()
}

async fn fixture() -> (Fixture, String) {
    let fixture = Fixture::new();
    let id = fixture.create_backup("alice", "project-a", A1, "it").await;
    fixture.run_jobs(&archive());
    (fixture, format!("/v1.0/project-a/backups/{id}/archive"))
}

async fn part(fixture: &Fixture, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::get(path).token_of("alice");
    fixture
        .send(headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
        .await
}

#[actix_web::test]
async fn a_download_has_the_archives_bytes_and_file_name() {
    let (fixture, path) = fixture().await;
    let answer = fixture.get(&path, "alice").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == archive(), "{} bytes", answer.body.len());
    let id = path.split('/').nth(4).unwrap();
    assert_eq!(answer.header("content-type"), "application/zstd");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"{id}.tar.zst\"")
    );
    let hash = blake3::hash(&archive());
    assert_eq!(answer.header("etag"), format!("\"blake3:{hash}\""));
}

#[actix_web::test]
async fn a_range_request_returns_those_bytes() {
    let (fixture, path) = fixture().await;
    let whole = archive();
    let end = whole.len();
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=1000-299999".to_owned(), 1000, 299_999),
        ("bytes=399990-".to_owned(), 399_990, end - 1),
        ("bytes=-10".to_owned(), end - 10, end - 1),
        (format!("bytes=5-{}", end * 2), 5, end - 1),
    ] {
        let answer = part(&fixture, &path, &[("Range", &range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == whole[first..=last], "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/{end}"));
    }
    let beyond = part(&fixture, &path, &[("Range", "bytes=400000-")]).await;
    beyond.assert_fault(416, "badRange");
    assert_eq!(beyond.header("content-range"), "bytes */400000");
    for ignored in ["bytes=0-1,5-6", "lines=1-2", "bytes=9-1"] {
        assert_eq!(part(&fixture, &path, &[("Range", ignored)]).await.status, 200, "{ignored}");
    }
}

#[actix_web::test]
async fn a_download_can_be_resumed_only_if_the_archive_is_the_same() {
    let (fixture, path) = fixture().await;
    let tag = fixture.get(&path, "alice").await.header("etag").to_owned();
    let range = ("Range", "bytes=0-9");
    assert_eq!(part(&fixture, &path, &[range, ("If-Range", &tag)]).await.status, 206);
    assert_eq!(part(&fixture, &path, &[range, ("If-Range", "\"other\"")]).await.status, 200);
    let known = part(&fixture, &path, &[("If-None-Match", &tag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), tag);
    let head = Request::new(Method::HEAD, &path).token_of("alice").header("Range", "bytes=0-9");
    let head = fixture.send(head).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

/// A backup whose archive has so many bytes.
async fn small(bytes: usize) -> (Fixture, String) {
    let fixture = Fixture::new();
    let id = fixture.create_backup("alice", "project-a", A1, "it").await;
    fixture.run_jobs(&vec![b'x'; bytes]);
    (fixture, format!("/v1.0/project-a/backups/{id}/archive"))
}

#[actix_web::test]
async fn a_range_is_cut_to_the_length() {
    let (fixture, path) = small(100).await;
    for (range, expected) in [
        ("bytes=0-", Some((0, 99))),
        ("bytes=10-19", Some((10, 19))),
        ("Bytes = 10-500", Some((10, 99))),
        ("bytes=99-99", Some((99, 99))),
        ("bytes=-5", Some((95, 99))),
        ("bytes=-500", Some((0, 99))),
        ("bytes=0-99999999999999999999999", Some((0, 99))),
        ("bytes=100-", None),
        ("bytes=99999999999999999999999-", None),
        ("bytes=-0", None),
    ] {
        let answer = part(&fixture, &path, &[("Range", range)]).await;
        let Some((first, last)) = expected else {
            answer.assert_fault(416, "badRange");
            continue;
        };
        assert_eq!((answer.status, answer.body.len()), (206, last - first + 1), "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/100"));
    }
    let (fixture, path) = small(0).await;
    part(&fixture, &path, &[("Range", "bytes=0-")]).await.assert_fault(416, "badRange");
}

#[actix_web::test]
async fn a_range_that_cannot_be_read_is_ignored() {
    let (fixture, path) = small(100).await;
    for range in ["", "bytes", "bytes=", "bytes=-", "bytes=5-1", "bytes=a-b", "bytes=+1-2"] {
        let answer = part(&fixture, &path, &[("Range", range)]).await;
        assert_eq!((answer.status, answer.body.len()), (200, 100), "{range}");
    }
}

#[actix_web::test]
async fn conditions_are_compared_with_the_tag() {
    let (fixture, path) = small(100).await;
    let tag = fixture.get(&path, "alice").await.header("etag").to_owned();
    let (range, weak) = (("Range", "bytes=0-1"), format!("W/{tag}"));
    let listed = format!("\"x\", {tag}");
    let status = async |condition| part(&fixture, &path, &[range, condition]).await.status;
    assert_eq!(status(("If-Range", &*tag)).await, 206);
    assert_eq!(status(("If-Range", &*weak)).await, 200);
    for known in [&*tag, "*", &listed, &weak] {
        assert_eq!(status(("If-None-Match", known)).await, 304, "{known}");
    }
    assert_eq!(status(("If-None-Match", "\"x\"")).await, 206);
}

#[actix_web::test]
async fn downloading_a_backup_without_an_archive_is_refused_with_its_status() {
    let fixture = Fixture::new();
    let id = fixture.create_backup("alice", "project-a", A1, "it").await;
    let answer = fixture.get(&format!("/v1.0/project-a/backups/{id}/archive"), "alice").await;
    answer.assert_fault(422, "unprocessableEntity");
    assert!(answer.message().contains("NEW"), "{answer:?}");
}

#[actix_web::test]
async fn an_archive_that_differs_from_the_catalog_is_not_sent() {
    let (fixture, path) = fixture().await;
    let id = path.split('/').nth(4).unwrap();
    let location = format!("project-a/{id}.tar.zst");
    fixture.archives.put(&location, b"cut short");
    let refused = fixture.get(&path, "alice").await;
    refused.assert_fault(503, "serviceUnavailable");
    assert!(refused.message().contains("it has 9 bytes and should have"), "{refused:?}");
    fixture.archives.lose(&location);
    fixture.get(&path, "alice").await.assert_fault(404, "itemNotFound");
}

#[actix_web::test]
async fn the_download_of_an_archive_with_other_bytes_is_cut_before_its_end() {
    let (fixture, path) = fixture().await;
    let id = path.split('/').nth(4).unwrap();
    let mut damaged = archive();
    damaged[7] ^= 1;
    fixture.archives.put(&format!("project-a/{id}.tar.zst"), &damaged);
    for range in [None, Some("bytes=0-")] {
        let request = Request::get(&path).token_of("alice");
        let request = range.into_iter().fold(request, |it, range| it.header("range", range));
        let (received, size) = fixture.send_until_cut(request).await;
        assert_eq!(size, BodySize::Sized(u64::try_from(damaged.len()).unwrap()));
        assert!(received.len() < damaged.len() && damaged.starts_with(&received), "{range:?}");
    }
    // What still lies there can be had in parts.
    let answer = part(&fixture, &path, &[("range", "bytes=0-99")]).await;
    assert!(answer.status == 206 && answer.body == damaged[..100]);
}

#[actix_web::test]
async fn an_archive_that_a_delete_removed_during_a_download_is_no_error_of_the_server() {
    static ERRORS: Errors = Errors(Mutex::new(Vec::new()));
    log::set_logger(&ERRORS).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    let (fixture, path) = fixture().await;
    let id = path.split('/').nth(4).unwrap();
    fixture.archives.lose(&format!("project-a/{id}.tar.zst"));
    fixture.get(&path, "alice").await.assert_fault(404, "itemNotFound");
    let errors = ERRORS.0.lock().unwrap();
    assert!(!errors.iter().any(|it| it.contains(id)), "{errors:?}");
}
