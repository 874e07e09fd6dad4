//! Threads that ask Keystone, and those who wait for the answers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::domain::{Caller, Clock, Secret, Timestamp};

use super::cache::{Cache, Hash, Now};
use super::requests::{Reached, Requests};
use super::{KeystoneError, Roles};

/// Requests to Keystone at once.
const THREADS: usize = 4;
/// Tokens that may wait for a thread.
const WAITING: usize = 64;
/// Requests that may wait for the answer about one token.
const WAITING_FOR_ONE: usize = 256;
/// The longest token that Keystone is asked about, in bytes.
const LONGEST_TOKEN: usize = 4096;
/// How long nobody tries again once Keystone was not reached: whoever asks then need not wait to hear the same.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is asked whether it is back.
const CHECK: Duration = Duration::from_secs(15);

type Answer = Result<Arc<Caller>, KeystoneError>;

/// What is called with why Keystone cannot be asked, and with `None` once it can.
pub type Report = Box<dyn Fn(Option<&KeystoneError>) + Send + Sync>;

#[derive(Debug, Clone)]
pub struct Settings {
    pub reached: Reached,
    pub roles: Roles,
    /// How long an answer is kept, if the token lives as long.
    pub keep: Duration,
}

/// Keystone, asked by a few threads. They end when this is dropped.
#[derive(Debug)]
pub struct Keystone {
    shared: Arc<Shared>,
    work: Sender<Work>,
}

#[derive(Debug)]
struct Work {
    hash: Hash,
    token: Secret,
    since: Instant,
}

struct Shared {
    requests: Requests,
    roles: Roles,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    report: Report,
}

impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Shared").field("requests", &self.requests).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    cache: Cache,
    /// Who waits for the answer about a token.
    waiting: HashMap<Hash, Vec<oneshot::Sender<Answer>>>,
    /// The last request that was not answered, and when.
    unreached: Option<(Instant, KeystoneError)>,
    /// What was reported last; `None` before the first answer.
    reported: Option<Result<(), KeystoneError>>,
}

impl Keystone {
    /// Starts the threads. The first one asks at once whether Keystone is there; nobody waits for it.
    pub fn start(settings: Settings, clock: Arc<dyn Clock>, report: Report) -> io::Result<Self> {
        let state = State {
            cache: Cache::new(settings.keep),
            waiting: HashMap::new(),
            unreached: None,
            reported: None,
        };
        let shared = Arc::new(Shared {
            requests: Requests::new(settings.reached),
            roles: settings.roles,
            clock,
            state: Mutex::new(state),
            report,
        });
        let (work, received) = bounded(WAITING);
        for number in 0..THREADS {
            let (shared, received) = (Arc::clone(&shared), received.clone());
            let thread = thread::Builder::new().name(format!("keystone-{number}"));
            thread.spawn(move || shared.run(&received, number == 0))?;
        }
        Ok(Self { shared, work })
    }

    /// What is known of this token without asking.
    pub fn known(&self, token: &str) -> Option<Answer> {
        self.shared.state.lock().cache.find(&hash(token), self.shared.now())
    }

    /// Who sends this token, as Keystone says.
    pub async fn caller_of(&self, token: &str) -> Answer {
        let is_one = !token.is_empty()
            && token.len() <= LONGEST_TOKEN
            && token.bytes().all(|it| it.is_ascii_graphic());
        if !is_one {
            return Err(KeystoneError::Unknown);
        }
        match self.queue(token) {
            Ok(answered) => answered.await.unwrap_or(Err(KeystoneError::Ended)),
            Err(known) => known,
        }
    }

