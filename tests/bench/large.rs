//! Sources much larger than Coffer's memory may be: its peak while they are backed up.

use std::path::Path;

use super::server::{Server, at, configure};
use super::table::Figures;
use super::{Outcome, Size, data};

/// Rows of the same names whatever the form: the size is in them.
pub(crate) fn rows(folder: &Path, size: &Size, figures: &mut Figures) -> Outcome<()> {
    let database = folder.join("large.db");
    let row = format!("large: a database of {} MiB", size.large_mib);
    eprintln!("{row}");
    data::make(&database, size.large_mib)?;
    peaks(folder, ("sqlite", &database), data::scatter, &row, figures)?;
    std::fs::remove_file(&database)?;

    let tree = folder.join("large-tree");
    let row = format!("large: a tree of {} files", size.large_files);
    eprintln!("{row}");
    // 4 KiB each, as in a mail store or a checkout.
    data::make_tree(&tree, size.large_files, size.large_files.div_ceil(256))?;
    peaks(folder, ("directory", &tree), data::change_tree, &row, figures)
}

/// Takes a full backup, one after nothing changed, and one after 1 % did.
fn peaks(
    folder: &Path,
    (engine, source): (&str, &Path),
    change: fn(&Path, u64) -> Outcome<()>,
    row: &str,
    figures: &mut Figures,
) -> Outcome<()> {
    let settings = "[auth]\nmode = \"none\"\n[executor]\nnice = 0\n";
    let configured = at(source);
    let instances = [("large", engine, "off", configured.as_str())];
    let name = format!("large-{engine}");
    let mut server = Server::start(&configure(folder, &name, settings, &instances)?)?;
    let full = server.backup("large", false)?;
    let unchanged = server.backup("large", true)?;
    change(source, 1)?;
    let changed = server.backup("large", true)?;
    for (kind, made) in [("full", &full), ("unchanged", &unchanged), ("1 % changed", &changed)] {
        figures.put(&format!("{row}: {kind}: peak RSS"), "MiB", made.own_mib);
        figures.put(&format!("{row}: {kind}: wall"), "s", made.cost.wall_s);
        figures.put(&format!("{row}: {kind}: stored"), "MiB", made.cost.stored_mib);
    }
    server.stop()?;
    Ok(std::fs::remove_dir_all(folder.join(name))?)
}
