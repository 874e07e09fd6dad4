//! Who logs in, read again for each login, so that it can be replaced while the server runs.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::storage::Result;
use crate::storage::requests::key_file;

const MISSING: &str = "it needs OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET; or OS_USERNAME, \
                       OS_PASSWORD and OS_PROJECT_NAME; or, for a store without Keystone, ST_USER and ST_KEY";

/// Where the names and the secrets of a login are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginSource {
    /// A file that only its owner may read, with lines like those of an `openrc`.
    File(PathBuf),
    /// A credential that systemd handed over, which is protected by where it lies.
    Systemd(PathBuf),
    /// The same names in the environment.
    Environment,
}

/// A login. It has no `Debug`, because it holds a secret.
pub(super) enum Login {
    /// With a user and a key at a store's own `/auth/v1.0`.
    Legacy { user: String, key: String },
    /// At Keystone: what it is asked with.
    Keystone(Value),
}

impl LoginSource {
    pub(super) fn read(&self) -> Result<Login> {
        match self {
            Self::File(path) => of_file(path, true),
            Self::Systemd(path) => of_file(path, false),
            Self::Environment => login(|name| env::var(name).ok())
                .ok_or_else(|| key_file::incomplete("the environment", MISSING)),
        }
    }
}

fn of_file(path: &Path, is_private: bool) -> Result<Login> {
    let values = parse(&key_file::read(path, is_private)?);
    login(|name| values.get(name).cloned())
        .ok_or_else(|| key_file::incomplete(path.display().to_string(), MISSING))
}

/// Reads lines like `export OS_USERNAME="coffer"`.
fn parse(text: &str) -> HashMap<String, String> {
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once('=')?;
        let name = name.trim_start_matches("export ").trim();
        let value = value.trim();
        let quoted = |mark| value.strip_prefix(mark).and_then(|it| it.strip_suffix(mark));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(pair).collect()
}

fn login(value: impl Fn(&str) -> Option<String>) -> Option<Login> {
    let value = |name: &str| value(name).filter(|it| !it.is_empty());
    let domain = |of: &str| match (
        value(&format!("OS_{of}_DOMAIN_ID")),
        value(&format!("OS_{of}_DOMAIN_NAME")),
    ) {
        (Some(id), _) => json!({ "id": id }),
        (None, Some(name)) => json!({ "name": name }),
        (None, None) => json!({ "id": "default" }),
    };
    let application =
        value("OS_APPLICATION_CREDENTIAL_ID").zip(value("OS_APPLICATION_CREDENTIAL_SECRET"));
    if let Some((id, secret)) = application {
        let application = json!({ "id": id, "secret": secret });
        let methods = ["application_credential"];
        return Some(Login::Keystone(
            json!({ "auth": { "identity": { "methods": methods, "application_credential": application } } }),
        ));
    }
    if let Some(password) = value("OS_PASSWORD") {
        let user = match (value("OS_USER_ID"), value("OS_USERNAME")) {
            (Some(id), _) => json!({ "id": id, "password": password }),
            (None, name) => {
                json!({ "name": name?, "password": password, "domain": domain("USER") })
            }
        };
        let project = match (
            value("OS_PROJECT_ID"),
            value("OS_PROJECT_NAME").or_else(|| value("OS_TENANT_NAME")),
        ) {
            (Some(id), _) => json!({ "id": id }),
            (None, name) => json!({ "name": name?, "domain": domain("PROJECT") }),
        };
        let identity = json!({ "methods": ["password"], "password": { "user": user } });
        return Some(Login::Keystone(
            json!({ "auth": { "identity": identity, "scope": { "project": project } } }),
        ));
    }
    let (user, key) = value("ST_USER").zip(value("ST_KEY"))?;
    Some(Login::Legacy { user, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Login> {
        let values = parse(text);
        login(|name| values.get(name).cloned())
    }

    #[test]
    fn a_login_is_read_from_lines_as_other_programs_write_them() {
        let text = "# from the dashboard\nexport OS_USERNAME=\"coffer\"\nexport OS_PASSWORD='se=\"cret'\n\
                    OS_PROJECT_NAME=backups\nOS_USER_DOMAIN_NAME=Default\n";
        let Some(Login::Keystone(found)) = read(text) else { panic!("it is a login by password") };
        let expected = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": "coffer", "password": "se=\"cret", "domain": { "name": "Default" } } } },
            "scope": { "project": { "name": "backups", "domain": { "id": "default" } } },
        } });
        assert_eq!(found, expected);
        let text = "OS_APPLICATION_CREDENTIAL_ID=i\nOS_APPLICATION_CREDENTIAL_SECRET=s\n";
        let Some(Login::Keystone(found)) = read(text) else {
            panic!("it is an application's login")
        };
        assert_eq!(
            found["auth"]["identity"]["application_credential"],
            json!({ "id": "i", "secret": "s" })
        );
        assert!(found["auth"].get("scope").is_none(), "its project is known");
        let Some(Login::Legacy { user, key }) = read("ST_USER=a:b\nST_KEY=k") else {
            panic!("it is an old one")
        };
        assert_eq!((user.as_str(), key.as_str()), ("a:b", "k"));
        for bad in
            ["", "ST_USER=a", "OS_PASSWORD=p\nOS_USERNAME=u", "OS_USERNAME=u\nOS_PROJECT_NAME=p"]
        {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
