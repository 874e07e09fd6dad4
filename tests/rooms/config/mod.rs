//! The configuration through its public face.

mod alerts;
mod check;
mod encryption;
mod file;
mod policy;
mod shipped;
