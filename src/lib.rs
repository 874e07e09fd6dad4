//! Coffer: database backups that people can trust on machines they own.
//!
//! One process speaks OpenStack Trove's Backups API, keeps its catalog in an embedded SQLite database
//! and backs up live databases into archives on the local disk.
//!
//! # Rooms
//!
//! Each top-level module is called a room. It uses only the rooms listed behind its arrow, and never one above it.
//! `tests/layers.rs` fails if a room uses one that is not in its list, or does not use one that is.
//!
//! ```text
//! main        the program                   → cli
//! cli         commands                      → server client executor catalog undo users keystone engine archive storage config policy telemetry wire tls disk file_url encryption domain
//! client      asks the API over HTTP        → wire tls domain
//! server      one process, put together     → executor scheduler notify api console access catalog users keystone engine storage config policy wire tls bell disk encryption domain
//! scheduler   begins what is due            → catalog policy bell domain
//! notify      tells people what is wrong    → catalog policy bell certificates domain
//! executor    threads that do the work      → catalog undo engine archive storage policy bell disk failpoint telemetry encryption domain
//! api         HTTP and Trove's words        → access catalog users keystone wire telemetry domain
//! console     pages for people              → access catalog keystone wire policy bell domain
//! access      archives and channels by HTTP → catalog wire domain
//! catalog     rules over records            → store policy bell domain
//! store       records in SQLite             → disk domain
//! undo        what restores replaced        → disk failpoint domain
//! users       who signs in, and with what    → domain
//! keystone    tokens of OpenStack's Keystone → certificates domain
//! engine      one kind of database each     → early_sync disk file_url domain
//! archive     the file format               → domain
//! storage     keeps archives                → early_sync disk file_url certificates failpoint encryption domain
//! wire        bodies of requests, answers   → policy domain
//! config      settings                      → policy encryption domain
//! telemetry   log lines and panics          → domain
//! tls         the server's certificate      → domain
//! encryption  keys, and what they hide      → domain
//! policy      schedules, what is kept       → domain
//! bell        wakes the executor            →
//! early_sync  fsync while a file is written →
//! disk        file-system calls             →
//! file_url    `file://` URLs of paths       →
//! certificates whose servers are trusted    →
//! failpoint   crashes on purpose, for tests →
//! domain      what every room speaks about  →
//! ```
//!
//! # Words
//!
//! Words of our own, or with a meaning of our own, besides those of zstd, SQLite and Trove.
//!
//! | word | meaning |
//! |---|---|
//! | archive | the file of one backup: a tar, compressed with zstd, with an index and a manifest |
//! | chain | the archives that a backup needs: its root, which is a full backup, and the incrementals built on it |
//! | segment | a MiB of a file, cut at a fixed position: the unit that is hashed, compared and restored |
//! | patch | what an incremental stores of a changed segment: the changed pages (a delta), or all of it (whole) |
//! | stamp | ctime, inode and device of a file: if they and its size have not changed, it need not be read again |
//! | prove | to read an archive back, decode it, and compare every hash with that of the source |
//! | publish | to give a proven archive its final name; from then on the backup exists |
//! | verify | to prove a published archive again |
//! | drill | a restore that is made only to prove that a backup can be restored |
//! | job | what a worker does: a backup, registration, restore, drill, consolidation, verification or removal |
//! | run | one attempt at a job or a verification, from the request to its result |
//! | settle | to record the result of a run and its effect on the rows, in one transaction |
//!
//! # Where things go
//!
//! * **An engine**, to back up another kind of database: a folder in `src/engine/<name>/` with an implementation of
//!   [`engine::Engine`], and a line in `ENGINES` in `src/engine/mod.rs`. The engine alone checks the keys of its
//!   `source`. Its tests are in `tests/rooms/engine/<name>`, and run the suite in `tests/rooms/engine/conformance.rs`.
//! * **A storage backend**: an implementation of [`storage::Storage`] in `src/storage/<name>/`, and a line in
//!   `src/storage/mod.rs`. Its tests run the suite in `tests/rooms/storage/conformance.rs`.
//! * **A place for copies**: an implementation of [`storage::Place`] in `src/storage/`, a line in `src/storage/mod.rs`, and
//!   its keys in `src/config/places.rs` and `src/server/places.rs`. Its tests run `tests/rooms/storage/places.rs`.
//! * **A field of a backup**: a column in `schema.sql`, with a step in `src/store/schema.rs` for older catalogs; the
//!   field in `src/domain/backup.rs`; its column in `src/store/backups/mod.rs`; its key in `src/wire/backup.rs`, and its
//!   value in `src/wire/backup_view.rs`. What is known of an archive comes from its manifest in `src/executor/facts.rs`; what
//!   the archive has to remember goes into `src/archive/manifest.rs`.
//! * **A channel for alerts**: its key in `src/config/alerts.rs`, what it is sent in `src/notify/request.rs` or a file beside
//!   it, and a line in `src/server/alerts.rs`. Its test in `tests/rooms/notify/channels.rs` has a real receiver.
//! * **A route**: a handler with its `#[utoipa::path]` in the file of its resource in `src/api/`, listed in that file's
//!   `routes()`, and the types of its bodies in `src/wire/`. `/openapi.json` is made from them by
//!   `COFFER_WRITE_OPENAPI=1 cargo test --lib api::openapi`; without the variable this test holds it to them.
//! * **A page of the console**: its `Route` in `src/console/route.rs`, its file beside it, and its test in
//!   `tests/api/console/`.
//! * **A test** of one type stands beside it, in `mod tests` of its file. What uses a room only through its public
//!   functions is in `tests/rooms/<room>/`, part of `tests/rooms.rs`; what asks the API without a network is in
//!   `tests/api/`; what drives the program is in `tests/program/`. Few test programs are quick to build and to link.
//! * **A kind of job**: its file in `src/executor/jobs/`, its `Job` and how it is claimed in `src/catalog/queue.rs`,
//!   and its `RunKind` in `src/domain/run.rs`.
//! * **A rule** of what is allowed goes into `src/catalog/`, its sentence for the client into `src/api/refusal.rs`.

pub mod access;
pub mod api;
pub mod archive;
pub mod bell;
pub mod catalog;
pub mod certificates;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
pub mod disk;
pub mod domain;
pub mod early_sync;
pub mod encryption;
pub mod engine;
pub mod executor;
pub mod failpoint;
pub mod file_url;
pub mod keystone;
pub mod notify;
pub mod policy;
pub mod scheduler;
pub mod server;
pub mod storage;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod undo;
pub mod users;
pub mod wire;
