//! The rules of the engine traits, as tests that every engine runs.

use std::any::Any;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use coffer::domain::{
    Cancel, CheckLevel, Entry, EntryKind, EntryPath, Extent, FailureCode, SEGMENT_BYTES, Source,
};
use coffer::engine::{
    DrillRequest, DumpFacts, DumpRequest, Engine, EngineError, Intake, Load, LoadRequest,
    NeedsContent, Owners, Placed, Stop, Target, printable,
};
use serde_json::Value;

/// A cancel flag that is never set.
pub(super) static NOT_CANCELLED: LazyLock<Cancel> = LazyLock::new(Cancel::default);

/// An engine under test.
pub(super) trait EngineTest {
    /// The engine.
    fn engine() -> &'static dyn Engine;
    /// Creates a source of several segments below `folder`.
    fn create(folder: &Path) -> TestSource;
    /// Fails if the data at `restored` differs from the original.
    fn assert_same(original: &TestSource, restored: &Path);
    /// A source that does not exist, at `/nowhere/at all`.
    fn nowhere() -> Source {
        Self::engine().source_of(Path::new("/nowhere/at all"))
    }
}

/// A source created for a test.
pub(super) struct TestSource {
    /// The keys that the engine reads it by.
    pub(super) source: Source,
    /// Its path; of a server, its data folder.
    pub(super) path: PathBuf,
    /// Dropped at the end of the test, to stop the server.
    pub(super) server: Option<Box<dyn Any>>,
}

impl TestSource {
    /// A source that is a path.
    pub(super) fn at(engine: &dyn Engine, path: PathBuf) -> Self {
        Self { source: engine.source_of(&path), path, server: None }
    }
}

/// An intake that keeps everything in memory, and fails the test if an engine breaks a rule.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// What was read, in order.
    pub(super) members: Vec<(Entry, Vec<u8>)>,
    /// Files that were discarded.
    pub(super) retracted: Vec<EntryPath>,
    /// The announced number of bytes.
    pub(super) expected: u64,
    /// Paths whose content is not needed if their stamp may be trusted.
    pub(super) unchanged: Vec<EntryPath>,
    /// Whether entries may come in any order.
    pub(super) any_order: bool,
    /// After how many calls all further ones fail; `None` means never.
    pub(super) stop_after: Option<usize>,
    calls: usize,
    last: Option<EntryPath>,
    missing: u64,
}

impl Recorder {
    /// The content of the member at `path`.
    pub(super) fn content(&self, path: &str) -> &[u8] {
        &self.member(path).1
    }

    /// The member at `path`.
    pub(super) fn member(&self, path: &str) -> &(Entry, Vec<u8>) {
        let found = self.members.iter().find(|(it, _)| it.path.as_bytes() == path.as_bytes());
        found.unwrap_or_else(|| panic!("{path} was not read"))
    }

    /// The paths of all members, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        self.members.iter().map(|(entry, _)| printable(&entry.path)).collect()
    }

    /// Checks that the last file is complete.
    pub(super) fn finished(&self) {
        assert_eq!(self.missing, 0, "the last file is not complete");
    }

    fn call(&mut self) -> Result<(), Stop> {
        self.calls += 1;
        if self.stop_after.is_some_and(|stop_after| self.calls > stop_after) {
            Err(Stop)
        } else {
            Ok(())
        }
    }
}

impl Intake for Recorder {
    fn announce(&mut self, bytes: u64) -> Result<(), Stop> {
        self.expected = bytes;
        self.call()
    }

    fn entry(&mut self, entry: &Entry, trust_stamp: bool) -> Result<NeedsContent, Stop> {
        self.call()?;
        self.finished();
        let in_order = self.last.as_ref().is_none_or(|last| *last < entry.path);
        let new = || self.members.iter().all(|(it, _)| it.path != entry.path);
        assert!(in_order || (self.any_order && new()), "order: {}", entry.path);
        assert!(!trust_stamp || entry.stamp.is_some(), "a missing stamp was trusted");
        self.last = Some(entry.path.clone());
        self.members.push((entry.clone(), Vec::new()));
        let EntryKind::File { size, .. } = entry.kind else { return Ok(NeedsContent::No) };
        if trust_stamp && self.unchanged.contains(&entry.path) {
            return Ok(NeedsContent::No);
        }
        self.missing = size;
        Ok(if size == 0 { NeedsContent::No } else { NeedsContent::Yes })
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::with_capacity(SEGMENT_BYTES)
    }

