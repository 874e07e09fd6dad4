//! Other programs at work: a database's own tools and, for drills, its own server.
//!
//! A program gets a clean environment, its secrets by environment or an unlinked file, never in its
//! arguments. It leads a process group of its own that ends with the value it is held by, and it does not
//! outlive Coffer, however that ends. What it says on its standard error is kept as far as the last lines,
//! with every secret taken out, for the failure's message.

mod command;
mod failure;
mod find;
mod process;
mod secret;
mod servant;
mod stream;
mod tail;
#[cfg(test)]
mod tests;

pub(in crate::engine) use self::command::Tool;
pub(in crate::engine) use self::failure::ToolError;
pub(in crate::engine) use self::find::{Finder, major_version};
pub(in crate::engine) use self::secret::{Secret, SecretFile};
pub(in crate::engine) use self::servant::Servant;
pub(in crate::engine) use self::stream::Stream;
