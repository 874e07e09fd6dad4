//! Backups of trees, unchanging and changing.

use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use coffer::domain::{CheckLevel, Entry, EntryKind, EntryPath, FailureCode, Source};
use coffer::engine::{DumpFacts, DumpRequest, EngineError, Intake, NeedsContent, Stop};
use serde_json::json;

use super::{Tree, age, engine, noise, write};
use crate::engine::conformance::{EngineTest as _, NOT_CANCELLED, Recorder, code, dump};

fn read(root: &Path) -> Result<(DumpFacts, Recorder), EngineError> {
    let mut recorder = Recorder::default();
    dump(engine(), &engine().source_of(root), &mut recorder).map(|facts| (facts, recorder))
}

/// An intake during whose calls the tree changes.
struct ChangingIntake<'test> {
    recorder: Recorder,
    on_entry: Box<dyn FnMut(&EntryPath) + 'test>,
    on_buffer: Box<dyn FnMut() + 'test>,
}

impl Intake for ChangingIntake<'_> {
    fn announce(&mut self, bytes: u64) -> Result<(), Stop> {
        self.recorder.announce(bytes)
    }
    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<NeedsContent, Stop> {
        (self.on_entry)(&entry.path);
        self.recorder.entry(entry, trust_stamp)
    }
    fn buffer(&mut self) -> Vec<u8> {
        (self.on_buffer)();
        self.recorder.buffer()
    }
    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        self.recorder.segment(bytes)
    }
    fn retract(&mut self) -> Result<(), Stop> {
        self.recorder.retract()
    }
}

fn read_changing(
    root: &Path,
    on_entry: impl FnMut(&EntryPath),
    on_buffer: impl FnMut(),
) -> (DumpFacts, Recorder) {
    let mut intake = ChangingIntake {
        recorder: Recorder::default(),
        on_entry: Box::new(on_entry),
        on_buffer: Box::new(on_buffer),
    };
    let source = engine().source_of(root);
    let facts = engine().dump(&request(&source, Path::new("/nowhere")), &mut intake).unwrap();
    intake.recorder.finished();
    (facts, intake.recorder)
}

fn request<'a>(source: &'a Source, scratch: &'a Path) -> DumpRequest<'a> {
    DumpRequest {
        source,
        instance_name: "tree",
        check: CheckLevel::Quick,
        scratch,
        trust_stamps: true,
        parent_check: None,
        cancel: &NOT_CANCELLED,
    }
}

#[test]
fn members_come_sorted_with_their_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let root = Tree::create(folder.path()).path;
    let (facts, recorder) = read(&root).unwrap();
    let paths = recorder.paths();
    assert_eq!(
        paths.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "",
            "big",
            "empty",
            "exact",
            "link",
            "sparse",
            "sub",
            "sub/again",
            "sub/deep",
            "sub/deep/a \"b\"\n'c",
            "sub/none",
            "sub-x",
            "sub-x/\\xff\\xfe"
        ]
    );
    let to = EntryPath::new("big").unwrap();
    assert_eq!(recorder.member("sub/again").0.kind, EntryKind::HardLink { to });
    let target = b"../nowhere/at all".to_vec();
    assert_eq!(recorder.member("link").0.kind, EntryKind::Symlink { target });
    let EntryKind::File { size, extents } = &recorder.member("sparse").0.kind else { panic!() };
    assert_eq!((*size, extents.as_ref().unwrap().len()), (5 << 20, 1));
    let big = &recorder.member("big").0;
    assert_eq!(big.xattrs, [(b"user.origin".to_vec(), b"a\0b".to_vec())]);
    assert_eq!(
        (big.mode, big.kind.clone()),
        (0o4711, EntryKind::File { size: 3 * 1024 * 1024 + 17, extents: None })
    );
    assert_eq!(recorder.member("sub/deep").0.mtime_ns, -5_000_000_000 + 123_456_789);
    assert_eq!((&facts.facts["files"], &facts.facts["hard_links"]), (&json!(6), &json!(1)));
    assert_eq!((facts.check, facts.left_out.len()), (None, 0));
}

#[test]
fn sockets_and_pipes_are_skipped_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(folder.path().join("s")).unwrap();
    let fifo = folder.path().join("p");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let (facts, recorder) = read(folder.path()).unwrap();
    let over: Vec<_> = facts.left_out.iter().map(|it| (&*it.what, &*it.why)).collect();
    assert_eq!(over, [("p", "fifo"), ("s", "socket")]);
    assert_eq!(recorder.paths(), [""]);
}

#[test]
fn excluded_paths_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = Tree::create(folder.path()).path;
    let mut source = engine().source_of(&root);
    source.0.insert("exclude".to_owned(), json!(["sub", "big", "not/there"]));
    let mut recorder = Recorder::default();
    dump(engine(), &source, &mut recorder).unwrap();
    assert_eq!(
        recorder.paths(),
        ["", "empty", "exact", "link", "sparse", "sub-x", "sub-x/\\xff\\xfe"]
    );
}

