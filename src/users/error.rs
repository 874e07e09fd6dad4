//! Why users cannot be read or changed, and why somebody is not signed in.

use std::error::Error;

#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The text is not that of a list of users.
    #[error("it is not a list of users: {0}")]
    Malformed(String),
    #[error("there is a user {0:?} already")]
    NameTaken(String),
    #[error("there is no user {0:?}")]
    NoSuchUser(String),
    #[error("{user:?} has an application credential {name:?} already")]
    CredentialTaken { user: String, name: String },
    #[error("there is no application credential {0:?}")]
    NoSuchCredential(String),
    #[error("{0}")]
    BadName(&'static str),
    #[error("{0}")]
    BadPassword(&'static str),
    #[error("a credential of a {has} cannot allow what a {wanted} may")]
    MoreThanUser { has: &'static str, wanted: &'static str },
    #[error("the system gave no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("the password was not hashed: {0}")]
    Hash(String),
    /// Where the list is kept.
    #[error("{0}")]
    Source(#[source] Box<dyn Error + Send + Sync>),
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Which part of it is wrong is not said to the client.
    #[error("the user, the password, the credential, the token or the project is not known")]
    NotKnown,
    /// As many others wait as may.
    #[error("too many others sign in at the moment")]
    Busy,
    #[error(transparent)]
    Failed(#[from] UsersError),
}
