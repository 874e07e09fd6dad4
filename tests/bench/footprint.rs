//! What Coffer takes when it does nothing: bytes on the disk, memory, and the time of its start.

use std::path::Path;
use std::time::Duration;

use super::measure::{memory_of, mib, said, settle};
use super::server::{COFFER, Server, configure};
use super::table::Figures;
use super::{Outcome, Size, seed};

/// Starts that are measured.
const STARTS: usize = 5;

/// The rows.
pub(crate) fn rows(folder: &Path, size: &Size, figures: &mut Figures) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let binary = folder.join("coffer");
    said(&format!("strip -o '{}' '{COFFER}'", binary.display()));
    figures.put("footprint: stripped binary", "MiB", mib(std::fs::metadata(&binary)?.len()));
    for (name, rows) in [("empty", 0), ("large", size.rows)] {
        eprintln!("footprint: a catalog of {rows} rows");
        let auth = "[auth]\nmode = \"none\"\n";
        let config = configure(folder, name, auth, &[])?;
        Server::start(&config)?.stop()?;
        if rows > 0 {
            seed::backups(&folder.join(name).join("catalog.db"), rows)?;
        }
        for _start in 0..STARTS {
            settle(&[])?;
            let server = Server::start(&config)?;
            let row = format!("footprint: cold start to listening, {rows} rows");
            figures.put(&row, "ms", server.started_in.as_secs_f64() * 1000.0);
            // What it needs to start is given back within a second, or it is kept.
            std::thread::park_timeout(Duration::from_secs(1));
            let row = format!("footprint: idle RSS, {rows} rows");
            figures.put(&row, "MiB", memory_of(server.pid(), "VmRSS:")?);
            server.stop()?;
        }
    }
    Ok(())
}