    /// Waits in line with this token; or the answer at once.
    fn queue(&self, token: &str) -> Result<oneshot::Receiver<Answer>, Answer> {
        let (hash, now) = (hash(token), self.shared.now());
        let mut state = self.shared.state.lock();
        if let Some(known) = state.cache.find(&hash, now) {
            return Err(known);
        }
        if let Some(why) = state.why_unreached(now.steady) {
            return Err(Err(why));
        }
        let (sender, receiver) = oneshot::channel();
        match state.waiting.entry(hash) {
            Entry::Occupied(mut others) if others.get().len() < WAITING_FOR_ONE => {
                others.get_mut().push(sender);
            }
            Entry::Occupied(_) => return Err(Err(KeystoneError::Busy)),
            Entry::Vacant(place) => {
                let (token, since) = (Secret::new(token.to_owned()), now.steady);
                let sent = self.work.try_send(Work { hash, token, since });
                sent.map_err(|_full| Err(KeystoneError::Busy))?;
                place.insert(vec![sender]);
            }
        }
        Ok(receiver)
    }
}

impl State {
    /// Why Keystone is not asked again just now.
    fn why_unreached(&self, now: Instant) -> Option<KeystoneError> {
        let (at, why) = self.unreached.as_ref()?;
        (now.saturating_duration_since(*at) < PAUSE).then(|| why.clone())
    }
}

impl Shared {
    fn now(&self) -> Now {
        Now { steady: Instant::now(), wall: self.clock.now() }
    }

    /// Asks about one token after the other. The first thread also looks whether Keystone is back.
    fn run(&self, work: &Receiver<Work>, is_first: bool) {
        if is_first {
            self.note(self.requests.version().err());
        }
        loop {
            match work.recv_timeout(CHECK) {
                Ok(work) => self.ask(work),
                Err(RecvTimeoutError::Timeout) if is_first && self.is_away() => {
                    self.note(self.requests.version().err());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn is_away(&self) -> bool {
        matches!(self.state.lock().reported, Some(Err(_)))
    }

    fn ask(&self, Work { hash, token, since }: Work) {
        let now = self.now();
        let unreached = {
            let mut state = self.state.lock();
            let waiting = state.waiting.get(&hash);
            // Nobody waits any more.
            if waiting.is_none_or(|it| it.iter().all(oneshot::Sender::is_closed)) {
                state.waiting.remove(&hash);
                return;
            }
            // Keystone was not reached while this waited: it is not tried for each one that waits.
            state.unreached.as_ref().filter(|(at, _)| *at >= since).map(|(_, why)| why.clone())
        };
        let (answer, expires_at) = match unreached {
            Some(why) => (Err(why), None),
            None => self.ask_now(&token),
        };
        let mut state = self.state.lock();
        match (&answer, expires_at) {
            (Ok(caller), Some(expires_at)) => {
                state.cache.take(hash, Arc::clone(caller), expires_at, now);
            }
            (Err(error), _) if error.is_about_token() => {
                state.cache.refuse(hash, error.clone(), now);
            }
            _ => {}
        }
        let waiting = state.waiting.remove(&hash).unwrap_or_default();
        drop(state);
        for sender in waiting {
            // Whoever asked may be gone meanwhile.
            sender.send(answer.clone()).ok();
        }
    }

    /// Whose token it is, and when it ends.
    fn ask_now(&self, token: &Secret) -> (Answer, Option<Timestamp>) {
        let asked = self.requests.token(token);
        let why = asked.as_ref().err().filter(|it| !it.is_about_token());
        self.note(why.cloned());
        match asked {
            Ok(token) => (self.roles.caller(&token), Some(token.expires_at)),
            Err(error) => (Err(error), None),
        }
    }

    /// Remembers whether Keystone could be asked, and reports it if that has changed.
    fn note(&self, why: Option<KeystoneError>) {
        let mut state = self.state.lock();
        match &why {
            Some(error @ KeystoneError::NoAnswer(_)) => {
                state.unreached = Some((Instant::now(), error.clone()));
            }
            _ => state.unreached = None,
        }
        let result = why.map_or(Ok(()), Err);
        let has_changed = match (&state.reported, &result) {
            (None, _) => true,
            (Some(before), now) => before.is_ok() != now.is_ok(),
        };
        state.reported = Some(result.clone());
        drop(state);
        if has_changed {
            (self.report)(result.as_ref().err());
        }
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}
