//! A full archive is restored with `tar` and `zstd` alone, by its own RESTORE.txt; other tools accept it.

use std::io::{Cursor, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{TestServer, archive_of, bash, succeed, write_file};

/// Runs the indented lines of an archive's own RESTORE.txt, in a folder that holds the archive, with a
/// PATH of `tar`, `zstd` and the shell's basics; gives the folder.
fn restore_by_own_commands(archive: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let name = archive.file_name().unwrap();
    std::fs::copy(archive, folder.path().join(name)).unwrap();
    let unpack = format!("zstd -dc '{}' | tar -xOf - .coffer/RESTORE.txt", name.to_str().unwrap());
    let words = run_alone(&unpack, folder.path());
    let commands: Vec<&str> = words.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let commands = commands.join("\n");
    assert!(commands.contains("tar"), "no commands in: {words}");
    run_alone(&commands, folder.path());
    folder
}

/// Runs a script without any environment but a PATH.
#[track_caller]
fn run_alone(script: &str, folder: &Path) -> String {
    succeed(bash(script, folder).env_clear().env("PATH", "/usr/bin:/bin"))
}

fn big_enough_database(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE row(id INTEGER PRIMARY KEY, data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO row SELECT i, randomblob(800) FROM n;",
        )
        .unwrap();
}

#[test]
fn a_database_is_restored_by_the_commands_in_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("it's a \"shop\".db");
    big_enough_database(&database);
    let server = TestServer::builder().instance_sqlite("my shop", &database).start();
    let backup = server.admin().full("my shop");
    let restored = restore_by_own_commands(&archive_of(&backup));
    let bytes = std::fs::read(restored.path().join("restored/data/my_shop.db")).unwrap();
    assert!(bytes == std::fs::read(&database).unwrap());
}

#[test]
fn a_tree_is_restored_by_the_commands_in_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    std::fs::create_dir_all(tree.join("empty")).unwrap();
    write_file(&tree.join("plain.txt"), "plain\n");
    write_file(&tree.join("large.bin"), vec![7_u8; 3 << 20]);
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(tree.join("plain.txt"), mode).unwrap();
    symlink("plain.txt", tree.join("link")).unwrap();
    std::fs::hard_link(tree.join("plain.txt"), tree.join("same.txt")).unwrap();
    let server = TestServer::builder().instance_directory("files", &tree).start();
    let backup = server.admin().full("files");

    let restored = restore_by_own_commands(&archive_of(&backup));
    let data = restored.path().join("restored/data");
    for name in ["plain.txt", "large.bin", "same.txt"] {
        assert!(std::fs::read(data.join(name)).unwrap() == std::fs::read(tree.join(name)).unwrap());
        let (was, is) = (tree.join(name).metadata().unwrap(), data.join(name).metadata().unwrap());
        assert_eq!((was.mode(), was.mtime_nsec()), (is.mode(), is.mtime_nsec()), "{name}");
    }
    assert_eq!(std::fs::read_link(data.join("link")).unwrap(), Path::new("plain.txt"));
    assert_eq!(data.join("same.txt").metadata().unwrap().nlink(), 2);
    assert!(data.join("empty").is_dir());
}

#[test]
fn zstd_tar_and_another_seekable_reader_accept_the_archives() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    big_enough_database(&database);
    let server = TestServer::builder().instance_sqlite("shop", &database).start();
    let full = archive_of(&server.admin().full("shop"));
    let incremental = archive_of(&server.admin().incremental("shop"));
    for archive in [&full, &incremental] {
        let listed = run_alone(
            &format!("zstd -tq '{0}' && tar --zstd -tf '{0}'", archive.display()),
            Path::new("/"),
        );
        assert!(listed.starts_with(".coffer/RESTORE.txt\n"), "{listed}");
        assert!(listed.ends_with(".coffer/manifest.json\n"), "{listed}");
    }
    let plain = Command::new("zstd").arg("-dc").arg(&full).output().unwrap().stdout;
    let mut seekable = zeekstd::Decoder::new(Cursor::new(std::fs::read(&full).unwrap())).unwrap();
    let mut through_the_table = Vec::new();
    seekable.read_to_end(&mut through_the_table).unwrap();
    assert!(plain == through_the_table);
    assert!(seekable.seek_table().num_frames() > 5);
}

#[test]
fn the_archives_checksum_is_what_b3sum_prints() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("shop.db");
    big_enough_database(&database);
    let server = TestServer::builder().instance_sqlite("shop", &database).start();
    let backup = server.admin().full("shop");
    let bytes = std::fs::read(archive_of(&backup)).unwrap();
    assert_eq!(backup["checksum"], format!("blake3:{}", blake3::hash(&bytes).to_hex()));
    assert_eq!(backup["size_bytes"], bytes.len());
    let downloaded =
        server.admin().get(&format!("backups/{}/archive", backup["id"].as_str().unwrap()));
    assert!(downloaded.with_status(200).bytes == bytes);
}
