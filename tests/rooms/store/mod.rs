//! The catalog's database through its public face.

mod open;
mod other_writes;
mod schema;