#[test]
fn coffers_own_working_folder_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("tmp");
    std::fs::create_dir(&scratch).unwrap();
    write(&scratch.join("archive"), b"x");
    let source = engine().source_of(folder.path());
    let mut recorder = Recorder::default();
    let facts = engine().dump(&request(&source, &scratch), &mut recorder).unwrap();
    assert_eq!(recorder.paths(), [""]);
    assert_eq!(facts.left_out[0].what, "tmp");
}

#[test]
fn an_unchanged_file_is_not_read_and_a_fresh_one_has_no_stamp() {
    let folder = tempfile::tempdir().unwrap();
    let root = Tree::create(folder.path()).path;
    // Longer than a tick of the filesystem's clock.
    std::thread::park_timeout(Duration::from_millis(50));
    let mut recorder = Recorder::default();
    recorder.unchanged.push(EntryPath::new("big").unwrap());
    dump(engine(), &engine().source_of(&root), &mut recorder).unwrap();
    let (entry, content) = recorder.member("big");
    let found = std::fs::metadata(root.join("big")).unwrap();
    let stamp = entry.stamp.unwrap();
    assert_eq!((stamp.inode, stamp.device), (found.ino(), found.dev()));
    assert_eq!(
        stamp.ctime_ns,
        i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec())
    );
    assert!(content.is_empty(), "it was read");
    assert!(!recorder.content("exact").is_empty());

    let is_file = |entry: &Entry| matches!(entry.kind, EntryKind::File { .. });
    let files = recorder.members.iter().filter(|(entry, _)| is_file(entry));
    let files: Vec<_> = files.map(|(entry, _)| root.join(entry.path.as_path())).collect();
    let touch_all = |path: &EntryPath| {
        if path.is_root() {
            for file in &files {
                age(file, 1_500_000_000);
            }
        }
    };
    let (_, fresh) = read_changing(&root, touch_all, || {});
    assert!(fresh.members.iter().all(|(entry, _)| entry.stamp.is_none()));
    assert!(!fresh.content("big").is_empty());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    for size in [10, (2 << 20) + 5] {
        let folder = tempfile::tempdir().unwrap();
        let file = write(&folder.path().join("f"), &noise(size));
        let mut once = Some(());
        let (facts, recorder) = read_changing(
            folder.path(),
            |_| {},
            || {
                if once.take().is_some() {
                    file.write_all_at(b"changed", 0).unwrap();
                }
            },
        );
        assert_eq!(recorder.retracted.len(), 1);
        assert!(recorder.content("f") == std::fs::read(folder.path().join("f")).unwrap());
        assert!(facts.left_out.is_empty());
    }
}

#[test]
fn a_file_that_keeps_changing_is_kept_as_it_was_read_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f"), &noise(3 << 20));
    let mut length = 3 << 20;
    let (facts, recorder) = read_changing(
        folder.path(),
        |_| {},
        || {
            length -= 100;
            file.set_len(length).unwrap();
        },
    );
    assert_eq!(facts.left_out[0].what, "f");
    assert_eq!(recorder.retracted.len(), 2);
    let (entry, content) = recorder.member("f");
    assert_eq!(entry.stamp, None);
    let EntryKind::File { size, .. } = entry.kind else { panic!() };
    assert_eq!(u64::try_from(content.len()).unwrap(), size);
    assert!(content.ends_with(&[0; 100]), "the missing part is not zeros");
}

#[test]
fn a_growing_file_is_cut_off_where_it_ended_when_reading_began() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("log"), &noise(100));
    let mut length = 100;
    let (facts, recorder) = read_changing(
        folder.path(),
        |_| {},
        || {
            file.write_all_at(b"a line\n", length).unwrap();
            length += 7;
        },
    );
    assert_eq!(facts.left_out[0].what, "log");
    assert_eq!(recorder.content("log").len(), 114);
}

#[test]
fn members_that_vanish_or_become_links_during_the_walk_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    write(&outside.path().join("secret"), b"not yours");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b", "c"] {
        std::fs::create_dir(root.join(name)).unwrap();
        write(&root.join(name).join("secret"), b"mine");
    }
    write(&root.join("d"), b"mine");
    let mut moved = false;
    let (facts, recorder) = read_changing(
        root,
        |path| {
            if path.as_bytes() == b"a" && !moved {
                moved = true;
                std::fs::remove_dir_all(root.join("b")).unwrap();
                symlink(outside.path(), root.join("b")).unwrap();
                std::fs::remove_dir_all(root.join("c")).unwrap();
                std::fs::remove_file(root.join("d")).unwrap();
                symlink(outside.path().join("secret"), root.join("d")).unwrap();
            }
        },
        || {},
    );
    assert_eq!(recorder.paths(), ["", "a", "a/secret", "b", "d"]);
    assert!(recorder.members.iter().all(|(_, content)| content != b"not yours"));
    assert_eq!((&*facts.left_out[0].what, &*facts.left_out[0].why), ("c", "vanished"));
}

#[test]
fn a_file_and_a_missing_path_are_refused_with_different_codes() {
    assert_eq!(code(read(Path::new("/proc/self/comm"))), FailureCode::SourceInvalid);
    assert_eq!(code(read(Path::new("/nowhere"))), FailureCode::SourceMissing);
}
