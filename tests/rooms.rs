//! Rooms of the library, driven through their public face.

#![cfg(test)]

#[path = "rooms/engine/mod.rs"]
mod engine;

use coffer::domain;
