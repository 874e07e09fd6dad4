//! Why a request did not work.

/// A request that did not work. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There was no answer.
    #[error("{request}: {cause}")]
    NoAnswer {
        /// Method and path.
        request: String,
        /// What happened instead.
        cause: ureq::Error,
    },
    /// The server refused.
    #[error("{request}: {message} (status {status})")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The server's sentence.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("{request}: the answer cannot be read: {cause}")]
    Unreadable {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        cause: ureq::Error,
    },
}

impl ClientError {
    /// Whether the server says that what was asked for does not exist.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}
