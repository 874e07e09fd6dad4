//! Archives on a local filesystem (skeleton).

/// skeleton
#[derive(Debug)]
pub struct Local {}
