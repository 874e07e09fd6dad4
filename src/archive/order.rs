//! In which order an archive's entries come, and that no path comes twice.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};

use super::error::{ArchiveError, Flaw};
use crate::domain::EntryPath;

/// An archive in no order has no more entries: 9 to 18 bytes of memory are held for each, by whoever writes or
/// reads it.
const MOST_UNORDERED: usize = 1 << 22;

/// In which order entries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In the order of [`EntryPath`]: each is greater than the one before.
    #[default]
    ByPath,
    /// In any order, as a server streams them.
    AsItComes,
}

/// Why an entry may not come now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is not greater than the one before.
    OutOfOrder,
    /// It was there already.
    Twice,
    /// There are too many already.
    TooMany,
}

impl Unfit {
    const fn text(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out of order",
            Self::Twice => "there twice",
            Self::TooMany => "one of more than 4 million entries in no order",
        }
    }

    /// As the fault of the engine that gave this entry.
    pub(super) fn given(self, path: &EntryPath) -> ArchiveError {
        let what = format!("{path} is {}", self.text());
        if self == Self::TooMany {
            ArchiveError::TooLarge(what)
        } else {
            ArchiveError::Misuse(what)
        }
    }

    /// As the fault of the archive it was found in.
    pub(super) fn found(self, path: &EntryPath) -> Flaw {
        Flaw(format!("in its index {path} is {}", self.text()))
    }
}

/// Paths as 64-bit hashes under a key of this set alone: nobody can make two that are taken for the same,
/// and chance does so in one of ten million archives of a million entries.
#[derive(Debug, Default)]
pub(super) struct PathSet {
    key: RandomState,
    hashes: HashSet<u64>,
}

impl PathSet {
    /// What the set knows of this path.
    pub(super) fn hash(&self, path: &EntryPath) -> u64 {
        self.key.hash_one(path.as_bytes())
    }

    /// Whether it was put in, and not taken out.
    pub(super) fn contains(&self, path: &EntryPath) -> bool {
        self.hashes.contains(&self.hash(path))
    }

    /// Puts a path in that is not there yet.
    pub(super) fn insert(&mut self, path: &EntryPath) -> Result<(), Unfit> {
        if self.hashes.len() >= MOST_UNORDERED {
            return Err(Unfit::TooMany);
        }
        if self.hashes.insert(self.hash(path)) { Ok(()) } else { Err(Unfit::Twice) }
    }

    fn remove(&mut self, path: &EntryPath) {
        self.hashes.remove(&self.hash(path));
    }
}

/// The paths of an archive as they come, written or read.
#[derive(Debug)]
pub(super) struct Sequence {
    order: Order,
    last: Option<EntryPath>,
    /// The one before the last.
    before: Option<EntryPath>,
    /// All of them, where order does not tell that one is new.
    known: PathSet,
}

impl Sequence {
    /// No path yet.
    pub(super) fn new(order: Order) -> Self {
        Self { order, last: None, before: None, known: PathSet::default() }
    }

    /// Takes the next path.
    pub(super) fn admit(&mut self, path: &EntryPath) -> Result<(), Unfit> {
        match self.order {
            Order::ByPath if self.last.as_ref().is_some_and(|last| last >= path) => {
                return Err(Unfit::OutOfOrder);
            }
            Order::ByPath => {}
            Order::AsItComes => self.known.insert(path)?,
        }
        self.before = self.last.replace(path.clone());
        Ok(())
    }

    /// Forgets the path that was taken last, once.
    pub(super) fn retract(&mut self) {
        let Some(last) = self.last.take() else { return };
        if self.order == Order::AsItComes {
            self.known.remove(&last);
        }
        self.last = self.before.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text).unwrap()
    }

    #[test]
    fn in_order_a_path_is_greater_than_the_one_before() {
        let mut paths = Sequence::new(Order::ByPath);
        for (given, outcome) in [
            ("b", Ok(())),
            ("b", Err(Unfit::OutOfOrder)),
            ("a", Err(Unfit::OutOfOrder)),
            ("b/a", Ok(())),
        ] {
            assert_eq!(paths.admit(&path(given)), outcome, "{given}");
        }
        paths.retract();
        assert_eq!(paths.admit(&path("b")), Err(Unfit::OutOfOrder));
        assert_eq!(paths.admit(&path("b/a")), Ok(()));
    }

    #[test]
    fn in_no_order_a_path_comes_once_unless_it_was_retracted() {
        let mut paths = Sequence::new(Order::AsItComes);
        for given in ["b", "a", "c"] {
            assert_eq!(paths.admit(&path(given)), Ok(()), "{given}");
        }
        assert_eq!(paths.admit(&path("b")), Err(Unfit::Twice));
        paths.retract();
        assert_eq!(paths.admit(&path("c")), Ok(()));
        assert_eq!(paths.admit(&path("a")), Err(Unfit::Twice));
    }
}
