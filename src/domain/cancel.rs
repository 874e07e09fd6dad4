//! Cancellation: a flag that long work checks between two segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the work in hand is to stop. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// A flag that is cancelled with this one, and can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), parent: Some(Arc::clone(&self.flag)) }
    }

    /// Tells everything that checks this flag, or a child of it, to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Release);
    }

    /// Whether this flag or its parent was cancelled.
    pub fn is_cancelled(&self) -> bool {
        let parent = self.parent.as_ref().is_some_and(|it| it.load(Ordering::Acquire));
        parent || self.flag.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::Cancel;

    #[test]
    fn a_child_is_cancelled_with_its_parent_and_never_the_other_way_round() {
        let parent = Cancel::default();
        let [one, other] = [parent.child(), parent.child()];
        one.cancel();
        let cancelled = [&parent, &one, &other].map(Cancel::is_cancelled);
        assert_eq!(cancelled, [false, true, false]);
        parent.cancel();
        assert!(other.is_cancelled());
    }
}
