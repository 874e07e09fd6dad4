//! The temporary folder with the database, the configuration and the data of the server.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::cli::error::{CommandError, failed};
use crate::cli::terminal;

/// The project of everything: that of the first admin token.
pub(super) const PROJECT: &str = "default";
/// The instance's name.
pub(super) const INSTANCE: &str = "shop";

/// How many times the database's size is in use at most: the database with its WAL, the archives, three
/// restored copies, and the one they are compared with.
const SPACE_FACTOR: u64 = 7;

/// The folder. Dropped, it is removed with everything in it.
#[derive(Debug)]
pub(super) struct Workspace {
    folder: TempDir,
    root: PathBuf,
}

impl Workspace {
    /// Makes the folder and the server's configuration.
    pub(super) fn create(size_mib: u32) -> Result<Self, CommandError> {
        let doing = || failed("making a temporary folder (TMPDIR says where)");
        let folder = tempfile::Builder::new().prefix("coffer-demo-").tempdir().map_err(doing())?;
        let root = folder.path().canonicalize().map_err(doing())?;
        require_free_space(&root, size_mib)?;
        let workspace = Self { folder, root };
        fs::create_dir(workspace.path("shop")).map_err(doing())?;
        let config = workspace.config()?;
        let file = File::create_new(workspace.config_file());
        file.and_then(|mut file| file.write_all(config.as_bytes())).map_err(doing())?;
        Ok(workspace)
    }

    fn config(&self) -> Result<String, CommandError> {
        // A JSON string is a TOML string, too.
        let quoted = |path: PathBuf| {
            let text = path.to_str().map(|text| json!(text));
            text.ok_or_else(|| failed("TMPDIR is not UTF-8")(path.display()))
        };
        Ok(format!(
            "# Made by `coffer demo`.\n\
             data_dir = {}\n\n\
             [server]\nlisten = \"127.0.0.1:0\"\n\n\
             [[instances]]\nname = \"{INSTANCE}\"\nproject_id = \"{PROJECT}\"\nengine = \"sqlite\"\n\
             source = {{ path = {} }}\n",
            quoted(self.path("data"))?,
            quoted(self.database())?,
        ))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The live database.
    pub(super) fn database(&self) -> PathBuf {
        self.path("shop/shop.db")
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.path("coffer.toml")
    }

    /// What the server logs.
    pub(super) fn log_file(&self) -> PathBuf {
        self.path("server.log")
    }

    /// The token that the server makes at its first start.
    pub(super) fn token_file(&self) -> PathBuf {
        self.path("data/admin.token")
    }

    /// Leaves everything where it is.
    pub(super) fn keep(self) -> PathBuf {
        drop(self.folder.keep());
        self.root
    }

    /// Removes everything.
    pub(super) fn remove(self) -> Result<(), CommandError> {
        self.folder.close().map_err(failed(format!("removing {}", self.root.display())))
    }
}

fn require_free_space(folder: &Path, size_mib: u32) -> Result<(), CommandError> {
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
        folder.parent().unwrap_or(folder).display(),
        terminal::human(free)
    )))
}
