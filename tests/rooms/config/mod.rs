//! The configuration through its public face.

mod check;
mod file;
mod shipped;
