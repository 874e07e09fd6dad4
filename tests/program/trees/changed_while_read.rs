//! Trees that move while they are read: what was caught in the act is read again or named, and nothing that
//! was not there comes back.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::fixture::{Fixture, TREE};
use super::listing::{assert_same, listing};
use super::read_watch::Watch;
use super::sample::noise;
use crate::support::{archive_of, id_of, manifest_of, succeed, wait_until, write_file};

/// So much that a slow reader is far from its end when its first read is seen.
const LARGE: usize = 24 << 20;

/// A server that compresses so thoroughly, and on one thread only, that reading `large` takes seconds.
fn slow(plant: impl FnOnce(&Path)) -> Fixture {
    let thorough = |builder: crate::support::Builder| {
        builder
            .setting("executor.compression_threads", "1")
            .setting("executor.compression_level", "19")
    };
    Fixture::with(thorough, plant)
}

const NAMES_CHANGED: &str =
    "changed after its names were read: what was moved into it meanwhile may be missing";

/// Begins a full backup, does `meddle` when `large` in the tree is being read, and gives the COMPLETED row.
fn back_up_while(fixture: &Fixture, meddle: impl FnOnce()) -> Value {
    let watch = Watch::over(&[&fixture.tree]);
    let accepted = fixture.client().create_backup(TREE, &json!({}));
    watch.wait_for_read(&fixture.tree.join("large"));
    meddle();
    fixture.client().completed(&accepted)
}

#[test]
fn a_file_changed_once_while_it_is_read_is_read_again() {
    let fixture = slow(|root| write_file(&root.join("large"), noise("before", LARGE)));
    let full = back_up_while(&fixture, || {
        let file = File::options().write(true).open(fixture.tree.join("large")).unwrap();
        file.write_all_at(&noise("after", LARGE), 0).unwrap();
    });
    assert_eq!(full["left_out"], json!([]));
    let was = listing(&fixture.tree);
    assert_same(&was, &fixture.restored_listing(&full), "read again");
    assert_same(&was, &listing(&fixture.unpacked(&archive_of(&full))), "by tar too");
}

#[test]
fn a_file_that_keeps_changing_is_reported_and_read_again_next_time() {
    let fixture = slow(|root| {
        write_file(&root.join("hot"), noise("hot", 8 << 20));
        write_file(&root.join("still"), noise("still", 300_000));
    });
    let (stop, begun) = (AtomicBool::new(false), AtomicBool::new(false));
    let full = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(fixture.tree.join("hot")).unwrap();
            let mut round = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                round = round.wrapping_add(1);
                for offset in (0..8).map(|number| number << 20) {
                    file.write_all_at(&round.to_le_bytes(), offset).unwrap();
                }
                begun.store(true, Ordering::Relaxed);
            }
        });
        wait_until("the writer", || begun.load(Ordering::Relaxed).then_some(()));
        let accepted = fixture.client().create_backup(TREE, &json!({}));
        let row =
            fixture.client().wait_for(id_of(&accepted.json()["backup"]), &["COMPLETED", "FAILED"]);
        stop.store(true, Ordering::Relaxed);
        row
    });
    assert_eq!(full["status"], "COMPLETED", "{full:#}");
    let source = manifest_of(&full)["source"].take();
    let hot = "changed while it was read: its content may be inconsistent";
    assert_eq!(source["left_out"], json!([{"what": "hot", "why": hot}]));
    assert_eq!(source["facts"]["changed_while_read"], 1);
    let restored = fixture.restored(&full);
    assert_eq!(restored.join("hot").metadata().unwrap().size(), 8 << 20);
    assert_eq!(std::fs::read(restored.join("still")).unwrap(), noise("still", 300_000));

    let next = fixture.incremental();
    assert_eq!(next["left_out"], json!([]));
    assert_same(&listing(&fixture.tree), &fixture.restored_listing(&next), "held still at last");
}

