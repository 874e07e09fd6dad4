//! The catalog's database through its public face.

mod open;
mod schema;
