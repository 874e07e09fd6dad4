//! Where the tour takes place: a temporary folder with a configuration, a token and the data.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::{CommandError, terminal};
use crate::server::NewToken;

use super::failed;

/// The project everything belongs to.
pub(super) const PROJECT: &str = "demo";
/// The instance's name.
pub(super) const INSTANCE: &str = "shop";

/// So many times the database's size is in use at the worst moment: the database with its WAL, the archives,
/// three restored copies, and the one they are compared with.
const ROOM_NEEDED: u64 = 7;

/// The folder. Dropped, it is removed with all that is in it.
#[derive(Debug)]
pub(super) struct Stage {
    folder: TempDir,
    root: PathBuf,
    database: PathBuf,
    secret: NewToken,
}

impl Stage {
    /// Makes the folder and the files the server needs.
    pub(super) fn set(size_mib: u32) -> Result<Self, CommandError> {
        let doing = "making a temporary folder (TMPDIR says where)";
        let folder =
            tempfile::Builder::new().prefix("coffer-demo-").tempdir().map_err(failed(doing))?;
        let root = folder.path().canonicalize().map_err(failed(doing))?;
        enough_room(&root, size_mib)?;
        let database = root.join("shop").join("shop.db");
        std::fs::create_dir(root.join("shop")).map_err(failed(doing))?;
        let secret = NewToken::generate().map_err(failed("making a token"))?;
        let stage = Self { folder, root, database, secret };
        let config = stage.config()?;
        write(&stage.config_file(), &config)?;
        write(&stage.token_file(), &format!("{}\n", stage.secret()))?;
        Ok(stage)
    }

    fn config(&self) -> Result<String, CommandError> {
        let quoted = |path: &Path| {
            let text = path.to_str().ok_or_else(|| {
                CommandError::Failed(format!(
                    "{} is not UTF-8; set TMPDIR to a folder whose name is",
                    path.display()
                ))
            })?;
            // A JSON string is a TOML string, too.
            Ok::<_, CommandError>(serde_json::Value::from(text).to_string())
        };
        Ok(format!(
            "# Made by `coffer demo`.\n\
             data_dir = {data}\n\n\
             [server]\nlisten = \"127.0.0.1:0\"\nlog_level = \"info\"\n\n\
             [[auth.tokens]]\nname = \"demo\"\nproject_id = \"{PROJECT}\"\nroles = [\"member\"]\n\
             sha256 = \"{hash}\"\n\n\
             [[instances]]\nname = \"{INSTANCE}\"\nproject_id = \"{PROJECT}\"\nengine = \"sqlite\"\n\
             source = {{ path = {database} }}\n",
            data = quoted(&self.data_dir())?,
            hash = hex::encode(self.secret.sha256()),
            database = quoted(&self.database)?,
        ))
    }

    /// A path below the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The live database.
    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// What the server keeps.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// The server's configuration.
    pub(super) fn config_file(&self) -> PathBuf {
        self.path("coffer.toml")
    }

    /// What the server logs.
    pub(super) fn log_file(&self) -> PathBuf {
        self.path("server.log")
    }

    /// The token, for those who keep the folder.
    pub(super) fn token_file(&self) -> PathBuf {
        self.path("token")
    }

    /// The token's secret.
    pub(super) fn secret(&self) -> &str {
        self.secret.secret()
    }

    /// Leaves everything where it is.
    pub(super) fn keep(self) -> PathBuf {
        drop(self.folder.keep());
        self.root
    }

    /// Removes everything, and says so if that does not work.
    pub(super) fn remove(self) -> Result<(), CommandError> {
        let doing = format!("removing {}", self.root.display());
        self.folder.close().map_err(failed(doing))
    }
}

fn enough_room(folder: &Path, size_mib: u32) -> Result<(), CommandError> {
    let space = rustix::fs::statvfs(folder)
        .map_err(|errno| failed("asking for free space")(io::Error::from(errno)))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let needed = u64::from(size_mib).saturating_mul(ROOM_NEEDED << 20).saturating_add(64 << 20);
    if free >= needed {
        return Ok(());
    }
    Err(CommandError::Failed(format!(
        "the tour takes about {} in {} for a while, and {} are free; choose a smaller --size-mib, \
         or another place with TMPDIR",
        terminal::human(needed),
        folder.parent().unwrap_or(folder).display(),
        terminal::human(free)
    )))
}

/// Writes a new file for its owner's eyes only.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed(format!("writing {}", path.display())))
}
