//! Whole archives: written, read, restored, damaged.

mod damage;
mod foreign;
mod hostile;
mod incremental;
mod index_blocks;
mod order;
mod round_trip;
mod sample;
