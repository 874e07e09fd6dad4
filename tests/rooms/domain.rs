//! What every room speaks about: ids, names, times, statuses.

use std::time::Duration;

use coffer::domain::*;

#[test]
fn a_location_made_by_us_reads_back_with_its_project_backup_and_kind() {
    let project: ProjectId = "shop".parse().unwrap();
    let (instance, backup) = (InstanceId::derived(&project, "db"), BackupId::generate());
    let container: ContainerName = "weekly".parse().unwrap();
    for (container, kind) in [(None, Kind::Full), (Some(&container), Kind::Incremental)] {
        let made = Location::of(&project, container, instance, backup, kind);
        let read: Location = made.as_str().parse().unwrap();
        assert_eq!(read, made);
        assert_eq!((read.backup_id(), read.kind()), (Some(backup), kind));
        assert!(read.is_in(&project) && !read.is_in(&"sho".parse().unwrap()));
        assert_eq!(read.name(), Location::file_name(backup, kind));
    }
}

#[test]
fn an_archive_of_any_name_has_a_location_but_names_no_backup() {
    let mine: Location = "my folder/mine.tar.zst".parse().unwrap();
    assert_eq!((mine.backup_id(), mine.kind()), (None, Kind::Full));
    let at_the_root: Location = "mine.incr.zst".parse().unwrap();
    assert_eq!((at_the_root.name(), at_the_root.kind()), ("mine.incr.zst", Kind::Incremental));
}

#[test]
fn a_text_that_could_leave_the_store_or_is_no_archive_is_refused() {
    let long = "x/".repeat(600) + "x.tar.zst";
    for bad in [
        "",
        "..",
        "../x.tar.zst",
        "a/../../x.tar.zst",
        "/etc/x.tar.zst",
        "a//x.tar.zst",
        "a/./x.tar.zst",
        "a\0/x.tar.zst",
        ".tar.zst",
        "a/x.txt",
        "a\\..\\x.tar.zst",
        &long,
    ] {
        assert!(bad.parse::<Location>().is_err(), "{bad:?}");
    }
}

#[test]
fn only_the_hyphenated_form_of_an_id_is_accepted() {
    let text = "0d5a4f6e-7b1c-4c55-9d6e-1f2a3b4c5d6e";
    assert_eq!(text.parse::<BackupId>().unwrap().to_string(), text);
    for bad in
        ["", "abc", "0d5a4f6e7b1c4c559d6e1f2a3b4c5d6e", "{0d5a4f6e-7b1c-4c55-9d6e-1f2a3b4c5d6e}"]
    {
        assert!(bad.parse::<BackupId>().is_err(), "{bad}");
    }
}

#[test]
fn a_derived_instance_id_depends_on_project_and_name_alone() {
    let project: ProjectId = "project-a".parse().unwrap();
    let other: ProjectId = "project-b".parse().unwrap();
    assert_eq!(InstanceId::derived(&project, "shop"), InstanceId::derived(&project, "shop"));
    assert_ne!(InstanceId::derived(&project, "shop"), InstanceId::derived(&other, "shop"));
    assert_ne!(InstanceId::derived(&project, "shop"), InstanceId::derived(&project, "web"));
}

#[test]
fn a_project_or_container_that_could_leave_its_folder_is_refused() {
    for bad in ["", ".", "..", "a/b", "a b", "a;b", "é", &"x".repeat(65)] {
        assert!(bad.parse::<ProjectId>().is_err(), "{bad}");
        assert!(bad.parse::<ContainerName>().is_err(), "{bad}");
    }
    assert!("a.b".parse::<ContainerName>().is_ok());
    assert!("0d5a4f6e-7b1c-4c55-9d6e-1f2a3b4c5d6e".parse::<ContainerName>().is_err());
}

#[test]
fn a_timestamp_reads_back_to_the_microsecond_and_has_whole_seconds_on_the_wire() {
    let instant: Timestamp = "2026-11-23T19:13:14.250001Z".parse().unwrap();
    assert_eq!(instant.to_wire(), "2026-11-23T19:13:14");
    assert_eq!(instant.to_string(), "2026-11-23T19:13:14.250001Z");
    assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
}

