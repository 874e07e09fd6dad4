//! Why a message was not delivered. None of it holds a secret.

use std::io;
use std::path::PathBuf;

pub type Result<T, E = NotifyError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum NotifyError {
    #[error("{path} cannot be read: {reason}", path = path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("{path} {why}", path = path.display())]
    Credential { path: PathBuf, why: String },
    /// The configuration of the channel makes no sense. The text names the key.
    #[error("{0}")]
    Settings(String),
    /// Nothing came back.
    #[error("{service}: {reason}")]
    NoAnswer { service: &'static str, reason: String },
    /// The receiver answered that it does not accept the message.
    #[error("{service} answered {status}{answer}", answer = quoted(answer))]
    Refused { service: &'static str, status: u16, answer: String },
    #[error("the mail server: {0}")]
    Mail(String),
    #[error("{program}: {why}", program = program.display())]
    Command { program: PathBuf, why: String },
}

/// What the receiver said, if it said anything.
fn quoted(answer: &str) -> String {
    if answer.is_empty() { String::new() } else { format!(": {answer}") }
}

impl NotifyError {
    /// Whether the receiver will never accept this message, though it may accept others.
    pub const fn is_about_the_message(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 413 | 415 | 422, .. })
    }
}
