//! New tokens, and the first one, made when there is none.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::config::{AuthMode, Config};
use crate::disk;
use crate::domain::{Caller, ProjectId, Role};
use crate::executor::Context;

use super::ServerError;
use super::open::in_catalog;

/// The file of the first admin token, in the data directory.
pub const ADMIN_TOKEN: &str = "admin.token";

/// A new token: 256 random bits.
pub struct NewToken(String);

/// Never shows the secret.
impl fmt::Debug for NewToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("NewToken(***)")
    }
}

impl NewToken {
    /// A token from the system's random source.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub fn secret(&self) -> &str {
        &self.0
    }

    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Makes an admin token if tokens are required and there is none, and logs where it is. A catalog that came from a backup, on another
/// machine, knows tokens whose secrets burned with the first one: then there is none in the data directory, and one is made too.
pub(super) fn make_first(config: &Config, context: &Context) -> Result<(), ServerError> {
    if config.auth.mode == AuthMode::None {
        log::info!("authentication is off: everyone on this machine may do everything");
        return Ok(());
    }
    let known = context.catalog.token_count().map_err(|error| in_catalog(config, error))?;
    let path = config.data_dir.join(ADMIN_TOKEN);
    if !config.auth.tokens.is_empty() || known > 0 && path.exists() {
        return Ok(());
    }
    let failed = |source| ServerError::Token { file: path.display().to_string(), source };
    // A catalog that was lost does not know the token that clients have.
    let (token, action) = match disk::read_small(&path) {
        Ok(secret) if !secret.trim().is_empty() => (NewToken(secret.trim().to_owned()), "kept the"),
        _ => (NewToken::generate().map_err(failed)?, "made an"),
    };
    // The file first: after a crash in between, the next start finds the token there.
    write_secret(&config.data_dir, &path, token.secret()).map_err(failed)?;
    let project: ProjectId = "default".parse().expect("a word is a project id");
    let caller =
        Caller { name: "admin".to_owned(), project: Some(project), roles: vec![Role::Admin] };
    let stored = context.catalog.add_token(caller, token.sha256()).wait();
    stored.map_err(|error| in_catalog(config, error))?;
    log::info!("no token is configured: {action} admin token, see {}", path.display());
    Ok(())
}

/// Writes a file that only its owner can read, atomically.
fn write_secret(folder: &Path, path: &PathBuf, secret: &str) -> io::Result<()> {
    let mut file = NamedTempFile::with_prefix_in(".admin.token-", folder)?;
    disk::give_to_owner_of(std::fs::File::open(folder)?, file.as_file())?;
    writeln!(file, "{secret}")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
