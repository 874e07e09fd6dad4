//! Coffer: database backups that people can trust on machines they own.
//!
//! One process speaks OpenStack Trove's Backups API, keeps its catalog in an embedded SQLite database
//! and backs up live databases into archives on the local disk.
//!
//! # Rooms
//!
//! Each room names only the rooms listed behind its arrow, and never one above it. `tests/layers.rs` reads this
//! list, holds the source to it, and fails on a step that nobody takes.
//!
//! ```text
//! main        the program                   → cli
//! cli         commands                      → server client executor catalog engine archive storage config telemetry wire domain
//! client      asks the API over HTTP        → wire domain
//! server      one process, put together     → executor api catalog engine storage config bell domain
//! executor    threads that do the work      → catalog engine archive storage bell failpoint domain
//! api         HTTP and Trove's words        → catalog wire domain
//! catalog     rules over records            → store bell domain
//! store       records in SQLite             → domain
//! engine      one kind of database each     → early_sync domain
//! archive     the file format               → domain
//! storage     where archives lie            → early_sync failpoint domain
//! wire        bodies of requests, answers   → domain
//! config      settings                      → domain
//! telemetry   log lines and panics          → domain
//! bell        wakes the executor            →
//! early_sync  fsync while a file is written →
//! failpoint   crashes on purpose, for tests →
//! domain      what every room speaks about  →
//! ```

pub mod api;
pub mod archive;
pub mod bell;
pub mod catalog;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod early_sync;
pub mod engine;
pub mod executor;
pub mod failpoint;
pub mod server;
pub mod storage;
pub mod store;
pub mod telemetry;
pub mod wire;
