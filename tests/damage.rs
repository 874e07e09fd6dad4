//! Every kind of damage, in every part of an archive, and what each next step makes of it: the bad backup
//! is named, the exit code is 4, wrong data never comes out, and what does not need it stays sound.

#![cfg(test)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use support::{Client, TestServer, write_file};

/// A part of an archive file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    RestoreText,
    Data,
    Manifest,
    Index,
    Trailer,
    SeekTable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    FlippedBit(Part),
    CutShort(Part),
    Zeroed(Part),
    Removed,
    AnotherBackups,
}

impl Damage {
    /// Whether it shows without decoding the data: at the next opening, and so before anything is built
    /// on it.
    fn shows_at_opening(self) -> bool {
        !matches!(self, Self::FlippedBit(part) | Self::Zeroed(part)
            if matches!(part, Part::RestoreText | Part::Data))
    }

    /// Whether a restore needs the damaged bytes.
    fn is_in_restores_way(self) -> bool {
        !matches!(self, Self::FlippedBit(Part::RestoreText) | Self::Zeroed(Part::RestoreText))
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_le_bytes(four)).unwrap()
}

/// Where a part lies, found by the format as it is described and not by the code under test: the seek
/// table at the end has how long each frame is, the trailer which frames are which.
fn place_of(part: Part, bytes: &[u8]) -> std::ops::Range<usize> {
    let count = number(bytes, bytes.len() - 9);
    let table = bytes.len() - 9 - 8 * count;
    let mut frames = Vec::new();
    let mut start = 0;
    for frame in 0..count {
        let stored = number(bytes, table + 8 * frame);
        frames.push(start..start + stored);
        start += stored;
    }
    assert_eq!(start + 8, table, "the frames and the table fill the file");
    let trailer = frames.last().unwrap().clone();
    let content = &bytes[trailer.start + 8..trailer.end];
    assert!(content.starts_with(b"coffer archive\r\n"));
    match part {
        Part::RestoreText => frames[0].clone(),
        // The last one in front of the manifest: frames of data come in the order of the content.
        Part::Data => frames[number(content, 24) - 1].clone(),
        Part::Manifest => frames[number(content, 24)].clone(),
        Part::Index => frames[number(content, 72)].clone(),
        Part::Trailer => trailer,
        Part::SeekTable => start..bytes.len(),
    }
}

fn inflict(damage: Damage, archive: &Path, other: &Path) {
    let mut bytes = std::fs::read(archive).unwrap();
    // Published archives are read-only: the file is another one afterwards.
    std::fs::remove_file(archive).unwrap();
    match damage {
        Damage::FlippedBit(part) => {
            let place = place_of(part, &bytes);
            bytes[usize::midpoint(place.start, place.end)] ^= 0x10;
        }
        Damage::CutShort(part) => {
            let place = place_of(part, &bytes);
            bytes.truncate(usize::midpoint(place.start, place.end));
        }
        Damage::Zeroed(part) => {
            let place = place_of(part, &bytes);
            bytes[place].fill(0);
        }
        Damage::AnotherBackups => bytes = std::fs::read(other).unwrap(),
        Damage::Removed => return,
    }
    write_file(archive, &bytes);
    std::fs::set_permissions(archive, std::fs::Permissions::from_mode(0o440)).unwrap();
}

/// A full backup, one on it that gets damaged, one on that, and one beside it.
struct House {
    server: TestServer,
    database: PathBuf,
    root: Point,
    bad: Point,
    child: Point,
    sibling: Point,
}

/// A backup, and what it must restore to.
struct Point {
    row: Value,
    bytes: Vec<u8>,
}

impl Point {
    fn id(&self) -> &str {
        self.row["id"].as_str().unwrap()
    }

    fn archive(&self) -> PathBuf {
        let url = self.row["locationRef"].as_str().unwrap();
        PathBuf::from(url.strip_prefix("file://").unwrap())
    }
}

