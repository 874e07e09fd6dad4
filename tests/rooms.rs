//! Rooms of the library, driven through their public face.

#![cfg(test)]

#[path = "rooms/archive/mod.rs"]
mod archive;
#[path = "rooms/bell.rs"]
mod bell;
#[path = "rooms/catalog/mod.rs"]
mod catalog;
#[path = "rooms/client.rs"]
mod client;
#[path = "rooms/config/mod.rs"]
mod config;
#[path = "rooms/domain.rs"]
mod domain;
#[path = "rooms/early_sync.rs"]
mod early_sync;
#[path = "rooms/encryption/mod.rs"]
mod encryption;
#[path = "rooms/engine/mod.rs"]
mod engine;
#[path = "rooms/executor/mod.rs"]
mod executor;
#[path = "rooms/file_url.rs"]
mod file_url;
#[path = "rooms/keystone.rs"]
mod keystone;
#[path = "rooms/notify/mod.rs"]
mod notify;
#[path = "rooms/policy/mod.rs"]
mod policy;
#[path = "receivers/mod.rs"]
mod receivers;
#[path = "rooms/scheduler/mod.rs"]
mod scheduler;
#[path = "rooms/server.rs"]
mod server;
#[path = "rooms/storage/mod.rs"]
mod storage;
#[path = "rooms/store/mod.rs"]
mod store;
#[path = "rooms/undo.rs"]
mod undo;
#[path = "rooms/users.rs"]
mod users;
#[path = "rooms/wire.rs"]
mod wire;
