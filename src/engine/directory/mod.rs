//! Trees of files. A backup is a sorted walk, a restore a new folder.
//!
//! Each file is opened once, relative to the folder it is in, and never through a symbolic link. A file that changes
//! while it is read is read again; one that keeps changing is kept as it was read, and listed. Sockets, pipes and
//! devices are skipped, and listed too.

mod content;
mod dump;
mod extents;
mod inode_flags;
mod options;
mod walk;
mod write_back;

use std::path::PathBuf;

use self::options::Options;
use super::file_name::folder_name;
use super::tree::FolderLoad;
use super::{
    Counted, DrillReport, DrillRequest, DumpFacts, DumpRequest, Engine, EngineError, InPlace,
    Intake, Load, LoadRequest, Probe, Pulse, mounts, source_path,
};
use crate::domain::Source;

/// A placeholder: trees have no version.
const VERSION: &str = "1";

#[derive(Debug, Clone, Copy)]
pub(super) struct Directory;

impl Engine for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn version(&self, _source: &Source) -> String {
        VERSION.to_owned()
    }

    fn check_source(&self, source: &Source) -> Result<(), EngineError> {
        source_path::require_absolute(source)?;
        Options::parse(source).map(drop)
    }

    fn probe(&self, source: &Source) -> Result<Probe, EngineError> {
        let totals = walk::totals(&Options::parse(source)?, None, &Pulse::default())?;
        Ok(Probe {
            version: VERSION.to_owned(),
            source_bytes: totals.bytes,
            notes: vec![format!("members: {}", totals.members)],
            left_out: Probe::lines_of(&totals.skipped),
            ..Probe::default()
        })
    }

    fn require_there(&self, source: &Source) -> Result<(), EngineError> {
        let Options { path, answer_wait, .. } = Options::parse(source)?;
        mounts::require_answer(&path, answer_wait)?;
        walk::open_root(&path).map(drop)
    }

    fn foretell(&self, source: &Source) -> Result<Vec<String>, EngineError> {
        self.probe(source).map(|it| it.left_out)
    }

    /// The size of the memory pages that files are usually written in.
    fn page_bytes(&self) -> u32 {
        4096
    }

    fn dump(
        &self,
        request: &DumpRequest<'_>,
        intake: &mut dyn Intake,
    ) -> Result<DumpFacts, EngineError> {
        dump::dump(request, intake)
    }

    fn load(&self, request: &LoadRequest<'_>) -> Result<Box<dyn Load>, EngineError> {
        Ok(Box::new(FolderLoad::prepare(request)?))
    }

    /// The restore has compared every byte. What is left to check is that the tree can be walked.
    fn drill(&self, request: &DrillRequest<'_>) -> Result<DrillReport, EngineError> {
        let source = self.source_of(request.restored);
        let members = walk::totals(&Options::parse(&source)?, None, &Pulse::default())?.members;
        let mut report = DrillReport {
            version: VERSION.to_owned(),
            check: "walk".to_owned(),
            counted: Counted::Members,
            ..DrillReport::default()
        };
        report.count("members", members);
        Ok(report)
    }

    fn in_place(&self) -> Option<InPlace> {
        Some(InPlace { is_folder: true, companions: &[] })
    }

    fn target_name(&self, instance_name: &str) -> PathBuf {
        folder_name(instance_name, "tree").into()
    }

    fn restore_hints(&self, _instance_name: &str, _source: &Source) -> Vec<String> {
        vec![
            "# The tree, with modes, times and links (owners too, if tar ran as root):".to_owned(),
            "ls -la restored/data".to_owned(),
            "# Put it where it belongs, which must not exist yet:".to_owned(),
            "mv -nT restored/data /path/of/the/folder".to_owned(),
        ]
    }
}
