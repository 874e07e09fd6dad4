//! The threads that do the work, with real places.

mod network;
