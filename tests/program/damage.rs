//! Every kind of damage in every part of an archive: each command names the damaged backup and exits with 4,
//! wrong data is never restored, and backups that do not need the archive stay usable.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Client, TestServer, stderr_of, write_file};

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
    /// Whether opening the archive finds it, without decoding the data.
    fn is_found_on_open(self) -> bool {
        !matches!(self, Self::FlippedBit(part) | Self::Zeroed(part)
            if matches!(part, Part::RestoreText | Part::Data))
    }

    /// Whether a restore needs the damaged bytes.
    fn prevents_restore(self) -> bool {
        !matches!(self, Self::FlippedBit(Part::RestoreText) | Self::Zeroed(Part::RestoreText))
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    usize::try_from(u32::from_le_bytes(four)).unwrap()
}

/// The bytes of a part, found by the documented format and not by the code under test: the seek table at the end
/// has the length of each frame, the trailer tells which frame is which.
fn range_of(part: Part, bytes: &[u8]) -> std::ops::Range<usize> {
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

fn apply_damage(damage: Damage, archive: &Path, other: &Path) {
    let mut bytes = std::fs::read(archive).unwrap();
    // Published archives are read-only, so the file is replaced.
    std::fs::remove_file(archive).unwrap();
    match damage {
        Damage::FlippedBit(part) => {
            let place = range_of(part, &bytes);
            bytes[usize::midpoint(place.start, place.end)] ^= 0x10;
        }
        Damage::CutShort(part) => {
            let place = range_of(part, &bytes);
            bytes.truncate(usize::midpoint(place.start, place.end));
        }
        Damage::Zeroed(part) => {
            let place = range_of(part, &bytes);
            bytes[place].fill(0);
        }
        Damage::AnotherBackups => bytes = std::fs::read(other).unwrap(),
        Damage::Removed => return,
    }
    write_file(archive, &bytes);
    std::fs::set_permissions(archive, std::fs::Permissions::from_mode(0o440)).unwrap();
}

/// A full backup, an incremental that gets damaged, its child and its sibling.
struct Fixture {
    server: TestServer,
    database: PathBuf,
    root: Point,
    damaged: Point,
    child: Point,
    sibling: Point,
    /// Of a command that finds the damage: a missing archive is not found, and no damage.
    exit_code: i32,
}

/// A backup and what it must restore to.
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
    let client = server.admin();
    let row = client.completed(&client.create_backup("shop", more));
    Point { row, bytes: std::fs::read(database).unwrap() }
}

impl Fixture {
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
        let damaged = point(&server, &database, &on_root);
        // Far from the data of the damaged backup, so that the child needs them.
        change(&database, "UPDATE row SET data = randomblob(900) WHERE id < 9;");
        let child = point(&server, &database, &json!({"parent_id": damaged.id()}));
        apply_damage(damage, &damaged.archive(), &sibling.archive());
        let exit_code = if damage == Damage::Removed { 3 } else { 4 };
        Self { server, database, root, damaged, child, sibling, exit_code }
    }

    fn client(&self) -> Client {
        self.server.admin()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.server.run(arguments)
    }

    #[track_caller]
    fn assert_restores(&self, point: &Point) {
        let target = self.server.folder().join(point.id());
        let output = self.run(&["restore", point.id(), "--to", target.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr_of(&output));
        assert!(std::fs::read(&target).unwrap() == point.bytes, "wrong data");
        std::fs::remove_file(&target).unwrap();
    }

    /// The restore leaves no files and names the damaged backup.
    #[track_caller]
    fn assert_refused(&self, point: &Point) {
        let target = self.server.folder().join(point.id());
        let output = self.run(&["restore", point.id(), "--to", target.to_str().unwrap()]);
        self.assert_damage_reported(&output);
        let left = crate::support::names_in(self.server.folder());
        assert_eq!(left, ["coffer.toml", "data"], "the restore left files");
    }

    #[track_caller]
    fn assert_damage_reported(&self, output: &Output) {
        assert_eq!(output.status.code(), Some(self.exit_code), "{}", stderr_of(output));
        assert!(stderr_of(output).contains(self.damaged.id()), "not named: {}", stderr_of(output));
    }

    /// The next backup is a full one, and restores.
    #[track_caller]
    fn assert_next_is_full(&self) {
        let next = point(&self.server, &self.database, &json!({"incremental": 1}));
        let stands = (&next.row["kind"], &next.row["parent_id"]);
        assert_eq!(stands, (&json!("full"), &Value::Null), "{:#}", next.row);
        self.assert_restores(&next);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.database.parent().unwrap()).unwrap();
    }
}

