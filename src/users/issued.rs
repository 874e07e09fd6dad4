//! Tokens that were given out, in memory. Only their hashes are kept.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{Caller, ProjectId, Role, Timestamp};

use super::{Credential, PasswordHash, User};

/// Tokens at once. For one more, the one that ends first is forgotten.
const MOST: usize = 16_384;
/// Tokens of one user at once; the same.
const MOST_OF_USER: usize = 2048;

pub(super) type Hash = [u8; 32];

/// What somebody signed in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Password,
    ApplicationCredential,
    /// Another token.
    Token,
}

/// A token, as it was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub user_id: String,
    pub user_name: String,
    /// The user's own project.
    pub home: ProjectId,
    /// The user's own role.
    user_role: Role,
    password: PasswordHash,
    /// What it was given out for, if that is not the user alone.
    pub credential: Option<Credential>,
    /// The project that it is for; `None`: for none, and only good for asking for another one.
    pub project: Option<ProjectId>,
    /// What it allows there.
    pub role: Role,
    pub methods: Vec<Method>,
    pub audit_id: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    caller: Arc<Caller>,
}

impl Issued {
    pub(super) fn new(
        (user, credential): (&User, Option<&Credential>),
        project: Option<ProjectId>,
        methods: Vec<Method>,
        audit_id: String,
        (issued_at, expires_at): (Timestamp, Timestamp),
    ) -> Self {
        let role = credential.map_or(user.role, |it| it.role);
        let (name, roles) = (user.name.clone(), vec![role]);
        Self {
            user_id: user.id.clone(),
            user_name: user.name.clone(),
            home: user.project_id.clone(),
            user_role: user.role,
            password: user.password.clone(),
            credential: credential.cloned(),
            caller: Arc::new(Caller { name, project: project.clone(), roles }),
            project,
            role,
            methods,
            audit_id,
            issued_at,
            expires_at,
        }
    }

    /// Who sends it, if it is for a project.
    pub fn caller(&self) -> Option<Arc<Caller>> {
        self.project.as_ref().map(|_| Arc::clone(&self.caller))
    }

    /// Whether nothing that it was given out for has changed: a user who was removed or has another password, role or
    /// project, and a credential that was removed, end their tokens.
    pub(super) fn is_backed_by(&self, user: &User) -> bool {
        let same = user.id == self.user_id
            && user.name == self.user_name
            && user.project_id == self.home
            && user.role == self.user_role
            && user.password == self.password;
        same && self.credential.as_ref().is_none_or(|own| user.credentials.contains(own))
    }
}

/// All of them, by the hash of the token.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens(HashMap<Hash, Arc<Issued>>);

impl IssuedTokens {
    pub(super) fn add(&mut self, hash: Hash, token: Issued, now: Timestamp) {
        self.0.retain(|_, it| it.expires_at > now);
        let of_user = |it: &Issued| it.user_id == token.user_id;
        if self.0.values().filter(|it| of_user(it)).count() >= MOST_OF_USER {
            self.forget_first(of_user);
        } else if self.0.len() >= MOST {
            self.forget_first(|_any| true);
        }
        self.0.insert(hash, Arc::new(token));
    }

    /// Forgets the one that ends first.
    fn forget_first(&mut self, which: impl Fn(&Issued) -> bool) {
        let chosen = self.0.iter().filter(|(_, it)| which(it));
        if let Some(hash) = chosen.min_by_key(|(_, it)| it.expires_at).map(|(hash, _)| *hash) {
            self.0.remove(&hash);
        }
    }

    pub(super) fn find(&self, hash: &Hash, now: Timestamp) -> Option<&Arc<Issued>> {
        self.0.get(hash).filter(|it| it.expires_at > now)
    }

    pub(super) fn remove(&mut self, hash: &Hash) -> bool {
        self.0.remove(hash).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn user(name: &str) -> User {
        let password = PasswordHash::of_nobody().clone();
        User::new(name, "p".parse().unwrap(), Role::Member, password).unwrap()
    }

    fn token(user: &User, ends: u64) -> Issued {
        let begun = Timestamp::EARLIEST;
        let times = (begun, begun.plus(Duration::from_secs(ends)));
        Issued::new((user, None), None, vec![Method::Password], String::new(), times)
    }

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        hash
    }

    #[test]
    fn a_user_with_too_many_tokens_loses_those_that_end_first_and_others_lose_none() {
        let (alice, bob) = (user("alice"), user("bob"));
        let (mut tokens, now) = (IssuedTokens::default(), Timestamp::EARLIEST);
        tokens.add(hash(0), token(&bob, 10), now);
        for number in 1..=MOST_OF_USER + 1 {
            let ends = 100 + u64::try_from(number).unwrap();
            tokens.add(hash(number), token(&alice, ends), now);
        }
        assert!(tokens.find(&hash(1), now).is_none());
        assert!(tokens.find(&hash(2), now).is_some());
        assert!(tokens.find(&hash(MOST_OF_USER + 1), now).is_some());
        assert!(tokens.find(&hash(0), now).is_some());
    }

    #[test]
    fn a_token_ends_with_its_time_and_takes_no_room_after_it() {
        let alice = user("alice");
        let (mut tokens, now) = (IssuedTokens::default(), Timestamp::EARLIEST);
        tokens.add(hash(1), token(&alice, 10), now);
        let later = now.plus(Duration::from_secs(10));
        assert!(tokens.find(&hash(1), now).is_some());
        assert!(tokens.find(&hash(1), later).is_none());
        tokens.add(hash(2), token(&alice, 100), later);
        assert_eq!(tokens.0.len(), 1);
    }
}
