//! Downloads of archives: whole, in part, again, and when something is wrong with them.

#![cfg(test)]

mod api_support;

use actix_web::http::Method;
use api_support::{A1, Answer, Ask, House};

/// More than two of the pieces that downloads are read in.
fn archive() -> Vec<u8> {
    (0_u32..100_000).flat_map(u32::to_le_bytes).collect()
}

async fn house() -> (House, String) {
    let house = House::new();
    let id = house.asked("alice", "project-a", A1, "it").await;
    house.work(&archive());
    (house, format!("/v1.0/project-a/backups/{id}/archive"))
}

async fn part(house: &House, path: &str, headers: &[(&str, &str)]) -> Answer {
    let ask = Ask::get(path).of("alice");
    house.ask(headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value))).await
}

#[actix_web::test]
async fn an_archive_comes_byte_for_byte_under_its_own_name() {
    let (house, path) = house().await;
    let answer = house.get(&path, "alice").await;
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
async fn a_range_gives_that_part() {
    let (house, path) = house().await;
    let whole = archive();
    let end = whole.len();
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=1000-299999".to_owned(), 1000, 299_999),
        ("bytes=399990-".to_owned(), 399_990, end - 1),
        ("bytes=-10".to_owned(), end - 10, end - 1),
        (format!("bytes=5-{}", end * 2), 5, end - 1),
    ] {
        let answer = part(&house, &path, &[("Range", &range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == whole[first..=last], "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/{end}"));
    }
    let beyond = part(&house, &path, &[("Range", "bytes=400000-")]).await;
    beyond.must_be_fault(416, "badRange");
    assert_eq!(beyond.header("content-range"), "bytes */400000");
    for ignored in ["bytes=0-1,5-6", "lines=1-2", "bytes=9-1"] {
        assert_eq!(part(&house, &path, &[("Range", ignored)]).await.status, 200, "{ignored}");
    }
}

#[actix_web::test]
async fn a_download_can_be_taken_up_again_only_of_the_same_archive() {
    let (house, path) = house().await;
    let tag = house.get(&path, "alice").await.header("etag").to_owned();
    let range = ("Range", "bytes=0-9");
    assert_eq!(part(&house, &path, &[range, ("If-Range", &tag)]).await.status, 206);
    assert_eq!(part(&house, &path, &[range, ("If-Range", "\"other\"")]).await.status, 200);
    let known = part(&house, &path, &[("If-None-Match", &tag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), tag);
    let head = Ask::new(Method::HEAD, &path).of("alice").header("Range", "bytes=0-9");
    let head = house.ask(head).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[actix_web::test]
async fn a_backup_without_an_archive_says_its_status() {
    let house = House::new();
    let id = house.asked("alice", "project-a", A1, "it").await;
    let answer = house.get(&format!("/v1.0/project-a/backups/{id}/archive"), "alice").await;
    answer.must_be_fault(422, "unprocessableEntity");
    assert!(answer.message().contains("NEW"), "{answer:?}");
}

#[actix_web::test]
async fn an_archive_that_is_not_what_the_catalog_knows_is_not_sent() {
    let (house, path) = house().await;
    let id = path.split('/').nth(4).unwrap();
    let location = format!("project-a/{id}.tar.zst");
    house.shelf.put(&location, b"cut short");
    house.get(&path, "alice").await.must_be_fault(500, "instanceFault");
    house.shelf.lose(&location);
    house.get(&path, "alice").await.must_be_fault(404, "itemNotFound");
}
