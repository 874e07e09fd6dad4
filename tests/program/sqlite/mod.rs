//! `SQLite` databases, backed up by the program while others use them.

mod cases;
mod failures;
mod live;
mod live_large;
mod mounts;
mod survey;
mod unchanged;
