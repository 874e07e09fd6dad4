//! Places for archives. Each runs the suite in `conformance`, and tests what it promises besides.

mod conformance;
mod disk;
mod encrypted;
mod fleet;
mod keystone;
mod local;
mod memory;
mod memory_place;
mod ownership;
mod pending;
mod places;
pub(crate) mod s3;
pub(crate) mod swift;
mod swift_network;
