//! What this thread's log lines are about: ids that lines of JSON carry as keys of their own.

use std::cell::RefCell;
use std::fmt::Display;

thread_local! {
    static SUBJECTS: RefCell<Vec<(&'static str, String)>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, the lines that its thread logs have this key.
#[derive(Debug)]
#[must_use = "lines have the key only while this lives"]
pub struct Subject(());

impl Subject {
    /// Lines are about the backup, instance or request with this id. `key` is `backup_id` and the like.
    pub fn new(key: &'static str, id: impl Display) -> Self {
        SUBJECTS.with_borrow_mut(|it| it.push((key, id.to_string())));
        Self(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        SUBJECTS.with_borrow_mut(Vec::pop);
    }
}

/// The keys of this thread, in the order they were added.
pub(super) fn keys() -> Vec<(&'static str, String)> {
    SUBJECTS.with_borrow(Clone::clone)
}
