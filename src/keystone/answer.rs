//! What Keystone says of a token.

use serde::Deserialize;

use crate::domain::{ProjectId, Timestamp};

use super::KeystoneError;

/// A token, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) user: String,
    /// The domain of the user.
    pub(super) domain: String,
    /// `None`: it is for no project.
    pub(super) project: Option<ProjectId>,
    pub(super) roles: Vec<String>,
    pub(super) expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Document {
    token: Fields,
}

#[derive(Deserialize)]
struct Fields {
    user: User,
    project: Option<Project>,
    #[serde(default)]
    roles: Vec<Named>,
    expires_at: String,
}

#[derive(Deserialize)]
struct User {
    name: String,
    domain: Named,
}

#[derive(Deserialize)]
struct Project {
    id: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct VersionDocument {
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    id: String,
}

pub(super) fn token(body: &[u8]) -> Result<Token, KeystoneError> {
    let Document { token } = serde_json::from_slice(body).map_err(|_why| no_token())?;
    let project = token.project.map(|it| it.id.parse()).transpose();
    Ok(Token {
        user: token.user.name,
        domain: token.user.domain.name,
        project: project.map_err(|_malformed| {
            let why = "the token's project has an id that no project has here";
            KeystoneError::BadAnswer(why.to_owned())
        })?,
        roles: token.roles.into_iter().map(|it| it.name).collect(),
        expires_at: token.expires_at.parse().map_err(|_why| no_token())?,
    })
}

/// Not with the reason: it may repeat a part of the answer.
fn no_token() -> KeystoneError {
    KeystoneError::BadAnswer("its answer does not describe a token".to_owned())
}

/// The id of the version that the document describes.
pub(super) fn version(body: &[u8]) -> Result<String, KeystoneError> {
    let found = serde_json::from_slice::<VersionDocument>(body).ok().map(|it| it.version.id);
    found.filter(|it| it.starts_with("v3") && it.len() < 16).ok_or_else(|| {
        let why = "there is no identity API of version 3 at auth.keystone.auth_url";
        KeystoneError::BadAnswer(why.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPED: &str = r#"{"token": {"methods": ["password"], "expires_at": "2026-11-23T20:00:00.000000Z",
        "user": {"domain": {"id": "default", "name": "Default"}, "id": "u1", "name": "mia", "password_expires_at": null},
        "project": {"domain": {"id": "default", "name": "Default"}, "id": "11111111111111111111111111111111", "name": "demo"},
        "is_domain": false, "roles": [{"id": "r1", "name": "member"}, {"id": "r2", "name": "reader"}]}}"#;

    #[test]
    fn a_token_is_read_with_its_project_and_roles_or_without() {
        let read = token(SCOPED.as_bytes()).unwrap();
        assert_eq!((read.user.as_str(), read.domain.as_str()), ("mia", "Default"));
        assert_eq!(read.project.unwrap().as_str(), "1".repeat(32));
        assert_eq!(read.roles, ["member", "reader"]);
        assert_eq!(read.expires_at.to_wire(), "2026-11-23T20:00:00");
        let unscoped = r#"{"token": {"expires_at": "2026-11-23T20:00:00Z",
            "user": {"domain": {"name": "Default"}, "name": "mia"}}}"#;
        let read = token(unscoped.as_bytes()).unwrap();
        assert_eq!((read.project, read.roles), (None, Vec::new()));
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        for wrong in [
            "",
            "{}",
            "[1]",
            "<html>secret</html>",
            r#"{"token": {"user": "secret"}}"#,
            &SCOPED.replace("2026-11-23", "secret"),
            &SCOPED.replace("11111111111111111111111111111111", "secret/../x"),
        ] {
            let error = token(wrong.as_bytes()).unwrap_err();
            assert!(matches!(error, KeystoneError::BadAnswer(_)), "{error:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn only_version_3_is_taken() {
        assert_eq!(
            version(br#"{"version": {"id": "v3.14", "status": "stable"}}"#).unwrap(),
            "v3.14"
        );
        for wrong in [r#"{"version": {"id": "v2.0"}}"#, r#"{"versions": {"values": []}}"#, "x"] {
            assert!(version(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
