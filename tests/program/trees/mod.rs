//! Trees of files: every kind of entry restores the same, from each point of a chain and by `tar` alone; unchanged
//! files are not read; changes during the read are noticed.

mod advice;
mod chain;
mod changed_while_read;
mod fixture;
mod holes;
mod listing;
mod many_files;
mod mapped_writes;
mod mounts;
mod read_watch;
mod round_trip;
mod sample;
mod stuck_reads;
mod survey;
mod unchanged;
