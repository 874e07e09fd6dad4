//! The threads that do the work, with real places.

mod fleet_simulation;
mod network;
