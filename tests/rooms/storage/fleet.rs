//! Fleets on a disk and in a real bucket: every archive of every device, page by page and each once, and nothing else.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use coffer::domain::{
    BackupId, InstanceId, Kind, Location, ProjectId, ReadAt, SentPart, Timestamp,
};
use coffer::storage::{Disk, DiskSettings, Fleet, LocalSettings, Place, UploadPlan};
use sha2::{Digest as _, Sha256};

use super::s3::server::S3Server;
use super::s3::{bucket, keys_file};
use super::swift::server::SwiftServer;
use super::swift::{container, login_file};

/// How many names are read at once, and more than that. Swift takes long for so many.
const PAGE: usize = 1000;
const ARCHIVES: usize = PAGE + 3;

fn location(name: &str) -> (BackupId, Location) {
    let project: ProjectId = "a".parse().unwrap();
    let id = BackupId::generate();
    (id, Location::of(&project, None, InstanceId::derived(&project, name), id, Kind::Full))
}

/// Copies an archive to a device, as its server would.
fn copy(device: &dyn Place, (id, location): (BackupId, Location), content: &[u8]) {
    let bytes = u64::try_from(content.len()).unwrap();
    let plan = UploadPlan::new(id, location, bytes, Timestamp::EARLIEST);
    let source: Arc<dyn ReadAt> = Arc::new(content.to_vec());
    let name = device.begin(&plan).unwrap();
    let mut upload = device.resume(&plan, &name, Vec::<SentPart>::new()).unwrap();
    upload.send(1, &Sha256::digest(content).into(), &source).unwrap();
    upload.commit().unwrap();
}

/// All archives, page by page.
fn read(fleet: &dyn Fleet) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = fleet.page(&after).unwrap();
        pages += 1;
        let named =
            |it: coffer::domain::FleetArchive| format!("{}/archives/{}", it.device, it.location);
        found.extend(page.archives.into_iter().map(named));
        match page.next {
            Some(next) => after = next,
            None => return (found, pages),
        }
    }
}

/// The largest device has so many archives. `ends_empty`: only a page without any name is certainly the last one.
fn is_a_fleet(
    fleet: &dyn Fleet,
    (archives, ends_empty): (usize, bool),
    fill: impl Fn(&str, &[(BackupId, Location)]),
) {
    assert_eq!(read(fleet).0, [""; 0]);
    // Names that sort otherwise as parts of a path than by themselves.
    let mut expected = Vec::new();
    for (device, count) in [("shop", 2), ("shop-2", archives), ("shop.3", 1)] {
        let archives: Vec<_> = (0..count).map(|_| location("shop")).collect();
        let name = |it: &(BackupId, Location)| format!("{device}/archives/{}", it.1);
        expected.extend(archives.iter().map(name));
        fill(device, &archives);
    }
    expected.sort();
    let (found, pages) = read(fleet);
    assert_eq!(found, expected);
    assert_eq!(pages, 1 + usize::from(archives > PAGE) + usize::from(ends_empty));
    // Behind what is known, only what is new is listed.
    let known = expected.iter().rfind(|it| it.starts_with("shop-2/")).unwrap();
    let page = fleet.page(known).unwrap();
    assert_eq!(page.archives.len(), 3, "{:?}", page.archives);
    assert_eq!(page.next.is_some(), ends_empty);
    let (id, at) = location("other");
    let device = fleet.device("shop.3").unwrap();
    copy(&*device, (id, at.clone()), b"content");
    let opened = fleet.device("shop.3").unwrap().open(&at).unwrap();
    let mut read = [0; 7];
    opened.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(&read, b"content");
    assert!(fleet.device("shop").unwrap().stat(&at).unwrap().is_none(), "it is another device's");
    for name in ["", "..", "a/b", ".x"] {
        assert!(fleet.device(name).unwrap_err().is_not_found(), "{name}");
    }
}

#[test]
fn a_folder_with_a_folder_for_each_device_is_a_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DiskSettings {
        name: "all".to_owned(),
        path: folder.path().to_owned(),
        apart_from: None,
        local: LocalSettings::default(),
    };
    let fleet = Disk::new(settings).unwrap();
    std::fs::create_dir(folder.path().join("no device")).unwrap();
    symlink("shop", folder.path().join("link")).unwrap();
    is_a_fleet(&fleet, (ARCHIVES, false), |device, archives| {
        for (_, location) in archives {
            let path = folder.path().join(device).join("archives").join(location.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write(&path);
        }
        let device = fleet.device(device).unwrap();
        device.establish().unwrap();
    });
}

#[expect(clippy::disallowed_methods, reason = "a test sets up files")]
fn write(path: &Path) {
    std::fs::write(path, "x").unwrap();
}

#[test]
fn a_bucket_with_a_prefix_for_each_device_is_a_fleet() {
    let (server, folder) = (S3Server::start(), tempfile::tempdir().unwrap());
    server.make_bucket("backups");
    let fleet = bucket(server.base(), "backups", &keys_file(&folder));
    let put = |key: &str| {
        let url = format!("{}/backups/{key}", server.base());
        assert!(ureq::put(url).send(&b"x"[..]).unwrap().status().is_success());
    };
    // Beside the fleet, and in it what is no archive.
    put("one/other/archives/a/x.tar.zst");
    put("one/two/shop/owner.id");
    put("one/two/shop/archives/elsewhere/x.tar.zst");
    is_a_fleet(&fleet, (ARCHIVES, false), |device, archives| {
        for (_, location) in archives {
            put(&format!("one/two/{device}/archives/{location}"));
        }
    });
}

#[test]
fn a_container_with_a_prefix_for_each_device_is_a_fleet() {
    let (server, folder) = (SwiftServer::start(), tempfile::tempdir().unwrap());
    server.make_container("backups");
    let fleet = container(&server.auth_url(), "backups", &login_file(&folder, "testing"));
    // Beside the fleet, and in it what is no archive: the parts of one, whose names come behind those of archives.
    let others = ["one/other/archives/a/x.tar.zst", "one/two/shop/owner.id"].map(str::to_owned);
    server.put("backups", others);
    server.put("backups", (0..20).map(|part| format!("one/two/shop/segments/token/{part:05}")));
    is_a_fleet(&fleet, (20, true), |device, archives| {
        let name = |it: &(BackupId, Location)| format!("one/two/{device}/archives/{}", it.1);
        server.put("backups", archives.iter().map(name));
    });
}
