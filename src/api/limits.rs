//! What one token, and all clients together, may use at once. Memory is bounded by these limits and by the
//! number of connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use super::error::ApiError;

/// Names of tokens that are remembered while they use nothing: Keystone may have any number of users.
const NAMES: usize = 4096;

/// What may be used at once.
#[derive(Debug, Clone, Copy)]
pub struct LimitSettings {
    /// Bytes of the bodies of requests, of all clients.
    pub body_bytes: usize,
    /// Downloads of archives, of all clients.
    pub downloads: usize,
    /// Requests of a token whose answer is not there yet, or is long and still being sent.
    pub token_requests: usize,
    /// Requests of a token in a second; 0: any number.
    pub token_requests_per_second: u32,
    /// Bytes of the bodies of a token's requests.
    pub token_body_bytes: usize,
    pub token_downloads: usize,
}

/// What clients use at the moment.
#[derive(Debug)]
pub struct Limits {
    settings: LimitSettings,
    body_bytes: Arc<Counter>,
    downloads: Arc<Counter>,
    /// By the token's name.
    tokens: RwLock<HashMap<String, Arc<TokenUse>>>,
}

/// What one token uses at the moment.
#[derive(Debug)]
pub(super) struct TokenUse {
    requests: Arc<Counter>,
    body_bytes: Arc<Counter>,
    downloads: Arc<Counter>,
    rate: Option<Mutex<Rate>>,
}

impl Limits {
    pub fn new(settings: LimitSettings) -> Self {
        Self {
            settings,
            body_bytes: Counter::up_to(settings.body_bytes),
            downloads: Counter::up_to(settings.downloads),
            tokens: RwLock::default(),
        }
    }

    /// Lets in a request of the token with this name, for as long as the share lives.
    pub(super) fn begin_request(&self, token: &str) -> Result<(Arc<TokenUse>, Share), ApiError> {
        let token = self.token(token);
        if token.rate.as_ref().is_some_and(|rate| !rate.lock().allows(Instant::now())) {
            return Err(over(format!(
                "This token may send {} requests a second.",
                self.settings.token_requests_per_second
            )));
        }
        let share = token.requests.take(1).ok_or_else(|| {
            let most = token.requests.most;
            over(format!(
                "{most} requests of this token are not answered yet; it may have no more."
            ))
        })?;
        Ok((token, share))
    }

    /// Room for the body of a request.
    pub(super) fn body(&self, token: &TokenUse, bytes: usize) -> Result<[Share; 2], ApiError> {
        let shares = both(&token.body_bytes, &self.body_bytes, bytes);
        shares.ok_or_else(|| {
            over("Too many bytes of other requests are on their way to this server.".to_owned())
        })
    }

    pub(super) fn download(&self, token: &TokenUse) -> Result<[Share; 2], ApiError> {
        let shares = both(&token.downloads, &self.downloads, 1);
        shares.ok_or_else(|| {
            let (most, all) = (token.downloads.most, self.downloads.most);
            over(format!("A token may download {most} archives at once, and all together {all}."))
        })
    }

    fn token(&self, name: &str) -> Arc<TokenUse> {
        if let Some(known) = self.tokens.read().get(name) {
            return Arc::clone(known);
        }
        let mut tokens = self.tokens.write();
        if tokens.len() >= NAMES {
            tokens.retain(|_, it| Arc::strong_count(it) > 1);
        }
        let new = || Arc::new(TokenUse::new(&self.settings));
        Arc::clone(tokens.entry(name.to_owned()).or_insert_with(new))
    }
}

fn over(why: String) -> ApiError {
    ApiError::LimitReached { why, retry_after_s: 1 }
}

fn both(one: &Arc<Counter>, other: &Arc<Counter>, amount: usize) -> Option<[Share; 2]> {
    Some([one.take(amount)?, other.take(amount)?])
}

impl TokenUse {
    fn new(settings: &LimitSettings) -> Self {
        let per_second = settings.token_requests_per_second;
        Self {
            requests: Counter::up_to(settings.token_requests),
            body_bytes: Counter::up_to(settings.token_body_bytes),
            downloads: Counter::up_to(settings.token_downloads),
            rate: (per_second > 0).then(|| Mutex::new(Rate::new(per_second))),
        }
    }
}

#[derive(Debug)]
struct Counter {
    used: AtomicUsize,
    most: usize,
}

impl Counter {
    fn up_to(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    fn take(self: &Arc<Self>, amount: usize) -> Option<Share> {
        let enough = |used: usize| used.checked_add(amount).filter(|it| *it <= self.most);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, enough).ok()?;
        Some(Share { of: Arc::clone(self), amount })
    }
}

/// A part of what may be used, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Counter>,
    amount: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.amount, Ordering::AcqRel);
    }
}

/// How many requests may come now: those of two seconds at once, and then so many a second.
#[derive(Debug)]
struct Rate {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second * 2.0, at: Instant::now() }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.per_second * 2.0);
        self.at = now;
        let allows = self.left >= 1.0;
        if allows {
            self.left -= 1.0;
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> Limits {
        Limits::new(LimitSettings {
            body_bytes: 150,
            downloads: 3,
            token_requests: 2,
            token_requests_per_second: 0,
            token_body_bytes: 100,
            token_downloads: 2,
        })
    }

    #[test]
    fn a_token_has_its_own_share_and_gets_it_back() {
        let limits = limits();
        let (alice, first) = limits.begin_request("alice").unwrap();
        let (_, second) = limits.begin_request("alice").unwrap();
        assert!(limits.begin_request("alice").is_err());
        assert!(limits.begin_request("bob").is_ok());
        drop((first, second));
        assert!(limits.begin_request("alice").is_ok());
        let body = limits.body(&alice, 100).unwrap();
        assert!(limits.body(&alice, 1).is_err());
        drop(body);
        assert!(limits.body(&alice, 1).is_ok());
    }

    #[test]
    fn all_tokens_together_have_a_limit_and_a_refusal_takes_nothing() {
        let limits = limits();
        let [alice, bob] = ["alice", "bob"].map(|it| limits.token(it));
        let _of_alice = limits.body(&alice, 100).unwrap();
        assert!(limits.body(&bob, 51).is_err());
        let _of_bob = limits.body(&bob, 50).unwrap();
        let _downloads = [limits.download(&alice).unwrap(), limits.download(&alice).unwrap()];
        assert!(limits.download(&alice).is_err());
        let _last = limits.download(&bob).unwrap();
        assert!(limits.download(&bob).is_err());
    }

    #[test]
    fn requests_of_two_seconds_may_come_at_once_and_then_so_many_a_second() {
        let mut rate = Rate::new(10);
        let now = rate.at;
        let mut allowed = |at| (0..100).filter(|_| rate.allows(at)).count();
        assert_eq!(allowed(now), 20);
        assert_eq!(allowed(now + Duration::from_secs(1)), 10);
        assert_eq!(allowed(now + Duration::from_secs(100)), 20);
    }
}
