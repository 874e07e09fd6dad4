//! Rooms of the library, driven through their public face.

#![cfg(test)]

#[path = "rooms/archive/mod.rs"]
mod archive;
#[path = "rooms/catalog/mod.rs"]
mod catalog;
#[path = "rooms/config/mod.rs"]
mod config;
#[path = "rooms/engine/mod.rs"]
mod engine;
#[path = "rooms/storage/mod.rs"]
mod storage;
#[path = "rooms/store/mod.rs"]
mod store;
