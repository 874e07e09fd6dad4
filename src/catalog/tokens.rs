//! Tokens: which secret is whose. Secrets are never kept, only their SHA-256.

use std::sync::Arc;

use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Catalog, Reply, Result};
use crate::domain::{Action, Actor, Caller, Event, IssuedTokenSource};
use crate::store::TokenRecord;

/// A token. Its caller is shared with the requests that show it.
#[derive(Debug)]
struct Known {
    caller: Arc<Caller>,
    sha256: [u8; 32],
}

impl From<TokenRecord> for Known {
    fn from(TokenRecord { caller, sha256 }: TokenRecord) -> Self {
        Self { caller: Arc::new(caller), sha256 }
    }
}

/// Every token, in memory: each request needs them.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    configured: RwLock<Vec<Known>>,
    stored: RwLock<Vec<Known>>,
    /// Those that users get when they sign in.
    issued: RwLock<Option<Arc<dyn IssuedTokenSource>>>,
}

impl Tokens {
    pub(super) fn stored(stored: Vec<TokenRecord>) -> Self {
        let stored = stored.into_iter().map(Known::from).collect();
        Self { stored: RwLock::new(stored), ..Self::default() }
    }

    fn add(&self, token: TokenRecord) {
        let mut stored = self.stored.write();
        stored.retain(|it| it.caller.name != token.caller.name);
        stored.push(token.into());
    }

    /// Compares with every token, so that the time taken does not depend on which one is alike.
    pub(super) fn caller_of(&self, digest: &[u8; 32]) -> Option<Arc<Caller>> {
        let configured = self.configured.read();
        let stored = self.stored.read();
        let mut found = None;
        for token in configured.iter().chain(stored.iter()) {
            let equal = bool::from(token.sha256.as_slice().ct_eq(digest));
            if equal && found.is_none() {
                found = Some(&token.caller);
            }
        }
        if let Some(found) = found {
            return Some(Arc::clone(found));
        }
        let issued = self.issued.read().clone();
        issued.and_then(|it| it.caller_of(digest))
    }
}

impl Catalog {
    /// The caller whose token has this secret, if one has. Takes the same time for every wrong secret.
    pub fn authenticate(&self, secret: &str) -> Option<Arc<Caller>> {
        self.tokens.caller_of(&Sha256::digest(secret.as_bytes()).into())
    }

    /// Tokens of this source are taken, too.
    pub fn set_issued_tokens(&self, source: Arc<dyn IssuedTokenSource>) {
        *self.tokens.issued.write() = Some(source);
    }

    /// Replaces the tokens that come from the configuration: name, project, roles, SHA-256 of the secret.
    pub fn set_configured_tokens(&self, tokens: Vec<(Caller, [u8; 32])>) {
        let tokens = tokens
            .into_iter()
            .map(|(caller, sha256)| TokenRecord { caller, sha256 }.into())
            .collect();
        *self.tokens.configured.write() = tokens;
    }

    /// Stores a token that the server made itself. One of the same name is replaced.
    pub fn add_token(&self, caller: Caller, sha256: [u8; 32]) -> Reply<()> {
        let token = TokenRecord { caller, sha256 };
        let (tokens, added) = (Arc::clone(&self.tokens), token.clone());
        self.write_then(
            move |db, rules| {
                let now = rules.now();
                db.put_token(&token, now)?;
                let event = Event::done(now, &Actor::server("server"), Action::TokenCreate);
                Ok(db.add_event(&event.with_detail(token.caller.name))?)
            },
            move |()| tokens.add(added),
        )
    }

    /// How many tokens there are, configured or stored.
    pub fn token_count(&self) -> Result<usize> {
        let configured = self.tokens.configured.read();
        let stored = self.tokens.stored.read();
        Ok(configured.len().saturating_add(stored.len()))
    }
}
