//! Undo points: what a restore in place replaced, kept beside it until a person lets go of it.
//!
//! An undo point is a folder `.coffer-undo-<id>` beside the file or folder that is restored, on the same filesystem:
//! nothing is copied. What is restored is first made in it, complete and checked. Then the two are exchanged in one
//! step of the kernel, so that there is the old one or the new one at every moment. Undoing is the same step again.
//!
//! ```text
//! .coffer-undo-x7Kq2a/   for its owner only
//!     undo.json          a `Record`: replaced in one step, and durable before anything is moved
//!     1/shop.db          what was restored, until the exchange
//!     2/shop.db          afterwards: what was replaced, with its -wal, -shm and -journal
//! ```
//!
//! Files that belong to a database of the same name (its log) must never be beside another one. They are moved away
//! before the exchange, into the folder that the replaced one comes to afterwards. If the process ends in between, the
//! record says so, and the next look at the point ends the exchange or takes it back: whichever is at the target
//! decides, by its inode.

mod error;
mod in_use;
mod look;
mod mounts;
mod point;
mod record;

pub use error::{Result, UndoError};
pub use in_use::{InUse, look_for_users, require_unused};
pub use look::{Seen, look};
pub use point::{Found, UndoPoint, beside, within};
pub use record::Holds;
