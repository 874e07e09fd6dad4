//! Restores: of a data directory, or of dumps. The first entry tells which.

use std::path::PathBuf;
use std::sync::Arc;

use super::Brand;
use super::dumps::{Dumps, require_dump};
use super::load_directory;
use super::load_server::IntoServer;
use super::options::Options;
use super::programs::Programs;
use crate::domain::{Cancel, CheckLevel, Entry, FailureCode, WriteAt};
use crate::engine::tree::{FolderLoad, damaged_dumps};
use crate::engine::{EngineError, Load, LoadRequest, Result, Staged, Target};

#[derive(Debug)]
enum Destination {
    Path(PathBuf),
    Server(Box<Options>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    DataDirectory,
    Dumps,
}

#[derive(Debug)]
pub(super) struct AnyLoad {
    folder: FolderLoad,
    destination: Destination,
    programs: Programs,
    cancel: Cancel,
    /// Known from the first entry on: a data directory begins with its root; dumps have none.
    content: Option<Content>,
}

impl AnyLoad {
    /// Makes sure that the target is free. Dumps for a server are kept with the temporary files until they are
    /// loaded.
    pub(super) fn prepare(brand: Brand, request: &LoadRequest<'_>) -> Result<Self> {
        let (folder, destination, programs) = match request.target {
            Target::Path(target) => {
                let destination = Destination::Path(target.to_owned());
                (FolderLoad::prepare(request)?, destination, Programs::of(brand, request.source))
            }
            Target::Database(_) => {
                return Err(EngineError::known(
                    FailureCode::TargetDenied,
                    "a backup of this engine replaces no database of a server by itself: name a path in staging.to",
                ));
            }
            Target::Server { source, within } => {
                let options = Options::parse(brand, source)?;
                let programs = options.programs();
                let folder = FolderLoad::beside(&within.join("dumps"))?;
                (folder, Destination::Server(Box::new(options)), programs)
            }
        };
        Ok(Self { folder, destination, programs, cancel: request.cancel.clone(), content: None })
    }
}

impl Load for AnyLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>> {
        let first = if entry.path.is_root() { Content::DataDirectory } else { Content::Dumps };
        match (*self.content.get_or_insert(first), &self.destination) {
            (Content::DataDirectory, Destination::Path(_)) => {}
            (Content::Dumps, _) => require_dump(entry)?,
            (Content::DataDirectory, Destination::Server(_)) => {
                return Err(EngineError::known(
                    FailureCode::TargetDenied,
                    "the backup is a data directory and can only be restored to a path, not into a \
                     server: give --to PATH",
                ));
            }
        }
        self.folder.entry(entry)
    }

    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>> {
        let Self { folder, destination, programs, cancel, content } = *self;
        match (content, destination) {
            (None, _) => Err(EngineError::archive("the archive is empty")),
            (Some(Content::DataDirectory), _) => Box::new(folder).finish(check),
            (Some(Content::Dumps), Destination::Path(target)) => load_directory::make(
                &programs,
                Dumps::new(folder.into_staging()?)?,
                target,
                &cancel,
            ),
            (Some(Content::Dumps), Destination::Server(options)) => {
                let dumps = Dumps::new(folder.into_staging()?)?;
                Ok(Box::new(IntoServer::prepare(&options, dumps, &cancel)?))
            }
        }
    }

    fn finish_salvaged(self: Box<Self>) -> Result<Box<dyn Staged>> {
        match self.destination {
            Destination::Path(_) => Box::new(self.folder).finish(CheckLevel::Off),
            Destination::Server(_) => Err(damaged_dumps()),
        }
    }
}