    fn segment(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        self.call()?;
        let length = u64::try_from(bytes.len()).unwrap();
        let full = u64::try_from(SEGMENT_BYTES).unwrap();
        assert_eq!(length, self.missing.min(full), "a segment of the wrong length");
        assert_eq!(bytes.capacity(), SEGMENT_BYTES, "a buffer grew or is not the intake's");
        self.missing -= length;
        self.members.last_mut().unwrap().1.extend_from_slice(&bytes);
        Ok(())
    }

    fn retract(&mut self) -> Result<(), Stop> {
        self.call()?;
        let (entry, _) = self.members.pop().unwrap();
        self.last = self.members.last().map(|(entry, _)| entry.path.clone());
        self.retracted.push(entry.path);
        self.missing = 0;
        Ok(())
    }
}

/// Dumps `source` with `engine`, as the executor does.
pub(super) fn dump(
    engine: &dyn Engine,
    source: &Source,
    recorder: &mut Recorder,
) -> Result<DumpFacts, EngineError> {
    let scratch = tempfile::tempdir().unwrap();
    let request = DumpRequest {
        source,
        instance_name: "the shop",
        check: CheckLevel::Quick,
        scratch: scratch.path(),
        trust_stamps: true,
        parent_check: None,
        cancel: &NOT_CANCELLED,
    };
    let facts = engine.dump(&request, recorder);
    assert_eq!(names(scratch.path()), [""; 0], "the scratch folder is not empty");
    if facts.is_ok() {
        recorder.finished();
    }
    facts
}

/// Begins a restore to a path, as the executor does.
pub(super) fn load_to(engine: &dyn Engine, target: &Path) -> Result<Box<dyn Load>, EngineError> {
    engine.load(&LoadRequest {
        target: Target::Path(target),
        source: None,
        owners: Owners::FromArchive,
        cancel: &NOT_CANCELLED,
    })
}

fn loading<S: EngineTest>(target: &Path) -> Result<Box<dyn Load>, EngineError> {
    load_to(S::engine(), target)
}

/// Writes the recorded members into `load`, as an archive does: in pieces, without holes.
pub(super) fn pour(recorder: &Recorder, load: &mut dyn Load) -> Result<(), EngineError> {
    for (entry, content) in &recorder.members {
        let Some(place) = load.entry(entry)? else { continue };
        let EntryKind::File { size, extents } = &entry.kind else {
            panic!("only a file has content")
        };
        let whole = vec![Extent { offset: 0, length: *size }];
        for extent in extents.as_ref().unwrap_or(&whole) {
            let begin = usize::try_from(extent.offset).unwrap();
            let data = &content[begin..begin + usize::try_from(extent.length).unwrap()];
            // In reverse, since threads write in any order.
            for (number, segment) in data.chunks(SEGMENT_BYTES).enumerate().rev() {
                let offset = u64::try_from(number * SEGMENT_BYTES).unwrap();
                place.write_at(segment, extent.offset + offset).unwrap();
            }
        }
    }
    Ok(())
}

/// The names in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The failure code of an error.
pub(super) fn code<T>(result: Result<T, EngineError>) -> FailureCode {
    result.err().and_then(|error| error.failure()).expect("a failure with a code").code
}

/// A source, and what was read from it. The server stops before its folder is removed.
struct DumpedSource {
    original: TestSource,
    recorder: Recorder,
    _folder: tempfile::TempDir,
}

fn dumped<S: EngineTest>() -> DumpedSource {
    let folder = tempfile::tempdir().unwrap();
    let original = S::create(folder.path());
    S::engine().check_source(&original.source).unwrap();
    let mut recorder = recording::<S>();
    dump(S::engine(), &original.source, &mut recorder).unwrap();
    DumpedSource { original, recorder, _folder: folder }
}

