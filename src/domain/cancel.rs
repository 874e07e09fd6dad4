//! A flag that a job looks at between two segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the work in hand is to be given up. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    above: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// A flag of its own that is also asked whenever this one is.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { flag: Arc::default(), above: Some(Arc::clone(&self.flag)) }
    }

    /// Asks every job that looks at this flag to stop at its next segment.
    pub fn ask(&self) {
        self.flag.store(true, Ordering::Release);
    }

    /// Whether that was asked.
    pub fn is_asked(&self) -> bool {
        let above = self.above.as_ref().is_some_and(|it| it.load(Ordering::Acquire));
        above || self.flag.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::Cancel;

    #[test]
    fn a_flag_below_follows_the_one_above_and_never_the_other_way() {
        let above = Cancel::default();
        let [one, other] = [above.below(), above.below()];
        one.ask();
        let asked = [&above, &one, &other].map(Cancel::is_asked);
        assert_eq!(asked, [false, true, false]);
        above.ask();
        assert!(other.is_asked());
    }
}
