//! Who is signed in. In memory only: after a restart everybody signs in again.
//!
//! A session's id is random and only its hash is kept, like that of the token it was begun with. What that token may do
//! is looked up at every request, so a token that is taken away or changed ends or changes its sessions at once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::catalog::{Catalog, CatalogError, Permission, Scope};
use crate::domain::{Caller, Origin, ProjectId, Role, Timestamp};

/// How long a session lasts without a request, and how long in any case.
const IDLE: Duration = Duration::from_secs(3600);
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Sessions at once; for one more, the one that has been idle for longest ends.
const MOST: usize = 256;

type Hash = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Hash, Open>>);

#[derive(Debug, Clone)]
struct Open {
    /// The SHA-256 of the token; `None` where nobody needs one.
    token: Option<Hash>,
    form_token: Hash,
    begun: Timestamp,
    used: Timestamp,
}

/// A session, as a request has it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) caller: Arc<Caller>,
    /// What every form of its pages proves to know, and no other site does.
    form_token: Hash,
    origin: Origin,
    hash: Hash,
}

impl Sessions {
    /// Begins a session. Returns its id, for the cookie.
    pub(super) fn begin(
        &self,
        token: Option<Hash>,
        now: Timestamp,
    ) -> Result<String, getrandom::Error> {
        let (id, form_token) = (hex::encode(random()?), random()?);
        let mut open = self.0.lock();
        open.retain(|_, it| !it.is_over(now));
        if open.len() >= MOST
            && let Some(idlest) = open.iter().min_by_key(|(_, it)| it.used).map(|(hash, _)| *hash)
        {
            open.remove(&idlest);
        }
        open.insert(hash(&id), Open { token, form_token, begun: now, used: now });
        Ok(id)
    }

    /// The session with this id, if it is not over.
    pub(super) fn find(
        &self,
        id: &str,
        catalog: &Catalog,
        (origin, now): (Origin, Timestamp),
    ) -> Option<Session> {
        let hash = hash(id);
        let mut all = self.0.lock();
        let open = all.get_mut(&hash).filter(|it| !it.is_over(now))?;
        open.used = now;
        let open = open.clone();
        drop(all);
        let caller = match &open.token {
            Some(token) => catalog.caller_of(token),
            None => Some(anybody()),
        };
        let Some(caller) = caller else {
            self.0.lock().remove(&hash);
            return None;
        };
        Some(Session { caller, form_token: open.form_token, origin, hash })
    }

    pub(super) fn end(&self, session: &Session) {
        self.0.lock().remove(&session.hash);
    }
}

impl Open {
    fn is_over(&self, now: Timestamp) -> bool {
        self.used.plus(IDLE) < now || self.begun.plus(LONGEST) < now
    }
}

impl Session {
    /// The token for a form: a random mask, and the token under it. It is another text each time, so that how well a
    /// page can be compressed says nothing of it. Empty, and refused then, if there is no random number.
    pub(super) fn form_token(&self) -> String {
        let Ok(mask) = random() else { return String::new() };
        hex::encode([mask, under(mask, self.form_token)].concat())
    }

    /// Whether a form comes from a page of this session.
    pub(super) fn is_own_form(&self, form_token: &str) -> bool {
        let mut sent = [0; 64];
        if hex::decode_to_slice(form_token, &mut sent).is_err() {
            return false;
        }
        let (mask, masked) = sent.split_at(32);
        let (Ok(mask), Ok(masked)) = (mask.try_into(), masked.try_into()) else { return false };
        under(mask, masked).ct_eq(&self.form_token).into()
    }

    /// What the caller may do in a project.
    pub(super) fn scope_in<P: Permission>(
        &self,
        project: &ProjectId,
    ) -> Result<Scope<P>, CatalogError> {
        let scope = Scope::enter(Arc::clone(&self.caller), project.clone())?;
        Ok(scope.with_origin(self.origin))
    }

    /// What the caller may do in its own project; an administrator sees those of every other, too.
    pub(super) fn scope<P: Permission>(&self) -> Result<Scope<P>, CatalogError> {
        self.scope_in(&self.project())
    }

    pub(super) fn project(&self) -> ProjectId {
        let fallback = || "default".parse().expect("the name is one of a project");
        self.caller.project.clone().unwrap_or_else(fallback)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.caller.is_admin()
    }

    pub(super) fn may_write(&self) -> bool {
        self.caller.may_write()
    }
}

/// The caller where nobody needs a token.
fn anybody() -> Arc<Caller> {
    static ANYBODY: LazyLock<Arc<Caller>> = LazyLock::new(|| {
        let (name, roles) = ("anybody".to_owned(), vec![Role::Admin, Role::Member]);
        Arc::new(Caller { name, project: None, roles })
    });
    Arc::clone(&ANYBODY)
}

fn random() -> Result<Hash, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Puts a mask on, or takes it off.
fn under(mask: Hash, mut token: Hash) -> Hash {
    token.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    token
}

pub(super) fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}
