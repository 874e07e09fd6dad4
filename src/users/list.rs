//! The list of users, as it is kept in a file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::Role;

use super::user::{checked, rank};
use super::{Credential, NewSecret, PasswordHash, User, UsersError};

/// The version of the file's format.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserList(Vec<User>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    users: Vec<User>,
}

impl UserList {
    /// The list in this text, which has to make sense as a whole.
    pub fn parse(text: &[u8]) -> Result<Self, UsersError> {
        let malformed = |error: serde_json::Error| UsersError::Malformed(error.to_string());
        let document: Document = serde_json::from_slice(text).map_err(malformed)?;
        if document.version != VERSION {
            let why = format!("its version is {}, and only {VERSION} is known", document.version);
            return Err(UsersError::Malformed(why));
        }
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for user in &document.users {
            checked(&user.name)?;
            if !names.insert(&user.name) {
                return Err(UsersError::Malformed(format!("{:?} is in it twice", user.name)));
            }
            let own = user.credentials.iter().map(|it| &it.id);
            if !own.chain([&user.id]).all(|id| ids.insert(id)) {
                return Err(UsersError::Malformed(format!(
                    "an id of {:?} is in it twice",
                    user.name
                )));
            }
        }
        Ok(Self(document.users))
    }

    pub fn to_text(&self) -> Result<String, UsersError> {
        let document = Document { version: VERSION, users: self.0.clone() };
        let text = serde_json::to_string_pretty(&document);
        text.map(|it| it + "\n").map_err(|error| UsersError::Malformed(error.to_string()))
    }

    /// In the order they were added.
    pub fn all(&self) -> &[User] {
        &self.0
    }

    pub fn named(&self, name: &str) -> Option<&User> {
        self.0.iter().find(|it| it.name == name)
    }

    pub(super) fn with_id(&self, id: &str) -> Option<&User> {
        self.0.iter().find(|it| it.id == id)
    }

    /// The first credential that is meant, and its user.
    pub(super) fn credential(
        &self,
        is_meant: impl Fn(&User, &Credential) -> bool,
    ) -> Option<(&User, &Credential)> {
        let all = self.0.iter().flat_map(|user| user.credentials.iter().map(move |it| (user, it)));
        all.into_iter().find(|(user, it)| is_meant(user, it))
    }

    pub fn add(&mut self, user: User) -> Result<(), UsersError> {
        if self.named(&user.name).is_some() {
            return Err(UsersError::NameTaken(user.name));
        }
        self.0.push(user);
        Ok(())
    }

    /// Removes a user with all credentials.
    pub fn remove(&mut self, name: &str) -> Result<User, UsersError> {
        let at = self.0.iter().position(|it| it.name == name);
        at.map(|at| self.0.remove(at)).ok_or_else(|| UsersError::NoSuchUser(name.to_owned()))
    }

    pub fn set_password(&mut self, name: &str, password: PasswordHash) -> Result<(), UsersError> {
        self.named_mut(name)?.password = password;
        Ok(())
    }

    /// Adds a credential, which allows as much as its user may unless this says less. Its secret is known only now.
    pub fn add_credential(
        &mut self,
        user: &str,
        name: &str,
        role: Option<Role>,
    ) -> Result<(Credential, NewSecret), UsersError> {
        let user = self.named_mut(user)?;
        let role = role.unwrap_or(user.role);
        if rank(role) > rank(user.role) {
            let [has, wanted] = [user.role, role].map(Role::as_str);
            return Err(UsersError::MoreThanUser { has, wanted });
        }
        if user.credentials.iter().any(|it| it.name == name) {
            let (user, name) = (user.name.clone(), name.to_owned());
            return Err(UsersError::CredentialTaken { user, name });
        }
        let (credential, secret) = Credential::new(name, role)?;
        user.credentials.push(credential.clone());
        Ok((credential, secret))
    }

    /// Removes the credential with this id. Returns the name of its user, too.
    pub fn remove_credential(&mut self, id: &str) -> Result<(String, Credential), UsersError> {
        for user in &mut self.0 {
            if let Some(at) = user.credentials.iter().position(|it| it.id == id) {
                return Ok((user.name.clone(), user.credentials.remove(at)));
            }
        }
        Err(UsersError::NoSuchCredential(id.to_owned()))
    }

    fn named_mut(&mut self, name: &str) -> Result<&mut User, UsersError> {
        let found = self.0.iter_mut().find(|it| it.name == name);
        found.ok_or_else(|| UsersError::NoSuchUser(name.to_owned()))
    }
}
