//! A restore: of a data directory as it is, or of dumps. Which, the first entry tells.

use std::path::PathBuf;
use std::sync::Arc;

use super::Brand;
use super::dumps::Dumps;
use super::load_directory::{self, Making};
use super::load_server::IntoServer;
use super::options::{Options, programs_for};
use super::programs::Programs;
use crate::domain::{Cancel, CheckLevel, Entry, FailureCode, WriteAt};
use crate::engine::tree::{FolderLoad, Staging};
use crate::engine::{EngineError, Load, LoadOrder, Staged, Target};

/// Where the restore goes.
#[derive(Debug)]
enum Goal {
    Path(PathBuf),
    Server(Box<Options>),
}

#[derive(Debug)]
enum State {
    /// Nothing came yet. To a path: the target was found free.
    Waiting(Option<Box<FolderLoad>>),
    /// A data directory.
    Folder(Box<FolderLoad>),
    /// Dumps; to a path, beside the data directory that they will be loaded into.
    Dumps(Dumps, Option<Staging>),
}

/// A restore in progress.
#[derive(Debug)]
pub(super) struct AnyLoad {
    goal: Goal,
    programs: Programs,
    cancel: Cancel,
    state: State,
}

impl AnyLoad {
    /// Makes sure that the target is free, or that the server is one of this engine's.
    pub(super) fn prepare(brand: Brand, order: &LoadOrder<'_>) -> Result<Self, EngineError> {
        let (goal, state, programs) = match order.target {
            Target::Path(target) => {
                let folder = Some(Box::new(FolderLoad::prepare(order)?));
                let programs = programs_for(brand, order.source);
                (Goal::Path(target.to_owned()), State::Waiting(folder), programs)
            }
            Target::Server(source) => {
                let options = Options::parse(brand, source)?;
                let programs = options.programs();
                (Goal::Server(Box::new(options)), State::Waiting(None), programs)
            }
        };
        Ok(Self { goal, programs, cancel: order.cancel.clone(), state })
    }

    /// Decides by the first entry: a data directory begins with its root, dumps have none.
    fn begin(
        &mut self,
        first: &Entry,
        folder: Option<Box<FolderLoad>>,
    ) -> Result<State, EngineError> {
        if first.path.is_root() {
            return folder.map(State::Folder).ok_or_else(|| {
                EngineError::known(
                    FailureCode::TargetDenied,
                    "the backup is a data directory and is restored to a path, not into a server: give \
                     --to PATH",
                )
            });
        }
        drop(folder);
        match &self.goal {
            Goal::Path(target) => {
                let staging = Staging::beside(target)?;
                Ok(State::Dumps(Dumps::new(staging.path().to_owned()), Some(staging)))
            }
            Goal::Server(_) => Ok(State::Dumps(Dumps::new(std::env::temp_dir()), None)),
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
            State::Folder(folder) => folder.entry(entry),
            State::Dumps(dumps, _) => dumps.entry(entry),
            State::Waiting(_) => Ok(None),
        }
    }

    fn finish(self: Box<Self>, check: CheckLevel) -> Result<Box<dyn Staged>, EngineError> {
        let Self { goal, programs, cancel, state } = *self;
        match (state, goal) {
            (State::Folder(folder), _) => folder.finish(check),
            (State::Dumps(dumps, Some(staging)), Goal::Path(target)) => {
                let making = Making { programs: &programs, staging, target, cancel: &cancel };
                load_directory::make(making, &dumps)
            }
            (State::Dumps(dumps, _), Goal::Server(options)) => {
                Ok(Box::new(IntoServer::prepare(*options, dumps, cancel)?))
            }
            (State::Dumps(..) | State::Waiting(_), _) => {
                Err(EngineError::archive("there is nothing in the archive"))
            }
        }
    }
}
