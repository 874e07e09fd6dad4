//! The configuration through its public face.

mod alerts;
mod check;
mod file;
mod policy;
mod shipped;
