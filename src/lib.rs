//! Coffer: database backups that people can trust on machines they own.
//!
//! One process speaks OpenStack Trove's Backups API, keeps its catalog in an embedded SQLite database
//! and backs up live databases into archives on the local disk. The rooms of the house, and the stairs
//! between them, which go one way only (`tests/layers.rs` holds them):
//!
//! ```text
//! main ─ cli ─ server ─┬─ api ───────────┐            HTTP and Trove's words; no SQL, no files
//!                      │                 ├─ catalog ─ store      rules over records │ SQLite
//!                      └─ executor ──────┘            threads that do the work; no HTTP
//!                           ├─ engine                 one file per kind of database
//!                           ├─ archive                the file format
//!                           └─ storage                where archives lie
//! ground floor: domain · bell · early_sync · config · telemetry · failpoint
//! ```

pub mod api;
pub mod archive;
pub mod bell;
pub mod catalog;
pub mod cli;
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
