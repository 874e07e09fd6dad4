//! The order of an archive's entries, in which no path comes twice.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, Damage};
use crate::domain::EntryPath;

/// The most entries of an unordered archive. Writing or reading one takes 8 bytes of memory for each, and at most 5 MB
/// more.
const MAX_UNORDERED: usize = 1 << 22;
/// How many hashes wait until they are sorted.
const RECENT: usize = 1 << 18;

/// The order in which entries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In the order of [`EntryPath`]: each path is greater than the previous one.
    #[default]
    ByPath,
    /// In any order, as a server streams its files.
    #[serde(rename = "as_it_comes")]
    Unordered,
}

/// Why a path may not come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("is out of order")]
    OutOfOrder,
    #[error("comes twice")]
    Duplicate,
    #[error("is one of more than 4 million unordered entries")]
    TooMany,
}

impl OrderError {
    /// The error for an engine that gave this path to a writer.
    pub(crate) fn of_given(self, path: &EntryPath) -> ArchiveError {
        let what = format!("{path} {self}");
        if self == Self::TooMany {
            ArchiveError::TooLarge(what)
        } else {
            ArchiveError::Misuse(what)
        }
    }

    /// The damage of an archive that has this path in its index.
    pub(crate) fn of_found(self, path: &EntryPath) -> Damage {
        Damage(format!("in its index {path} {self}"))
    }
}

/// A set of paths, kept as 64-bit hashes with a random key. Nobody can make two paths that collide; by chance
/// two do in one of ten million archives of a million entries.
#[derive(Debug, Default)]
pub(crate) struct PathSet {
    key: RandomState,
    /// In a table: those that came last.
    recent: HashSet<u64>,
    /// In order: all others, because a table takes twice the memory and three times while it grows.
    sorted: Vec<u64>,
}

impl PathSet {
    /// The hash by which this set knows the path.
    pub(crate) fn hash(&self, path: &EntryPath) -> u64 {
        self.key.hash_one(path.as_bytes())
    }

    pub(crate) fn contains(&self, path: &EntryPath) -> bool {
        self.has(self.hash(path))
    }

    fn has(&self, hash: u64) -> bool {
        self.recent.contains(&hash) || self.sorted.binary_search(&hash).is_ok()
    }

    pub(crate) fn insert(&mut self, path: &EntryPath) -> Result<(), OrderError> {
        if self.recent.len() + self.sorted.len() >= MAX_UNORDERED {
            return Err(OrderError::TooMany);
        }
        let hash = self.hash(path);
        if self.has(hash) {
            return Err(OrderError::Duplicate);
        }
        if self.recent.len() >= RECENT {
            self.sorted.reserve_exact(self.recent.len());
            self.sorted.extend(self.recent.drain());
            self.sorted.sort_unstable();
        }
        self.recent.insert(hash);
        Ok(())
    }

    fn remove(&mut self, path: &EntryPath) {
        let hash = self.hash(path);
        if !self.recent.remove(&hash)
            && let Ok(at) = self.sorted.binary_search(&hash)
        {
            self.sorted.remove(at);
        }
    }
}

/// Checks the order of paths while an archive is written or read.
#[derive(Debug)]
pub(crate) struct PathSequence {
    order: Order,
    last: Option<EntryPath>,
    previous: Option<EntryPath>,
    /// Every path, if the order alone does not show that one is new.
    seen: PathSet,
}

impl PathSequence {
    pub(crate) fn new(order: Order) -> Self {
        Self { order, last: None, previous: None, seen: PathSet::default() }
    }

    /// Adds the next path, if it may come now.
    pub(crate) fn push(&mut self, path: &EntryPath) -> Result<(), OrderError> {
        match self.order {
            Order::ByPath if self.last.as_ref().is_some_and(|last| last >= path) => {
                return Err(OrderError::OutOfOrder);
            }
            Order::ByPath => {}
            Order::Unordered => self.seen.insert(path)?,
        }
        self.previous = self.last.replace(path.clone());
        Ok(())
    }

    /// Removes the last path. Works once: only the path before it is remembered.
    pub(crate) fn pop(&mut self) {
        let Some(last) = self.last.take() else { return };
        if self.order == Order::Unordered {
            self.seen.remove(&last);
        }
        self.last = self.previous.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_more_paths_than_are_kept_in_a_table_knows_each_of_them() {
        let path = |number: usize| EntryPath::new(format!("{number}").into_bytes()).unwrap();
        let mut set = PathSet::default();
        let count = RECENT + RECENT / 2;
        for number in 0..count {
            set.insert(&path(number)).unwrap();
        }
        for number in [0, RECENT - 1, RECENT, count - 1] {
            assert_eq!(set.insert(&path(number)), Err(OrderError::Duplicate));
            set.remove(&path(number));
            assert!(!set.contains(&path(number)));
            set.insert(&path(number)).unwrap();
        }
        assert!(!set.contains(&path(count)));
    }
}
