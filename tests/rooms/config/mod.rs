//! The configuration through its public face.

mod alerts;
mod check;
mod encryption;
mod file;
mod misplaced;
mod places;
mod policy;
mod shipped;
