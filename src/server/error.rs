//! Why the server does not start, or a command cannot open the data directory.

use std::io;

use crate::catalog::CatalogError;
use crate::engine::EngineError;
use crate::executor::JobError;
use crate::storage::StorageError;

/// An error of starting or running the server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data directory cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The catalog cannot be used.
    #[error("the catalog {file}: {source}")]
    Catalog {
        /// The database file.
        file: String,
        /// What is wrong.
        source: CatalogError,
    },
    /// An instance whose source its engine does not accept.
    #[error("instance {name:?} of the configuration: {source}")]
    Instance {
        /// Its name.
        name: String,
        /// What is wrong.
        source: EngineError,
    },
    /// An instance that names an engine this build does not have.
    #[error(
        "instance {name:?} of the configuration: there is no engine {engine:?}; there are {known}"
    )]
    NoEngine {
        /// The instance's name.
        name: String,
        /// What it names.
        engine: String,
        /// The engines of this build.
        known: String,
    },
    /// What the previous process left unfinished could not be settled.
    #[error("recovering what the previous process left: {0}")]
    Recovery(#[from] JobError),
    /// The first token could not be made.
    #[error("writing the first admin token to {file}: {source}")]
    Token {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Listening on the address failed.
    #[error("listening on {address}: {source}; is another server running there?")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A thread or the HTTP server failed.
    #[error("running the server: {0}")]
    Run(#[source] io::Error),
    /// The catalog exists but cannot be opened.
    #[error(
        "the catalog {path}: {source}; run this as root, or as the user that runs the server (sudo -u coffer coffer …)"
    )]
    CatalogUnreadable {
        /// The database file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command needs a data directory that the server has used.
    #[error("{path} holds no catalog; is data_dir right, and was the server ever started?")]
    NoCatalog {
        /// The missing file.
        path: String,
    },
}