#[rstest]
fn damage_is_reported_with_the_backup_and_affects_only_its_descendants(
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
    let mut fixture = Fixture::new(damage);
    // Restores of the damaged backup, of its child, and of backups that do not need it.
    for point in [&fixture.damaged, &fixture.child] {
        if damage.prevents_restore() {
            fixture.assert_refused(point);
        } else {
            fixture.assert_restores(point);
        }
    }
    fixture.assert_restores(&fixture.sibling);
    fixture.assert_restores(&fixture.root);
    // The next incremental opens its parent; if that finds the damage, it becomes a full backup.
    if damage.is_found_on_open() {
        fixture.assert_next_is_full();
    }
    // Verifying finds all damage, and the catalog shows it.
    fixture.assert_damage_reported(&fixture.run(&["verify", fixture.child.id()]));
    fixture.assert_damage_reported(&fixture.run(&["verify", fixture.damaged.id(), "--json"]));
    for sound in [&fixture.sibling, &fixture.root] {
        let output = fixture.run(&["verify", sound.id()]);
        assert!(output.status.success(), "{}", stderr_of(&output));
    }
    let shown = fixture.client().backup(fixture.damaged.id());
    let code = if damage == Damage::Removed { "archive_missing" } else { "archive_damaged" };
    assert_eq!(shown["failure"]["code"], code, "{shown:#}");
    fixture.assert_files_without_a_catalog(damage);
    assert_rebuild_skips_the_damaged_backup(&mut fixture, damage);
}

impl Fixture {
    /// The same with the archive files alone.
    fn assert_files_without_a_catalog(&self, damage: Damage) {
        let (root, damaged) = (self.root.archive(), self.damaged.archive());
        let files = ["--archive", root.to_str().unwrap(), damaged.to_str().unwrap()];
        let output = self.run(&[&["verify"], &files[..]].concat());
        match damage {
            Damage::Removed => assert_eq!(output.status.code(), Some(3), "{}", stderr_of(&output)),
            // Two sound archives that form a chain; which backups they are is written in them.
            Damage::AnotherBackups => assert!(output.status.success(), "{}", stderr_of(&output)),
            _ => self.assert_damage_reported(&output),
        }
    }
}