pub(super) fn recording<S: EngineTest>() -> Recorder {
    Recorder { any_order: !S::engine().dumps_in_order(), ..Recorder::default() }
}

pub(super) fn a_restore_equals_the_source<S: EngineTest>() {
    let DumpedSource { original, recorder, .. } = &dumped::<S>();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join(S::engine().target_name("the shop"));
    let mut load = loading::<S>(&target).unwrap();
    pour(recorder, load.as_mut()).unwrap();
    let staged = load.finish(CheckLevel::Full).unwrap();
    assert!(!target.exists(), "the target exists before it was placed");
    assert_eq!(staged.place(&mut Vec::new()).unwrap(), Placed::At(target.clone()));
    S::assert_same(original, &target);
    assert_eq!(names(place.path()).len(), 1, "something was left beside the target");

    if S::engine().reads_server() {
        return;
    }
    let mut again = recording::<S>();
    dump(S::engine(), &S::engine().source_of(&target), &mut again).unwrap();
    let content = |it: &Recorder| it.members.iter().map(|(_, it)| it.clone()).collect::<Vec<_>>();
    assert_eq!(again.paths(), recorder.paths());
    assert!(content(&again) == content(recorder), "a second dump differs");
}

pub(super) fn a_restore_passes_a_drill<S: EngineTest>() {
    let DumpedSource { original, recorder, .. } = &dumped::<S>();
    let source = &original.source;
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join(S::engine().target_name("the shop"));
    let scratch = place.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let request = LoadRequest {
        target: Target::Path(&target),
        source: Some(source),
        owners: Owners::CurrentUser,
        cancel: &NOT_CANCELLED,
    };
    let mut load = S::engine().load(&request).unwrap();
    pour(recorder, load.as_mut()).unwrap();
    load.finish(CheckLevel::Off).unwrap().place(&mut Vec::new()).unwrap();
    let report = S::engine()
        .drill(&DrillRequest {
            restored: &target,
            source: Some(source),
            scratch: &scratch,
            cancel: &NOT_CANCELLED,
        })
        .unwrap();
    assert!(report.total_rows > 0 && report.tables > 0, "{report:?}");
    assert!(!report.check.is_empty() && !report.version.is_empty(), "{report:?}");
}

pub(super) fn a_dump_ends_when_the_intake_stops_at_any_call<S: EngineTest>() {
    let DumpedSource { original, recorder, .. } = &dumped::<S>();
    let source = &original.source;
    assert!(recorder.calls > 3, "the source is too small for this test");
    // Not at every call: a server is slow.
    let step = if S::engine().reads_server() { recorder.calls / 5 + 1 } else { 1 };
    for stop_after in (0..recorder.calls).step_by(step) {
        let mut refusing = Recorder { stop_after: Some(stop_after), ..recording::<S>() };
        let ended = dump(S::engine(), source, &mut refusing);
        assert!(matches!(ended, Err(EngineError::Stopped(Stop))), "after {stop_after} calls");
        assert_eq!(refusing.calls, stop_after + 1, "it went on after the intake stopped");
    }
}

pub(super) fn dropping_an_unfinished_restore_leaves_nothing_behind<S: EngineTest>() {
    let DumpedSource { recorder, .. } = &dumped::<S>();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    drop(loading::<S>(&target).unwrap());
    assert_eq!(names(place.path()), [""; 0]);

    let mut load = loading::<S>(&target).unwrap();
    pour(recorder, load.as_mut()).unwrap();
    drop(load);
    assert_eq!(names(place.path()), [""; 0]);

    let mut load = loading::<S>(&target).unwrap();
    pour(recorder, load.as_mut()).unwrap();
    drop(load.finish(CheckLevel::Quick).unwrap());
    assert_eq!(names(place.path()), [""; 0]);
}

