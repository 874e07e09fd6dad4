//! SQLite and nothing else (skeleton).

/// skeleton
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// skeleton
    #[error("closed")]
    Closed,
}
