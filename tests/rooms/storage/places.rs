//! What every place for copies promises. `place_conformance!(open)` makes a test of each promise; [`PROMISES`] lists them
//! for a place that is slow to start.

use std::io;
use std::sync::Arc;

use coffer::domain::{
    BackupId, InstanceId, Kind, Location, ProjectId, ReadAt, SentPart, Timestamp,
};
use coffer::storage::{Place, StorageError, Upload, UploadPlan};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The shortest part that stores take, but for the last.
const PART: usize = 5 << 20;

macro_rules! promises {
    ($($promise:ident),+ $(,)?) => {
        /// Every promise, by its name.
        pub(super) const PROMISES: &[(&str, fn(&dyn Place))] =
            &[$((stringify!($promise), $promise)),+];

        macro_rules! place_conformance {
            ($open:expr) => { $(
                #[test]
                fn $promise() {
                    let (_alive, place) = $open;
                    $crate::storage::places::$promise(&place);
                }
            )+ };
        }
        pub(super) use place_conformance;
    };
}

promises! {
    a_copy_is_visible_only_after_its_commit_and_reads_back_by_ranges,
    a_copy_of_several_parts_is_what_was_sent,
    an_upload_goes_on_after_the_parts_that_have_arrived,
    an_upload_that_was_given_up_leaves_nothing_and_does_not_go_on,
    a_copy_is_never_replaced,
    copies_are_listed_in_order_of_location,
    removing_a_copy_twice_is_no_error_and_its_location_is_free_again,
    what_is_not_there_is_reported_as_missing,
    an_empty_archive_can_be_copied,
    a_place_that_works_says_so_and_trying_it_out_leaves_nothing,
    a_place_belongs_to_one_data_directory_until_another_one_takes_it_over,
}

fn location(project: &str, kind: Kind) -> (BackupId, Location) {
    let project: ProjectId = project.parse().unwrap();
    let instance = InstanceId::derived(&project, "shop");
    let id = BackupId::generate();
    (id, Location::of(&project, None, instance, id, kind))
}

