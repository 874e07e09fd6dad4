//! A flag that a job looks at between two segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the work in hand is to be given up. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks every job that looks at this flag to stop at its next segment.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that was asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