#[test]
fn the_wire_form_follows_the_calendar_and_is_the_epoch_for_years_without_four_digits() {
    for (micros, expected) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_400_000_000, "2000-02-29T00:00:00"),
        (253_402_300_799_999_999, "1970-01-01T00:00:00"),
        (253_402_200_799_000_000, "9999-12-30T20:13:19"),
        (-1, "1969-12-31T23:59:59"),
        (i64::MAX, "1970-01-01T00:00:00"),
        (i64::MIN, "1970-01-01T00:00:00"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00"),
        (-62_167_219_200_000_001, "1970-01-01T00:00:00"),
    ] {
        assert_eq!(Timestamp::from_micros(micros).to_wire(), expected, "{micros}");
    }
}

#[test]
fn a_backup_goes_forward_only() {
    assert!(Status::New.next().contains(&Status::Building));
    assert!(Status::Saving.next().contains(&Status::Completed));
    for (from, to) in [
        (Status::New, Status::Completed),
        (Status::Building, Status::Completed),
        (Status::Completed, Status::Failed),
        (Status::Failed, Status::Building),
        (Status::DeleteFailed, Status::Completed),
    ] {
        assert!(!from.next().contains(&to), "{from} to {to}");
    }
}

#[test]
fn every_word_reads_back_as_its_status() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(*status));
    }
    assert_eq!("completed".parse::<Status>(), Err(()));
}

#[test]
fn a_child_is_cancelled_with_its_parent_and_never_the_other_way_round() {
    let parent = Cancel::default();
    let [one, other] = [parent.child(), parent.child()];
    one.cancel();
    let cancelled = [&parent, &one, &other].map(Cancel::is_cancelled);
    assert_eq!(cancelled, [false, true, false]);
    let below = other.child();
    parent.cancel();
    assert!(other.is_cancelled() && below.is_cancelled());
}

#[test]
fn a_child_with_a_time_limit_is_cancelled_when_that_is_over() {
    let parent = Cancel::default();
    assert!(parent.child_within(Duration::ZERO).is_cancelled());
    assert!(!parent.child_within(Duration::from_secs(3600)).is_cancelled());
    assert!(!parent.is_cancelled());
}

fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

#[test]
fn a_path_that_could_leave_its_root_is_refused() {
    for bad in ["/etc", "..", "a/../b", "a//b", "a/", "./a", "a\0b"] {
        assert!(EntryPath::new(bad).is_err(), "{bad}");
    }
    assert!(EntryPath::root().is_root());
    assert_eq!(path("a").join(b"b").unwrap(), path("a/b"));
    assert!(path("a").join(b"..").is_err() && path("a").join(b"b/c").is_err());
    let within = |one: &str, other: &str| path(one).is_within(&path(other));
    assert!(within("a/b", "a") && within("a", "a") && within("a", ""));
    assert!(!within("ab", "a") && !within("a", "a/b"));
}

#[test]
fn paths_sort_in_the_order_of_a_depth_first_walk() {
    let mut paths = [path("a.txt"), path("a/b"), path("a"), path("a-b"), EntryPath::root()];
    paths.sort();
    assert_eq!(paths, [EntryPath::root(), path("a"), path("a/b"), path("a-b"), path("a.txt")]);
}

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Layer {
    text: &'static str,
    #[source]
    cause: Option<Box<Layer>>,
}

#[test]
fn each_cause_is_named_once() {
    let layer = |text, cause: Option<Layer>| Layer { text, cause: cause.map(Box::new) };
    let disk = layer("the disk is full", None);
    let write = layer("cannot write x: the disk is full", Some(disk));
    let backup = layer("the backup failed", Some(write));
    assert_eq!(with_causes(&backup), "the backup failed: cannot write x: the disk is full");
}

#[test]
fn a_long_list_ends_with_the_number_of_those_it_does_not_name() {
    let all = |count: u32| (0..count).map(|it| LeftOut::new(it.to_string(), "socket")).collect();
    assert_eq!(LeftOut::first(all(2), 2).len(), 2);
    let cut = LeftOut::first(all(7), 2);
    assert_eq!((cut.len(), cut[1].to_string().as_str()), (3, "1: socket"));
    assert_eq!(cut[2].what, "5 more");
}
