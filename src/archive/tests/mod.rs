//! Whole archives: written, read, restored, damaged.

mod damage;
mod foreign;
mod incremental;
mod round_trip;
mod sample;
