//! Cancellation: a flag that long work checks between two segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether the work in hand is to stop. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<Self>>,
    deadline: Option<Instant>,
}

impl Cancel {
    /// A flag that is cancelled with this one, and can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), parent: Some(Arc::new(self.clone())), deadline: None }
    }

    /// The same, which is also cancelled after this time.
    #[must_use]
    pub fn child_within(&self, limit: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(limit), ..self.child() }
    }

    /// Tells everything that checks this flag, or a child of it, to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Release);
    }

    /// Whether this flag or one above it was cancelled, or its time is over.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Acquire)
            || self.parent.as_ref().is_some_and(|it| it.is_cancelled())
            || self.deadline.is_some_and(|at| Instant::now() >= at)
    }
}