pub(super) fn a_restore_never_replaces_anything<S: EngineTest>() {
    let DumpedSource { recorder, .. } = &dumped::<S>();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    let occupy = || std::fs::copy("/proc/self/comm", &target).unwrap();

    occupy();
    assert_eq!(code(loading::<S>(&target)), FailureCode::TargetOccupied);
    std::fs::remove_file(&target).unwrap();

    let mut load = loading::<S>(&target).unwrap();
    pour(recorder, load.as_mut()).unwrap();
    let staged = load.finish(CheckLevel::Off).unwrap();
    occupy();
    assert_eq!(code(staged.place(&mut Vec::new())), FailureCode::TargetOccupied);
    assert_eq!(names(place.path()), ["target"]);
    assert!(target.is_file());
    std::fs::remove_file(&target).unwrap();

    symlink("nowhere", &target).unwrap();
    assert_eq!(code(loading::<S>(&target)), FailureCode::TargetOccupied);
    assert_eq!(code(loading::<S>(&place.path().join("no/folder"))), FailureCode::TargetDenied);
}

pub(super) fn missing_and_invalid_sources_have_different_codes<S: EngineTest>() {
    let nowhere = S::nowhere();
    assert_eq!(code(S::engine().probe(&nowhere)), FailureCode::SourceMissing);
    let missing = dump(S::engine(), &nowhere, &mut recording::<S>());
    let text = missing.as_ref().unwrap_err().to_string();
    assert!(text.contains("/nowhere/at all"), "{text}");
    assert_eq!(code(missing), FailureCode::SourceMissing);

    let mut unknown = nowhere;
    unknown.0.insert("paht".to_owned(), Value::from("/srv"));
    let refused = S::engine().check_source(&unknown);
    assert!(refused.as_ref().unwrap_err().to_string().contains("\"paht\""));
    assert_eq!(code(refused), FailureCode::SourceInvalid);
    assert_eq!(code(S::engine().check_source(&Source::default())), FailureCode::SourceInvalid);
}

pub(super) fn a_probe_and_a_dump_announce_about_the_size<S: EngineTest>() {
    let DumpedSource { original, recorder, .. } = &dumped::<S>();
    let source = &original.source;
    let probe = S::engine().probe(source).unwrap();
    let read: u64 = recorder.members.iter().map(|(entry, _)| data_bytes(&entry.kind)).sum();
    for announced in [probe.source_bytes, recorder.expected] {
        assert!(announced.abs_diff(read) < read / 10, "{announced} announced, {read} read");
    }
    assert!(!probe.version.is_empty());
    if !S::engine().reads_server() {
        assert_eq!(probe.version, S::engine().version(source));
    }
}

/// The bytes of a member without holes.
fn data_bytes(kind: &EntryKind) -> u64 {
    match kind {
        EntryKind::File { extents: Some(extents), .. } => extents.iter().map(|it| it.length).sum(),
        EntryKind::File { size, .. } => *size,
        _ => 0,
    }
}

pub(super) fn an_archive_with_an_unexpected_entry_is_refused<S: EngineTest>() {
    let DumpedSource { mut recorder, .. } = dumped::<S>();
    let place = tempfile::tempdir().unwrap();
    let twice = recorder.members.last().unwrap().clone();
    recorder.members.push(twice);
    let mut load = loading::<S>(&place.path().join("target")).unwrap();
    assert_eq!(code(pour(&recorder, load.as_mut())), FailureCode::ArchiveDamaged);
    drop(load);
    assert_eq!(names(place.path()), [""; 0]);
}

/// Defines the tests in the module that calls it: all of them, or those listed.
macro_rules! engine_conformance {
    ($subject:ty: $($rule:ident)*) => { $(
        #[test]
        fn $rule() {
            $crate::engine::conformance::$rule::<$subject>();
        }
    )* };
    ($subject:ty) => {
        $crate::engine::conformance::engine_conformance! { $subject:
            a_restore_equals_the_source
            a_restore_passes_a_drill
            a_dump_ends_when_the_intake_stops_at_any_call
            dropping_an_unfinished_restore_leaves_nothing_behind
            a_restore_never_replaces_anything
            missing_and_invalid_sources_have_different_codes
            a_probe_and_a_dump_announce_about_the_size
            an_archive_with_an_unexpected_entry_is_refused
        }
    };
}
pub(super) use engine_conformance;
