//! The temporary folder with the database, the configuration and the data of the server.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::cli::error::{CommandError, Result, failed};
use crate::cli::terminal;

/// The project of everything: that of the first admin token.
pub(super) const PROJECT: &str = "default";
/// The instance's name.
pub(super) const INSTANCE: &str = "shop";

/// Paths below the folder.
pub(super) const DATABASE: &str = "shop/shop.db";
pub(super) const CONFIG: &str = "coffer.toml";
pub(super) const LOG: &str = "server.log";
/// The token that the server makes at its first start.
pub(super) const TOKEN: &str = "data/admin.token";

/// How many times the database's size is in use at most: the database with its WAL, the archives, three
/// restored copies, and the one they are compared with.
const SPACE_FACTOR: u64 = 7;

/// The folder. Dropped, it is removed with everything in it.
#[derive(Debug)]
pub(super) struct Workspace(TempDir);

impl Workspace {
    /// Makes the folder and the server's configuration.
    pub(super) fn create(size_mib: u32) -> Result<Self> {
        let doing = || failed("making a temporary folder (TMPDIR says where)");
        let parent = std::env::temp_dir().canonicalize().map_err(doing())?;
        require_free_space(&parent, size_mib)?;
        let folder = tempfile::Builder::new().prefix("coffer-demo-").tempdir_in(&parent);
        let workspace = Self(folder.map_err(doing())?);
        fs::create_dir(workspace.path(INSTANCE)).map_err(doing())?;
        // A JSON string is a TOML string, too.
        let quoted = |name: &str| {
            let path = workspace.path(name);
            path.to_str()
                .map(|text| json!(text))
                .ok_or(failed("TMPDIR is not UTF-8")(parent.display()))
        };
        let config = format!(
            "# Made by `coffer demo`.\n\
             data_dir = {}\n\n\
             [server]\nlisten = \"127.0.0.1:0\"\n\n\
             [catalog]\nbackup = false\n\n\
             [[instances]]\nname = \"{INSTANCE}\"\nproject_id = \"{PROJECT}\"\nengine = \"sqlite\"\n\
             source = {{ path = {} }}\n",
            quoted("data")?,
            quoted(DATABASE)?,
        );
        let mut file = File::create_new(workspace.path(CONFIG)).map_err(doing())?;
        file.write_all(config.as_bytes()).map_err(doing())?;
        Ok(workspace)
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    /// A path below the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Leaves everything where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.0.keep()
    }

    /// Removes everything.
    pub(super) fn remove(self) -> Result<()> {
        let doing = failed(format!("removing {}", self.root().display()));
        self.0.close().map_err(doing)
    }
}

fn require_free_space(folder: &Path, size_mib: u32) -> Result<()> {
    let space = rustix::fs::statvfs(folder).map_err(io::Error::from);
    let space = space.map_err(failed(format!("free space in {}", folder.display())))?;
    let free = crate::disk::free_bytes(&space);
    let needed = (u64::from(size_mib) * SPACE_FACTOR + 64) << 20;
    if free >= needed {
        return Ok(());
    }
    Err(CommandError::Failed(format!(
        "the demo needs about {} in {}, and {} are free; choose a smaller --size-mib, or another \
         place with TMPDIR",
        terminal::human(needed),
        folder.display(),
        terminal::human(free)
    )))
}
