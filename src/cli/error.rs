//! Why a command failed, and the exit code that scripts see.

use std::env;
use std::fmt::Display;
use std::process;

use crate::catalog::CatalogError;
use crate::client::ClientError;
use crate::config::ConfigError;
use crate::domain::BackupId;
use crate::encryption::EncryptionError;
use crate::executor::JobError;
use crate::server::ServerError;

/// What scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: what was asked for does not exist.
    NotFound,
    /// 4: an archive or its data is damaged.
    Damaged,
    /// 5: restored, but for what the target refused.
    InPart,
    /// 6: restored, but not all of the data is sound.
    Warned,
    /// 7: something is wrong, or not backed up.
    NotSafe,
}

impl ExitCode {
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Damaged => 4,
            Self::InPart => 5,
            Self::Warned => 6,
            Self::NotSafe => 7,
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

pub(super) type Result<T, E = CommandError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The log has it already.
    #[error(transparent)]
    Logged(ServerError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("{error}{advice}", error = .0, advice = token_advice(.0))]
    Client(#[from] ClientError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    InPart(String),
    /// It was done, but the data is not all sound.
    #[error("{0}")]
    Warned(String),
    /// The report has it already.
    #[error("{0}")]
    NotSafe(String),
}

impl CommandError {
    /// The same, but for a backup that was not found: this says where it was looked for.
    pub(super) fn not_found_in(self, id: BackupId, place: &str) -> Self {
        if self.code() == ExitCode::NotFound && !self.names_a_link() {
            Self::NotFound(format!("{place} has no backup {id}"))
        } else {
            self
        }
    }

    /// Whether it says which backup of a chain is missing.
    const fn names_a_link(&self) -> bool {
        matches!(
            self,
            Self::Catalog(CatalogError::ChainBroken { .. })
                | Self::Job(
                    JobError::ChainBroken { .. }
                        | JobError::Catalog(CatalogError::ChainBroken { .. })
                )
        )
    }

    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => ExitCode::Usage,
            Self::Server(error) | Self::Logged(error) if error.is_in_configuration() => {
                ExitCode::Usage
            }
            Self::InPart(_) => ExitCode::InPart,
            Self::Warned(_) => ExitCode::Warned,
            Self::NotSafe(_) => ExitCode::NotSafe,
            Self::Damaged(_) | Self::Catalog(CatalogError::ChainBroken { damaged: true, .. }) => {
                ExitCode::Damaged
            }
            Self::Job(error) if error.is_damage() => ExitCode::Damaged,
            Self::Encryption(error) if error.is_damage() => ExitCode::Damaged,
            Self::NotFound(_) | Self::Catalog(CatalogError::ChainBroken { .. }) => {
                ExitCode::NotFound
            }
            Self::Catalog(error) if error.is_not_found() => ExitCode::NotFound,
            Self::Job(error) if error.is_not_found() => ExitCode::NotFound,
            Self::Client(error) if error.is_not_found() => ExitCode::NotFound,
            Self::Server(_)
            | Self::Logged(_)
            | Self::Job(_)
            | Self::Encryption(_)
            | Self::Catalog(_)
            | Self::Client(_)
            | Self::Failed(_) => ExitCode::Failed,
        }
    }
}

/// Which token was sent, if it is the fault.
fn token_advice(error: &ClientError) -> &'static str {
    if !error.is_unauthorized() {
        ""
    } else if env::var_os("COFFER_TOKEN").is_some() {
        "; the token sent is that of COFFER_TOKEN: set it to one of the server's configuration (coffer token new)"
    } else {
        "; the token sent is admin.token in the data directory of the configuration: is it this server's? Set \
         COFFER_TOKEN to another one"
    }
}

/// For `map_err`: an error with what was being done when it came.
pub(super) fn failed<E: Display>(doing: impl Display) -> impl FnOnce(E) -> CommandError {
    move |error| CommandError::Failed(format!("{doing}: {error}"))
}
