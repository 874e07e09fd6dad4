//! Why the server does not start, or a command cannot get at the data directory.

use std::io;

use crate::catalog::CatalogError;
use crate::engine::EngineError;
use crate::executor::JobError;
use crate::storage::StorageError;

/// An error of starting or running.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data directory.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The catalog in it.
    #[error("the catalog {file}: {source}")]
    Catalog {
        /// The database file.
        file: String,
        /// What is wrong.
        source: CatalogError,
    },
    /// An instance of the configuration that no engine understands.
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
        /// Those there are.
        known: String,
    },
    /// Putting in order what the last process left.
    #[error("recovering what the last run left: {0}")]
    Recovery(#[from] JobError),
    /// The first token could not be made.
    #[error("writing the first admin token to {file}: {source}")]
    Token {
        /// Where to.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The address could not be listened on.
    #[error("listening on {address}: {source}; is another server running there?")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Threads or sockets.
    #[error("running the server: {0}")]
    Run(#[source] io::Error),
    /// The command works on a data directory that is there already.
    #[error("{path} holds no catalog; is data_dir right, and was the server ever started?")]
    NothingThere {
        /// Where one was looked for.
        path: String,
    },
}
