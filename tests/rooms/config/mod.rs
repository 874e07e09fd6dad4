//! The configuration through its public face.

mod check;
mod file;
mod policy;
mod shipped;
