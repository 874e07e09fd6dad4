//! Sources much larger than Coffer's memory may be: its peak while they are backed up.

use std::path::Path;

use super::options::Options;
use super::server::{Server, at, configure};
use super::table::Results;
use super::{Outcome, data};

/// Rounds, if binaries are compared.
const ROUNDS: u64 = 3;

/// A source, and what changes in it.
struct Large<'a> {
    folder: &'a Path,
    engine: &'static str,
    source: &'a Path,
    change: fn(&Path, u64) -> Outcome<()>,
    row: String,
}

/// The names of the rows contain the size, so they differ between the short and the long form.
pub(crate) fn rows(folder: &Path, options: &Options, results: &mut Results) -> Outcome<()> {
    let source = &folder.join("large.db");
    let row = format!("large: a database of {} MiB", options.size.large_mib);
    eprintln!("{row}");
    data::make(source, options.size.large_mib)?;
    let large = Large { folder, engine: "sqlite", source, change: data::scatter, row };
    large.run(options, results)?;
    std::fs::remove_file(source)?;

    let source = &folder.join("large-tree");
    let files = options.size.large_files;
    let row = format!("large: a tree of {files} files");
    eprintln!("{row}");
    // 4 KiB each, as in a mail store or a checkout.
    data::make_tree(source, files, files.div_ceil(256))?;
    let large = Large { folder, engine: "directory", source, change: data::change_tree, row };
    large.run(options, results)
}

impl Large<'_> {
    fn run(&self, options: &Options, results: &mut Results) -> Outcome<()> {
        let rounds = if options.compares() { options.rounds.min(ROUNDS) } else { 1 };
        for round in 0..rounds {
            self.round(round, options, results)?;
        }
        Ok(())
    }

    /// Takes a full backup, one after nothing changed, and one after 1 % did.
    fn round(&self, round: u64, options: &Options, results: &mut Results) -> Outcome<()> {
        let settings = "[auth]\nmode = \"none\"\n[executor]\nnice = 0\n";
        let configured = at(self.source);
        let instances = [("large", self.engine, "off", configured.as_str())];
        let mut servers = Vec::new();
        for program in options.programs_in(round) {
            let name = format!("{}-{}-{round}", program.name, self.engine);
            servers.push(Server::start(
                program,
                &configure(self.folder, &name, settings, &instances)?,
            )?);
        }
        for (kind, incremental) in [("full", false), ("unchanged", true), ("1 % changed", true)] {
            if kind == "1 % changed" {
                (self.change)(self.source, 1 + round)?;
            }
            for server in &mut servers {
                let (backup, by) = (server.backup("large", incremental)?, server.program.name);
                let mut add = |what: &str, unit, figure| {
                    results.figure(&format!("{}: {kind}: {what}", self.row), by, unit, figure);
                };
                add("peak RSS", "MiB", backup.own_mib);
                add("wall", "s", backup.cost.wall_s);
                add("stored", "MiB", backup.cost.stored_mib);
            }
        }
        for server in servers {
            let data_dir = server.data_dir();
            server.stop()?;
            std::fs::remove_dir_all(data_dir)?;
        }
        Ok(())
    }
}
