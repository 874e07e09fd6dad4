//! Writes that were handed to the catalog and that nobody waits for: a commit takes as long as a disk takes to sync. A
//! later tick takes their answers.

use crate::catalog::{Reply, Result};

/// Writes, each with what it is about, in the order in which they were handed over.
#[derive(Debug)]
pub(super) struct Handed<K, T>(Vec<(K, Reply<T>)>);

impl<K, T> Default for Handed<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K, T> Handed<K, T> {
    pub(super) fn push(&mut self, about: K, reply: Reply<T>) {
        self.0.push((about, reply));
    }

    /// Whether all answers were taken.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their answers are of no interest any more. They are made all the same.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The answers that are there: each is durable, or refused.
    pub(super) fn answered(&mut self) -> Vec<(K, Result<T>)> {
        let mut answered = Vec::new();
        for (about, mut reply) in std::mem::take(&mut self.0) {
            match reply.answer() {
                Some(answer) => answered.push((about, answer)),
                None => self.0.push((about, reply)),
            }
        }
        answered
    }
}
