//! Why a token is not taken.

/// The texts hold neither tokens nor addresses: clients read them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoneError {
    #[error("Keystone does not know the token")]
    Unknown,
    #[error("the token is for no project; ask Keystone for one that is for a project")]
    NoProject,
    #[error("none of the token's roles in its project allows anything here")]
    NoRole,
    /// As many tokens wait for Keystone as may.
    #[error("too many other tokens are being checked with Keystone")]
    Busy,
    /// It is not reached, or too slow.
    #[error("Keystone does not answer: {0}")]
    NoAnswer(String),
    /// It answers, but not what was asked.
    #[error("Keystone cannot check tokens: {0}")]
    BadAnswer(String),
    /// The certificates of the configuration cannot be used.
    #[error("Keystone is not asked: auth.keystone.ca_file {0}")]
    Authorities(String),
    #[error("Keystone is not asked: its threads have ended")]
    Ended,
}

impl KeystoneError {
    /// Whether this is what Keystone says of the token, and not that it says nothing.
    pub const fn is_about_token(&self) -> bool {
        matches!(self, Self::Unknown | Self::NoProject | Self::NoRole)
    }
}
