//! Trees of files: every kind of entry restores the same, from each point of a chain and by `tar` alone; unchanged
//! files are not read; changes during the read are noticed.

#![cfg(test)]

mod support;

#[path = "trees/advice.rs"]
mod advice;
#[path = "trees/chain.rs"]
mod chain;
#[path = "trees/changed_while_read.rs"]
mod changed_while_read;
#[path = "trees/fixture.rs"]
mod fixture;
#[path = "trees/holes.rs"]
mod holes;
#[path = "trees/listing.rs"]
mod listing;
#[path = "trees/many_files.rs"]
mod many_files;
#[path = "trees/mapped_writes.rs"]
mod mapped_writes;
#[path = "trees/mounts.rs"]
mod mounts;
#[path = "trees/read_watch.rs"]
mod read_watch;
#[path = "trees/round_trip.rs"]
mod round_trip;
#[path = "trees/sample.rs"]
mod sample;
#[path = "trees/unchanged.rs"]
mod unchanged;
