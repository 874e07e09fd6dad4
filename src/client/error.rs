//! Why a request did not work.

/// A request that did not work. `request` is its method and path. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ClientError {
    /// The request could not be sent, or no response came.
    #[error("{request}: {cause}")]
    NoAnswer { request: String, cause: ureq::Error },
    /// The response has a status other than 2xx. `message` is the server's, or only "refused".
    #[error("{request}: {message} (status {status})")]
    Refused { request: String, status: u16, message: String },
    /// The status says success, but the body is not what was expected.
    #[error("{request}: the answer cannot be read: {cause}")]
    Unreadable { request: String, cause: ureq::Error },
}

impl ClientError {
    /// Whether the server does not know the token.
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// Whether the server says that what was asked for does not exist.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}