fn change(database: &Path, sql: &str) {
    let connection = Connection::open(database).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn point(server: &TestServer, database: &Path, more: &Value) -> Point {
    let client = server.by_admin();
    let row = client.completed(&client.create_backup("shop", more));
    Point { row, bytes: std::fs::read(database).unwrap() }
}

impl House {
    fn new(damage: Damage) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let database = folder.join("source.db");
        change(
            &database,
            "CREATE TABLE row(id INTEGER PRIMARY KEY, data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
             INSERT INTO row SELECT i, randomblob(900) FROM n;",
        );
        let server = TestServer::builder()
            .instance_sqlite("shop", &database)
            .allow_warning("is not usable")
            .start();
        let root = point(&server, &database, &json!({}));
        change(&database, "INSERT INTO row SELECT id + 10000, randomblob(2000) FROM row;");
        let on_root = json!({"parent_id": root.id()});
        let sibling = point(&server, &database, &on_root);
        change(
            &database,
            "INSERT INTO row SELECT id + 90000, randomblob(900) FROM row WHERE id < 1000;",
        );
        let bad = point(&server, &database, &on_root);
        // Far from where the bad one's data are: those the child takes from it.
        change(&database, "UPDATE row SET data = randomblob(900) WHERE id < 9;");
        let child = point(&server, &database, &json!({"parent_id": bad.id()}));
        inflict(damage, &bad.archive(), &sibling.archive());
        Self { server, database, root, bad, child, sibling }
    }

    fn client(&self) -> Client {
        self.server.by_admin()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.server.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn assert_restores(&self, point: &Point) {
        let target = self.server.folder().join(point.id());
        let output = self.run(&["restore", point.id(), "--to", target.to_str().unwrap()]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(std::fs::read(&target).unwrap() == point.bytes, "wrong data");
        std::fs::remove_file(&target).unwrap();
    }

    /// Neither a file nor a part of one comes out, and the bad one is named.
    #[track_caller]
    fn assert_refused(&self, point: &Point) {
        let target = self.server.folder().join(point.id());
        let output = self.run(&["restore", point.id(), "--to", target.to_str().unwrap()]);
        self.assert_damage_told(&output);
        let left = support::names_in(self.server.folder());
        assert_eq!(left, ["coffer.toml", "data"], "something of the restore is left");
    }

    #[track_caller]
    fn assert_damage_told(&self, output: &Output) {
        assert_eq!(output.status.code(), Some(4), "{}", said(output));
        assert!(said(output).contains(self.bad.id()), "not named: {}", said(output));
    }

    /// The next backup stands on its own, and restores.
    #[track_caller]
    fn assert_next_is_full(&self) {
        let next = point(&self.server, &self.database, &json!({"incremental": 1}));
        let stands = (&next.row["kind"], &next.row["parent_id"]);
        assert_eq!(stands, (&json!("full"), &Value::Null), "{:#}", next.row);
        self.assert_restores(&next);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.database.parent().unwrap()).unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[rstest]
fn damage_is_told_by_name_and_reaches_no_further_than_it_must(
    #[values(
        Damage::Removed,
        Damage::AnotherBackups,
        Damage::FlippedBit(Part::RestoreText),
        Damage::FlippedBit(Part::Data),
        Damage::FlippedBit(Part::Manifest),
        Damage::FlippedBit(Part::Index),
        Damage::FlippedBit(Part::Trailer),
        Damage::FlippedBit(Part::SeekTable),
        Damage::CutShort(Part::RestoreText),
        Damage::CutShort(Part::Data),
        Damage::CutShort(Part::Manifest),
        Damage::CutShort(Part::Index),
        Damage::CutShort(Part::Trailer),
        Damage::CutShort(Part::SeekTable),
        Damage::Zeroed(Part::RestoreText),
        Damage::Zeroed(Part::Data),
        Damage::Zeroed(Part::Manifest),
        Damage::Zeroed(Part::Index),
        Damage::Zeroed(Part::Trailer),
        Damage::Zeroed(Part::SeekTable)
    )]
    damage: Damage,
) {
    let mut house = House::new(damage);
    // Restores: of the bad one, of what is built on it, of what is not.
    for point in [&house.bad, &house.child] {
        if damage.is_in_restores_way() {
            house.assert_refused(point);
        } else {
            house.assert_restores(point);
        }
    }
    house.assert_restores(&house.sibling);
    house.assert_restores(&house.root);
    // A backup on top meets what shows at the opening, and becomes a full one.
    if damage.shows_at_opening() {
        house.assert_next_is_full();
    }
    // Verifying finds every damage, and the catalog shows it.
    house.assert_damage_told(&house.run(&["verify", house.child.id()]));
    house.assert_damage_told(&house.run(&["verify", house.bad.id(), "--json"]));
    for sound in [&house.sibling, &house.root] {
        let output = house.run(&["verify", sound.id()]);
        assert!(output.status.success(), "{}", said(&output));
    }
    let shown = house.client().backup(house.bad.id());
    assert_eq!(shown["failure"]["code"], "archive_damaged", "{shown:#}");
    house.assert_files_without_a_catalog(damage);
    rebuild_leaves_the_bad_one_out(&mut house, damage);
}

impl House {
    /// The same by the files alone.
    fn assert_files_without_a_catalog(&self, damage: Damage) {
        let (root, bad) = (self.root.archive(), self.bad.archive());
        let files = ["--archive", root.to_str().unwrap(), bad.to_str().unwrap()];
        let output = self.run(&[&["verify"], &files[..]].concat());
        match damage {
            Damage::Removed => assert_eq!(output.status.code(), Some(3), "{}", said(&output)),
            // Two sound archives that make a chain: whose they are is what they say.
            Damage::AnotherBackups => assert!(output.status.success(), "{}", said(&output)),
            _ => self.assert_damage_told(&output),
        }
    }
}

/// From nothing but the archives: the sound ones are there again and restore, the bad one is told.
fn rebuild_leaves_the_bad_one_out(house: &mut House, damage: Damage) {
    house.server.terminate();
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        std::fs::remove_file(house.server.data_dir().join(name)).unwrap_or_default();
    }
    let output = house.run(&["catalog", "rebuild", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let unusable = report["unusable"].as_array().unwrap();
    if damage == Damage::Removed {
        assert!(output.status.success(), "{}", said(&output));
        assert!(unusable.is_empty(), "{report:#}");
    } else {
        assert_eq!(output.status.code(), Some(4), "{report:#}");
        assert_eq!(unusable.len(), 1, "{report:#}");
        let named = unusable[0]["location"].as_str().unwrap();
        assert!(named.contains(house.bad.id()), "{report:#}");
    }
    house.server.restart();
    for sound in [&house.sibling, &house.root] {
        house.assert_restores(sound);
    }
    house.client().get(&format!("backups/{}", house.bad.id())).expect(404);
    house.assert_refused(&house.child);
}

/// A full one has other parts than an incremental: its data are a tar's, and all is built on it.
#[rstest]
fn damage_of_the_root_reaches_everything(
    #[values(Damage::Removed, Damage::FlippedBit(Part::Data), Damage::Zeroed(Part::Index))]
    damage: Damage,
) {
    let mut house = House::new(Damage::Zeroed(Part::Trailer));
    std::mem::swap(&mut house.root, &mut house.bad);
    inflict(damage, &house.bad.archive(), &house.sibling.archive());
    for point in [&house.bad, &house.sibling] {
        house.assert_refused(point);
        house.assert_damage_told(&house.run(&["verify", point.id()]));
    }
    house.assert_next_is_full();
}
