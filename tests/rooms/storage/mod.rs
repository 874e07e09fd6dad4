//! Places for archives. Each runs the suite in `conformance`, and tests what it promises besides.

mod conformance;
mod local;
mod memory;
mod pending;