/// A catalog rebuilt from the archives has the sound backups, and the report names the damaged archive.
fn assert_rebuild_skips_the_damaged_backup(fixture: &mut Fixture, damage: Damage) {
    fixture.server.terminate();
    fixture.server.remove_catalog();
    let output = fixture.run(&["catalog", "rebuild", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let unusable = report["unusable"].as_array().unwrap();
    if damage == Damage::Removed {
        assert!(output.status.success(), "{}", stderr_of(&output));
        assert!(unusable.is_empty(), "{report:#}");
    } else {
        assert_eq!(output.status.code(), Some(4), "{report:#}");
        assert_eq!(unusable.len(), 1, "{report:#}");
        let named = unusable[0]["location"].as_str().unwrap();
        assert!(named.contains(fixture.damaged.id()), "{report:#}");
    }
    fixture.server.restart();
    for sound in [&fixture.sibling, &fixture.root] {
        fixture.assert_restores(sound);
    }
    fixture.client().get(&format!("backups/{}", fixture.damaged.id())).with_status(404);
    // To the new catalog, what was skipped is not there.
    fixture.exit_code = 3;
    fixture.assert_refused(&fixture.child);
}

#[test]
fn a_chain_that_is_read_whole_and_sound_again_vouches_for_each_archive_of_it() {
    let fixture = Fixture::new(Damage::FlippedBit(Part::RestoreText));
    let failure_of = |point: &Point| fixture.client().backup(point.id())["failure"].clone();
    let (child, damaged) = (&fixture.child, &fixture.damaged);
    fixture.assert_damage_reported(&fixture.run(&["verify", child.id()]));
    assert_eq!(failure_of(damaged)["code"], "archive_damaged");
    // A drill does not need the bytes that are wrong: it says nothing of them, nor of others once they are mended.
    let drill = |point: &Point| {
        let output = fixture.run(&["drill", point.id()]);
        assert!(output.status.success(), "{}", stderr_of(&output));
    };
    drill(child);
    drill(damaged);
    assert_eq!(failure_of(damaged)["code"], "archive_damaged");

    apply_damage(Damage::FlippedBit(Part::RestoreText), &damaged.archive(), &damaged.archive());
    drill(child);
    assert_eq!(failure_of(damaged)["code"], "archive_damaged");
    let verified = fixture.run(&["verify", child.id()]);
    assert!(verified.status.success(), "{}", stderr_of(&verified));
    for point in [&fixture.root, damaged, child] {
        assert_eq!(failure_of(point), Value::Null);
    }
    let next = point(&fixture.server, &fixture.database, &json!({"incremental": 1}));
    assert_eq!(next.row["kind"], "incremental", "{:#}", next.row);
}

#[test]
fn a_salvage_restores_what_can_be_had_and_names_what_it_cannot_vouch_for() {
    let fixture = Fixture::new(Damage::FlippedBit(Part::Data));
    let (id, bytes) = (fixture.damaged.id(), &fixture.damaged.bytes);
    let target = fixture.server.folder().join("salvaged");
    let restore = ["restore", id, "--to", target.to_str().unwrap()];
    let refused = fixture.run(&restore);
    fixture.assert_damage_reported(&refused);
    assert!(stderr_of(&refused).contains("--salvage"), "{}", stderr_of(&refused));
    let output = fixture.run(&[&restore[..], &["--salvage", "--json"]].concat());
    assert_eq!(output.status.code(), Some(6), "{}", stderr_of(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lost = report["lost"].as_array().unwrap();
    assert!(!lost.is_empty(), "{report:#}");
    let found = std::fs::read(&target).unwrap();
    assert_eq!(found.len(), bytes.len());
    let is_lost = |at: usize| {
        lost.iter().any(|range| {
            let at = u64::try_from(at).unwrap();
            let offset = range["offset"].as_u64().unwrap();
            (offset..offset + range["bytes"].as_u64().unwrap()).contains(&at)
        })
    };
    let differs: Vec<usize> = (0..found.len()).filter(|at| found[*at] != bytes[*at]).collect();
    assert!(!differs.is_empty() && differs.into_iter().all(is_lost), "{report:#}");
    std::fs::remove_file(&target).unwrap();
}

/// A full archive has other parts than an incremental, and every backup is built on it.
#[rstest]
fn damage_to_the_root_affects_every_backup_built_on_it(
    #[values(Damage::Removed, Damage::FlippedBit(Part::Data), Damage::Zeroed(Part::Index))]
    damage: Damage,
) {
    let mut fixture = Fixture::new(Damage::Zeroed(Part::Trailer));
    std::mem::swap(&mut fixture.root, &mut fixture.damaged);
    apply_damage(damage, &fixture.damaged.archive(), &fixture.sibling.archive());
    fixture.exit_code = if damage == Damage::Removed { 3 } else { 4 };
    for point in [&fixture.damaged, &fixture.sibling] {
        fixture.assert_refused(point);
        fixture.assert_damage_reported(&fixture.run(&["verify", point.id()]));
    }
    fixture.assert_next_is_full();
}

/// Also where index, manifest or end of an archive is lost, or several at once.
#[rstest]
fn a_full_archive_without_its_index_is_salvaged_and_nothing_is_said_to_vouch_for_it(
    #[values(
        Damage::FlippedBit(Part::Manifest),
        Damage::FlippedBit(Part::Index),
        Damage::CutShort(Part::Trailer),
        Damage::Zeroed(Part::SeekTable)
    )]
    damage: Damage,
    #[values(false, true)] by_file: bool,
) {
    let fixture = Fixture::new(Damage::FlippedBit(Part::Index));
    let archive = fixture.root.archive();
    apply_damage(damage, &archive, &fixture.sibling.archive());
    let target = fixture.server.folder().join("salvaged");
    let which = if by_file {
        vec!["--archive", archive.to_str().unwrap()]
    } else {
        vec![fixture.root.id()]
    };
    let restore = [&["restore"], &which[..], &["--to", target.to_str().unwrap()]].concat();
    let refused = fixture.run(&restore);
    assert_eq!(refused.status.code(), Some(4), "{}", stderr_of(&refused));
    assert!(stderr_of(&refused).contains("--salvage") && !target.exists());
    let output = fixture.run(&[&restore[..], &["--salvage", "--json"]].concat());
    assert_eq!(output.status.code(), Some(6), "{}", stderr_of(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["hashes_compared"], &report["lost"]), (&json!(false), &json!([])));
    assert!(report["about"].as_str().unwrap().contains(fixture.root.id()), "{report:#}");
    let files: Vec<_> = std::fs::read_dir(&target).unwrap().flatten().collect();
    assert_eq!(files.len(), 1);
    assert!(std::fs::read(files[0].path()).unwrap() == fixture.root.bytes, "{damage:?}");
    std::fs::remove_dir_all(&target).unwrap();
}

#[test]
fn of_an_incremental_without_its_index_nothing_is_restored_and_its_parent_is_named() {
    let fixture = Fixture::new(Damage::FlippedBit(Part::Index));
    let target = fixture.server.folder().join("salvaged");
    let salvage = |id: &str| {
        let output = fixture.run(&["restore", id, "--to", target.to_str().unwrap(), "--salvage"]);
        assert_eq!(output.status.code(), Some(4), "{}", stderr_of(&output));
        stderr_of(&output)
    };
    let error = salvage(fixture.damaged.id());
    let advice = format!("restore backup {}, which it is built on", fixture.root.id());
    assert!(error.contains(&advice), "{error}");
    let error = salvage(fixture.child.id());
    assert!(error.contains("of which nothing can be had without its index"), "{error}");
    assert_eq!(crate::support::names_in(fixture.server.folder()), ["coffer.toml", "data"]);
    fixture.assert_restores(&fixture.root);
}
