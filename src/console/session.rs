//! Who is signed in. In memory only: after a restart everybody signs in again.
//!
//! A session's id is random and only its hash is kept, like that of the token it was begun with. What that token may do
//! is looked up at every request, so a token that is taken away or changed ends or changes its sessions at once. A token
//! of Keystone is asked about again as for the API: its sessions end within a minute after it was revoked, and with it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::catalog::{Catalog, CatalogError, Permission, Scope};
use crate::domain::{Caller, Origin, ProjectId, Role, Secret, Timestamp};
use crate::keystone::{Keystone, KeystoneError};

/// How long a session lasts without a request, and how long in any case.
const IDLE: Duration = Duration::from_secs(3600);
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Sessions at once; for one more, the one that has been idle for longest ends.
const MOST: usize = 256;

type Hash = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Hash, Open>>);

/// What a session was begun with.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    /// Nobody needs a token.
    Anybody,
    /// The SHA-256 of a token of Coffer.
    Token(Hash),
    /// A token of Keystone, which is asked about it with the token itself: so it is kept, in memory only.
    Keystone(Secret),
}

#[derive(Debug, Clone)]
struct Open {
    holder: Holder,
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
    pub(super) fn begin(&self, holder: Holder, now: Timestamp) -> Result<String, getrandom::Error> {
        let (id, form_token) = (hex::encode(random()?), random()?);
        let mut open = self.0.lock();
        open.retain(|_, it| !it.is_over(now));
        if open.len() >= MOST
            && let Some(idlest) = open.iter().min_by_key(|(_, it)| it.used).map(|(hash, _)| *hash)
        {
            open.remove(&idlest);
        }
        open.insert(hash(&id), Open { holder, form_token, begun: now, used: now });
        Ok(id)
    }

    /// The session with this id, if it is not over. While Keystone cannot be asked, one of its sessions may only be
    /// ended: `signs_out`.
    pub(super) async fn find(
        &self,
        id: &str,
        (catalog, keystone): (&Catalog, Option<&Keystone>),
        (origin, signs_out, now): (Origin, bool, Timestamp),
    ) -> Result<Option<Session>, KeystoneError> {
        let hash = hash(id);
        let Some(open) = self.open(&hash, now) else { return Ok(None) };
        let caller = match &open.holder {
            Holder::Anybody => Some(anybody()),
            Holder::Token(token) => catalog.caller_of(token),
            Holder::Keystone(token) => match caller_in_keystone(keystone, token.reveal()).await {
                Ok(caller) => Some(caller),
                Err(error) if error.is_about_token() => None,
                Err(_away) if signs_out => Some(nobody()),
                Err(error) => return Err(error),
            },
        };
        let Some(caller) = caller else {
            self.0.lock().remove(&hash);
            return Ok(None);
        };
        Ok(Some(Session { caller, form_token: open.form_token, origin, hash }))
    }

    /// What was begun under this hash, if it is not over; it is in use now.
    fn open(&self, hash: &Hash, now: Timestamp) -> Option<Open> {
        let mut all = self.0.lock();
        let open = all.get_mut(hash).filter(|it| !it.is_over(now))?;
        open.used = now;
        Some(open.clone())
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

/// Whose token of Keystone this is, if its tokens are taken.
pub(super) async fn caller_in_keystone(
    keystone: Option<&Keystone>,
    token: &str,
) -> Result<Arc<Caller>, KeystoneError> {
    match keystone {
        Some(keystone) => keystone.caller_of(token).await,
        None => Err(KeystoneError::Unknown),
    }
}

/// A caller who may do nothing.
fn nobody() -> Arc<Caller> {
    Arc::new(Caller { name: "nobody".to_owned(), project: None, roles: Vec::new() })
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
