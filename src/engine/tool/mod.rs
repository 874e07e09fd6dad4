//! Running other programs: a database's own tools and, for drills, its own server.
//!
//! A program gets a clean environment. Secrets reach it through that environment or an unlinked file, never
//! through its arguments. It leads its own process group, which is killed when the value that holds it is
//! dropped, and it does not outlive Coffer. The last lines of its standard error are kept for error messages,
//! with every secret removed. [`Rule`]s turn a [`ToolError`] into a kind of failure and advice.

mod classify;
mod command;
mod error;
mod find;
mod offline;
mod process;
mod run;
mod secret;
mod server_process;
mod stream;
mod tail;
#[cfg(test)]
mod tests;
mod version;

pub(super) use self::classify::{Rule, TIMED_OUT, classify, find_rule, rules, says_any};
pub(super) use self::command::Tool;
pub(super) use self::error::ToolError;
pub(super) use self::find::Finder;
pub(super) use self::offline::drill_network;
pub(super) use self::secret::{Secret, SecretFile};
pub(super) use self::server_process::{ServerProcess, read_end};
pub(super) use self::stream::Stream;
pub(super) use self::version::{major_and_minor, version_text};
