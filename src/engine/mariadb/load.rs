//! Restores: of a data directory, or of dumps. The first entry tells which.

use std::path::PathBuf;
use std::sync::Arc;

use super::Brand;
use super::dumps::Dumps;
use super::load_directory;
use super::load_server::IntoServer;
use super::options::Options;
use super::programs::Programs;
use crate::domain::{Cancel, CheckLevel, Entry, FailureCode, WriteAt};
use crate::engine::tree::{FolderLoad, Staging};
use crate::engine::{EngineError, Load, LoadOrder, Staged, Target};

#[derive(Debug)]
enum Destination {
    Path(PathBuf),
    Server(Box<Options>),
}

#[derive(Debug)]
enum State {
    /// Before the first entry. For a path, holds the target, which was free.
    Waiting(Option<Box<FolderLoad>>),
    DataDirectory(Box<FolderLoad>),
    /// For a path, with the staging folder in which the data directory will be made.
    Dumps(Dumps, Option<Staging>),
}

#[derive(Debug)]
pub(super) struct AnyLoad {
    destination: Destination,
    programs: Programs,
    cancel: Cancel,
    state: State,
}

impl AnyLoad {
    /// Makes sure that the target is free, or that the server is one of this engine.
    pub(super) fn prepare(brand: Brand, order: &LoadOrder<'_>) -> Result<Self, EngineError> {
        let (destination, state, programs) = match order.target {
            Target::Path(target) => {
                let folder = Some(Box::new(FolderLoad::prepare(order)?));
                let programs = Programs::of(brand, order.source);
                (Destination::Path(target.to_owned()), State::Waiting(folder), programs)
            }
            Target::Server(source) => {
                let options = Options::parse(brand, source)?;
                let programs = options.programs();
                (Destination::Server(Box::new(options)), State::Waiting(None), programs)
            }
        };
        Ok(Self { destination, programs, cancel: order.cancel.clone(), state })
    }

    /// A data directory begins with its root; dumps have none.
    fn begin(&self, first: &Entry, folder: Option<Box<FolderLoad>>) -> Result<State, EngineError> {
        if first.path.is_root() {
            return folder.map(State::DataDirectory).ok_or_else(|| {
                EngineError::known(
                    FailureCode::TargetDenied,
                    "the backup is a data directory and can only be restored to a path, not into a \
                     server: give --to PATH",
                )
            });
        }
        drop(folder);
        match &self.destination {
            Destination::Path(target) => {
                let staging = Staging::beside(target)?;
                Ok(State::Dumps(Dumps::new(staging.path().to_owned()), Some(staging)))
            }
            Destination::Server(_) => Ok(State::Dumps(Dumps::new(std::env::temp_dir()), None)),
        }
    }
}

impl Load for AnyLoad {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, EngineError> {
        if let State::Waiting(folder) = &mut self.state {
            let folder = folder.take();
            self.state = self.begin(entry, folder)?;
        }
        match &mut self.state {
            State::DataDirectory(folder) => folder.entry(entry),
            State::Dumps(dumps, _) => dumps.entry(entry),
            State::Waiting(_) => Ok(None),
        }
    }

    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        let Self { destination, programs, cancel, state } = *self;
        match (state, destination) {
            (State::DataDirectory(folder), _) => folder.finish(check),
            (State::Dumps(dumps, Some(staging)), Destination::Path(target)) => {
                load_directory::make(&programs, staging, target, &dumps, &cancel)
            }
            (State::Dumps(dumps, _), Destination::Server(options)) => {
                Ok(Box::new(IntoServer::prepare(&options, dumps, &cancel)?))
            }
            (State::Dumps(..) | State::Waiting(_), _) => {
                Err(EngineError::archive("the archive is empty"))
            }
        }
    }
}
