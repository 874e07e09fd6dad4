//! Restored trees of files, for every engine that restores files.
//!
//! A restore is made in a [`Staging`] folder beside its target, on the same filesystem. A [`Tree`] fills it with
//! entries and their content and makes it durable; then it is placed at the target by a rename that never replaces
//! anything. Until it is placed, dropping any of these removes everything. [`FolderLoad`] does all of this for a
//! restore that is one folder.
//!
//! Archives can be hostile. Nothing is written through a link that an earlier entry made: every folder is opened
//! below the root of the tree, following none.

mod beneath;
mod file;
mod load;
mod metadata;
mod staging;
mod writer;

pub(super) use self::beneath::{Folders, path_in};
pub(super) use self::load::{FolderLoad, StagedFolder, damaged_dumps, occupied, path_of};
pub(super) use self::staging::Staging;
pub(crate) use self::staging::left_in;
pub(super) use self::writer::Tree;