#[test]
fn files_that_vanish_while_the_tree_is_read_are_reported_and_the_rest_restores() {
    let fixture = slow(|root| {
        write_file(&root.join("large"), noise("large", LARGE));
        std::fs::create_dir(root.join("stays")).unwrap();
        write_file(&root.join("stays/file"), "stays");
        std::fs::create_dir(root.join("z folder")).unwrap();
        for name in ["vanishing file", "z folder/inside", "to be a link", "to be a pipe"] {
            write_file(&root.join(name), name);
        }
    });
    let full = back_up_while(&fixture, || {
        std::fs::remove_file(fixture.tree.join("vanishing file")).unwrap();
        std::fs::remove_dir_all(fixture.tree.join("z folder")).unwrap();
        std::fs::remove_file(fixture.tree.join("to be a link")).unwrap();
        symlink("/etc/passwd", fixture.tree.join("to be a link")).unwrap();
        std::fs::remove_file(fixture.tree.join("to be a pipe")).unwrap();
        succeed(Command::new("mkfifo").arg(fixture.tree.join("to be a pipe")));
    });
    let left_out = json!([
        {"what": "to be a pipe", "why": "fifo"},
        {"what": "vanishing file", "why": "vanished"},
        {"what": "z folder", "why": "vanished"},
        {"what": ".", "why": NAMES_CHANGED},
    ]);
    assert_eq!(full["left_out"], left_out);
    let mut was = listing(&fixture.tree);
    let mut is = fixture.restored_listing(&full);
    // The folder itself was noted before anything in it was taken away.
    assert!(was.remove(Path::new("")).is_some() && is.remove(Path::new("")).is_some());
    assert_same(&was, &is, "what stayed");
}

#[test]
fn a_folder_whose_names_change_after_they_were_read_is_reported() {
    // What is moved, to where, and the folders that this changes after they were read.
    for (from, to, changed) in [
        ("new/message", "current/message", "current"),
        ("new/box", "current/box", "current"),
        ("new/message", "message", "."),
        ("z file", "a file", "."),
    ] {
        let fixture = slow(|root| {
            write_file(&root.join("large"), noise("large", LARGE));
            std::fs::create_dir_all(root.join("new/box")).unwrap();
            std::fs::create_dir(root.join("current")).unwrap();
            write_file(&root.join("new/message"), "message");
            write_file(&root.join("new/box/inside"), "inside");
            write_file(&root.join("z file"), "z");
        });
        let full = back_up_while(&fixture, || {
            rustix::fs::rename(fixture.tree.join(from), fixture.tree.join(to)).unwrap();
        });
        let left_out = full["left_out"].as_array().unwrap();
        let named = json!({"what": changed, "why": NAMES_CHANGED});
        assert!(left_out.contains(&named), "{from} to {to}: {left_out:?}");
        let incremental = fixture.incremental();
        assert_eq!(incremental["left_out"], json!([]));
        assert_same(&listing(&fixture.tree), &fixture.restored_listing(&incremental), to);
    }
}

#[test]
fn a_new_file_with_a_reused_inode_is_not_taken_for_a_hard_link() {
    let fixture = slow(|root| {
        write_file(&root.join("a twin"), "the old file");
        std::fs::hard_link(root.join("a twin"), root.parent().unwrap().join("outside")).unwrap();
        write_file(&root.join("large"), noise("large", LARGE));
        write_file(&root.join("new"), "in the way");
    });
    let twin = fixture.tree.join("a twin");
    let number = twin.metadata().unwrap().ino();
    let full = back_up_while(&fixture, || {
        std::fs::remove_file(fixture.folder.path().join("outside")).unwrap();
        std::fs::remove_file(&twin).unwrap();
        // Filesystems give freed numbers out again at once, or never.
        for attempt in 0..200 {
            let path = fixture.folder.path().join(format!("candidate {attempt}"));
            write_file(&path, "the new file");
            if path.metadata().unwrap().ino() == number || attempt == 199 {
                rustix::fs::rename(&path, fixture.tree.join("new")).unwrap();
                break;
            }
        }
    });
    let restored = fixture.restored(&full);
    assert_eq!(std::fs::read_to_string(restored.join("a twin")).unwrap(), "the old file");
    assert_eq!(std::fs::read_to_string(restored.join("new")).unwrap(), "the new file");
}

/// Holds a lease on a file, as Samba does for its clients; gives it back when the kernel asks, after having
/// written what was still to be written.
const LEASE: &str = "
import fcntl, os, signal, sys
path = sys.argv[1]
file = os.open(path, os.O_RDWR)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
signal.sigwait([signal.SIGIO])
os.pwrite(file, b'flushed', 0)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
";

#[test]
fn a_backup_waits_for_a_file_under_a_lease() {
    let fixture = Fixture::new(|root| write_file(&root.join("lent"), "pending"));
    let lent = fixture.tree.join("lent");
    let mut holder = Command::new("python3");
    holder.args(["-c", LEASE]).arg(&lent).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut word = [0; 4];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut word).unwrap();
    let full = fixture.full();
    assert!(holder.wait().unwrap().success());
    let restored = fixture.restored(&full);
    assert_eq!(std::fs::read_to_string(restored.join("lent")).unwrap(), "flushed");
}