/// Bytes that do not repeat from part to part.
fn content(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = |_at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

fn plan_of(id: BackupId, location: &Location, bytes: &[u8]) -> UploadPlan {
    let length = u64::try_from(bytes.len()).unwrap();
    let plan = UploadPlan::new(id, location.clone(), length, Timestamp::EARLIEST);
    plan.with_parts_of(u64::try_from(PART).unwrap())
}

fn sha256(bytes: &[u8], plan: &UploadPlan, number: u32) -> [u8; 32] {
    let (start, length) = plan.range(number);
    let start = usize::try_from(start).unwrap();
    Sha256::digest(&bytes[start..start + usize::try_from(length).unwrap()]).into()
}

/// Sends the parts that are not there yet, up to this one.
#[expect(clippy::too_many_arguments, reason = "what an upload is made of, and how far it goes")]
fn send(
    place: &dyn Place,
    plan: &UploadPlan,
    upload: &str,
    bytes: &[u8],
    parts: &mut Vec<SentPart>,
    until: u32,
) -> Result<Box<dyn Upload>, StorageError> {
    let source: Arc<dyn ReadAt> = Arc::new(bytes.to_vec());
    let mut going = place.resume(plan, upload, parts.clone())?;
    let first = u32::try_from(parts.len()).unwrap() + 1;
    for number in first..=until {
        let sha256 = sha256(bytes, plan, number);
        let tag = going.send(number, &sha256, &source)?;
        parts.push(SentPart { number, tag, sha256 });
    }
    Ok(going)
}

pub(super) fn copy(place: &dyn Place, plan: &UploadPlan, bytes: &[u8]) -> Result<(), StorageError> {
    let upload = place.begin(plan)?;
    send_all(place, plan, &upload, bytes)
}

/// Sends all parts of an upload, and commits it.
pub(super) fn send_all(
    place: &dyn Place,
    plan: &UploadPlan,
    upload: &str,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let last = u32::try_from(plan.parts()).unwrap();
    send(place, plan, upload, bytes, &mut Vec::new(), last)?.commit()
}

fn copied(place: &dyn Place, project: &str, bytes: &[u8]) -> Location {
    let (id, location) = location(project, Kind::Full);
    copy(place, &plan_of(id, &location, bytes), bytes).unwrap();
    location
}

pub(super) fn read(place: &dyn Place, location: &Location) -> Vec<u8> {
    let copy = place.open(location).unwrap();
    let mut bytes = vec![0; usize::try_from(copy.len()).unwrap()];
    copy.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

pub(super) fn a_copy_is_visible_only_after_its_commit_and_reads_back_by_ranges(place: &dyn Place) {
    let bytes = content(100_000);
    let (id, location) = location("p", Kind::Incremental);
    let plan = plan_of(id, &location, &bytes);
    let upload = place.begin(&plan).unwrap();
    let going = send(place, &plan, &upload, &bytes, &mut Vec::new(), 1).unwrap();
    assert_eq!(place.stat(&location).unwrap(), None);
    assert!(place.list().unwrap().is_empty());
    going.commit().unwrap();
    let stored = place.stat(&location).unwrap().unwrap();
    assert_eq!((&stored.location, stored.bytes), (&location, 100_000));
    let copy = place.open(&location).unwrap();
    assert_eq!(copy.len(), 100_000);
    for (start, length) in [(99_991, 9), (99_000, 1000), (0, 4), (4, 4), (50_000, 49_999), (8, 3)] {
        let mut found = vec![0; length];
        copy.read_exact_at(&mut found, u64::try_from(start).unwrap()).unwrap();
        assert_eq!(found, bytes[start..start + length], "{start}");
    }
    let error = copy.read_exact_at(&mut [0; 10], 99_991).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    place.remove(&location).unwrap();
}

pub(super) fn a_copy_of_several_parts_is_what_was_sent(place: &dyn Place) {
    let bytes = content(2 * PART + 1000);
    let location = copied(place, "p", &bytes);
    assert_eq!(place.stat(&location).unwrap().unwrap().bytes, 2 * 5_242_880 + 1000);
    assert!(read(place, &location) == bytes, "what is there differs");
    place.remove(&location).unwrap();
}

pub(super) fn an_upload_goes_on_after_the_parts_that_have_arrived(place: &dyn Place) {
    let bytes = content(2 * PART + 1);
    let (id, location) = location("p", Kind::Full);
    let plan = plan_of(id, &location, &bytes);
    let upload = place.begin(&plan).unwrap();
    let mut parts = Vec::new();
    drop(send(place, &plan, &upload, &bytes, &mut parts, 1).unwrap());
    // As after a crash, the second part arrived, but nobody took note of it.
    drop(send(place, &plan, &upload, &bytes, &mut parts.clone(), 2).unwrap());
    send(place, &plan, &upload, &bytes, &mut parts, 3).unwrap().commit().unwrap();
    assert!(read(place, &location) == bytes, "what is there differs");
    place.remove(&location).unwrap();
}

pub(super) fn an_upload_that_was_given_up_leaves_nothing_and_does_not_go_on(place: &dyn Place) {
    let bytes = content(PART + 1);
    let (id, location) = location("p", Kind::Full);
    let plan = plan_of(id, &location, &bytes);
    let upload = place.begin(&plan).unwrap();
    let mut parts = Vec::new();
    drop(send(place, &plan, &upload, &bytes, &mut parts, 1).unwrap());
    place.abort(&plan, &upload).unwrap();
    place.abort(&plan, &upload).unwrap();
    let gone = send(place, &plan, &upload, &bytes, &mut parts, 2).unwrap_err();
    // A store may take this for an error of its own.
    let is_refused =
        matches!(gone, StorageError::Refused { .. }) && place.identity().unwrap().is_none();
    assert!(gone.is_not_found() || is_refused, "{gone}");
    assert_eq!(place.stat(&location).unwrap(), None);
    assert!(place.list().unwrap().is_empty());
}

pub(super) fn a_copy_is_never_replaced(place: &dyn Place) {
    for length in [10, PART + 10] {
        let (first, second) = (content(length), vec![1; length]);
        let (id, location) = location("p", Kind::Full);
        let plan = plan_of(id, &location, &first);
        copy(place, &plan, &first).unwrap();
        let error = copy(place, &plan, &second).unwrap_err();
        assert!(matches!(error, StorageError::Exists { .. }), "{length}: {error}");
        assert!(read(place, &location) == first, "{length}: what is there differs");
        place.remove(&location).unwrap();
    }
}

pub(super) fn copies_are_listed_in_order_of_location(place: &dyn Place) {
    assert!(place.list().unwrap().is_empty());
    let mut all: Vec<_> = ["b", "a-b", "a", "a"].map(|it| copied(place, it, it.as_bytes())).into();
    all.sort();
    let listed: Vec<_> = place.list().unwrap().into_iter().map(|it| it.location).collect();
    assert_eq!(listed, all);
    for it in &all {
        place.remove(it).unwrap();
    }
}

pub(super) fn removing_a_copy_twice_is_no_error_and_its_location_is_free_again(place: &dyn Place) {
    let (id, location) = location("p", Kind::Full);
    let plan = plan_of(id, &location, b"bytes");
    let other = copied(place, "p", b"other");
    for _ in 0..2 {
        copy(place, &plan, b"bytes").unwrap();
        place.remove(&location).unwrap();
        place.remove(&location).unwrap();
        assert_eq!(place.stat(&location).unwrap(), None);
    }
    assert_eq!(read(place, &other), b"other");
    place.remove(&other).unwrap();
}

pub(super) fn what_is_not_there_is_reported_as_missing(place: &dyn Place) {
    let (_id, location) = location("p", Kind::Full);
    assert_eq!(place.stat(&location).unwrap(), None);
    assert!(place.open(&location).unwrap_err().is_not_found());
    place.remove(&location).unwrap();
}

pub(super) fn an_empty_archive_can_be_copied(place: &dyn Place) {
    let location = copied(place, "p", b"");
    assert_eq!(place.stat(&location).unwrap().unwrap().bytes, 0);
    assert_eq!(read(place, &location), b"");
    place.remove(&location).unwrap();
}

pub(super) fn a_place_that_works_says_so_and_trying_it_out_leaves_nothing(place: &dyn Place) {
    let found = place.try_out().unwrap();
    assert!(!found.is_empty());
    assert!(place.list().unwrap().is_empty());
    let identity = place.identity().unwrap();
    assert_eq!(place.establish().unwrap(), identity);
}

pub(super) fn a_place_belongs_to_one_data_directory_until_another_one_takes_it_over(
    place: &dyn Place,
) {
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(place.owner().unwrap(), None);
    for _ in 0..2 {
        place.claim(first).unwrap();
        assert_eq!(place.owner().unwrap(), Some(first));
    }
    let error = place.claim(second).unwrap_err();
    assert!(error.is_about_place() && matches!(error, StorageError::OfAnother { .. }), "{error}");
    for said in [&first.to_string(), &second.to_string(), "coffer catalog take-over --place"] {
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(place.owner().unwrap(), Some(first), "a refusal changes nothing");
    place.take_over(second).unwrap();
    place.claim(second).unwrap();
    assert_eq!(place.owner().unwrap(), Some(second));
    assert!(matches!(place.claim(first).unwrap_err(), StorageError::OfAnother { .. }));
    assert!(place.list().unwrap().is_empty(), "it is no archive");
}
