//! Why the server does not start, or a command cannot open the data directory.

use std::io;

use crate::catalog::CatalogError;
use crate::engine::EngineError;
use crate::executor::JobError;
use crate::notify::NotifyError;
use crate::storage::StorageError;
use crate::tls::TlsError;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(
        "{path} has never been used, but storage.must_exist says that it was; is its disk mounted?"
    )]
    NeverUsed { path: String },
    #[error(
        "data_dir {path} {what}, but {file} remembers that another one was used before; is its disk mounted? If {path} is to be used from now on, remove {file} and start again"
    )]
    OtherDataDir { path: String, what: &'static str, file: String },
    #[error("storage.identity_file {file}: {source}")]
    IdentityFile { file: String, source: io::Error },
    #[error("the catalog {file}: {source}")]
    Catalog { file: String, source: CatalogError },
    /// The same, where the error names the file itself.
    #[error(transparent)]
    NamedCatalog(CatalogError),
    #[error("instance {name:?} of the configuration: {source}")]
    Instance { name: String, source: EngineError },
    #[error(
        "instance {name:?} of the configuration: there is no engine {engine:?}; there are {known}"
    )]
    NoEngine { name: String, engine: String, known: String },
    #[error("the channel {name:?} of the configuration's [[alerts]]: {source}")]
    Alert { name: String, source: NotifyError },
    /// What the previous process left unfinished could not be settled.
    #[error("recovering what the previous process left: {0}")]
    Recovery(#[from] JobError),
    #[error("server.tls of the configuration: {0}")]
    Tls(#[from] TlsError),
    #[error("writing the first admin token to {file}: {source}")]
    Token { file: String, source: io::Error },
    #[error("listening on {address}: {source}; {advice}")]
    Bind { address: String, source: io::Error, advice: &'static str },
    /// A thread or the HTTP server failed.
    #[error("running the server: {0}")]
    Run(#[source] io::Error),
    /// This user may not use the data directory or the catalog.
    #[error("{what}: permission denied; {mend}")]
    Denied { what: String, mend: String },
    /// The command needs a data directory that the server has used.
    #[error("there is no catalog {path}: {advice}")]
    NoCatalog { path: String, advice: String },
}

impl ServerError {
    /// Whether the configuration is wrong.
    pub const fn is_in_configuration(&self) -> bool {
        matches!(self, Self::Instance { .. } | Self::NoEngine { .. } | Self::Alert { .. })
    }
}
