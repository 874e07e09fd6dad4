//! Tokens of OpenStack's Keystone: whose they are, and what they allow here.
//!
//! Keystone is asked with the token itself, which suffices for one's own. A few threads ask, because each answer may take a
//! second; a token that waits for its answer is asked about once, whoever else sends it. Answers are kept for a minute at
//! most, by the SHA-256 of the token. While Keystone does not answer, what is kept goes on until its time is over.

mod answer;
mod cache;
mod error;
mod requests;
mod roles;
mod threads;

pub use error::KeystoneError;
pub use requests::{Reached, find_version};
pub use roles::Roles;
pub use threads::{Keystone, Report, Settings};
