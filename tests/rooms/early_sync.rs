//! Background syncs of files that are still written.

use std::fs::File;
use std::time::{Duration, Instant};

use coffer::early_sync::EarlySync;

/// How many bytes are written before the next background sync starts.
const STEP: u64 = 32 << 20;

/// A file that cannot be synced.
fn unsyncable() -> File {
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    File::from(writer)
}

#[test]
fn a_later_call_reports_the_error_of_a_background_sync() {
    let file = unsyncable();
    let mut early = EarlySync::default();
    early.wrote(&file, STEP).unwrap();
    early.finish().unwrap_err();
    early.wrote(&file, STEP).unwrap();
    let begun = Instant::now();
    while early.wrote(&file, STEP).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the error is never reported");
        std::thread::yield_now();
    }
}

#[test]
fn a_failed_sync_of_the_filesystem_is_reported_too() {
    let flags = rustix::fs::OFlags::PATH;
    let folder = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).unwrap();
    let mut early = EarlySync::default();
    early.wrote_among_others(&File::from(folder), STEP).unwrap();
    early.finish().unwrap_err();
}

#[test]
fn no_sync_starts_before_enough_was_written() {
    let file = unsyncable();
    let mut early = EarlySync::default();
    early.wrote(&file, STEP - 1).unwrap();
    early.finish().unwrap();
    early.wrote(&file, 1).unwrap();
    early.finish().unwrap_err();
}
