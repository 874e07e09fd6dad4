//! The keys of an account, read anew for each request, so that they can be replaced while the server runs.

use std::path::{Path, PathBuf};

use rusty_s3::Credentials;

use crate::storage::Result;
use crate::storage::requests::key_file;

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// A credential that systemd handed over, which is protected by where it lies.
    Systemd(PathBuf),
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the environment.
    Environment,
    /// Requests are not signed.
    Nobody,
}

impl KeySource {
    pub(super) fn read(&self) -> Result<Option<Credentials>> {
        match self {
            Self::File(path) => read_file(path, true).map(Some),
            Self::Systemd(path) => read_file(path, false).map(Some),
            Self::Environment => Credentials::from_env().map(Some).ok_or_else(|| {
                let why = "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set; set both, or credentials_file of \
                           the place";
                key_file::incomplete("the environment", why)
            }),
            Self::Nobody => Ok(None),
        }
    }
}

fn read_file(path: &Path, is_private: bool) -> Result<Credentials> {
    parse(&key_file::read(path, is_private)?).ok_or_else(|| {
        let why = "it needs two lines: aws_access_key_id = … and aws_secret_access_key = …";
        key_file::incomplete(path.display().to_string(), why)
    })
}

/// Reads lines as in `~/.aws/credentials`; of several profiles the first.
fn parse(text: &str) -> Option<Credentials> {
    let (mut key, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        let slot = match name.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => &mut key,
            "aws_secret_access_key" => &mut secret,
            "aws_session_token" => &mut token,
            _ => continue,
        };
        slot.get_or_insert(value);
    }
    let (key, secret) = (key?, secret?);
    if key.is_empty() || secret.is_empty() {
        return None;
    }
    Some(match token.filter(|it| !it.is_empty()) {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_other_programs_write_them() {
        let text = "[default]\naws_access_key_id = AK\naws_secret_access_key=\"se=cret\"\n\n[other]\n\
                    aws_access_key_id = B\naws_session_token = t\n";
        let found = parse(text).unwrap();
        assert_eq!((found.key(), found.secret(), found.token()), ("AK", "se=cret", Some("t")));
        for bad in ["", "aws_access_key_id = A", "aws_access_key_id =\naws_secret_access_key = s"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_and_its_content_is_in_no_error() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test sets up files")]
        std::fs::write(file.path(), "top secret").unwrap();
        let source = KeySource::File(file.path().to_owned());
        let malformed = source.read().unwrap_err().to_string();
        assert!(malformed.contains("needs two lines") && !malformed.contains("top"), "{malformed}");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        let open = source.read().unwrap_err().to_string();
        assert!(open.contains("chmod 0600"), "{open}");
    }
}
