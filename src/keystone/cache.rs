//! What Keystone said of tokens, for a short time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::{Caller, Timestamp};

use super::KeystoneError;

/// Tokens of each kind, taken and refused. For one more, the one whose time ends first is forgotten.
const MOST: usize = 4096;
/// How long a refusal is kept at most.
const REFUSED: Duration = Duration::from_secs(10);

pub(super) type Hash = [u8; 32];

/// The time, by a clock that nobody sets and by the one that tokens end by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) steady: Instant,
    pub(super) wall: Timestamp,
}

#[derive(Debug)]
pub(super) struct Cache {
    /// How long an answer is kept.
    keep: Duration,
    taken: HashMap<Hash, Taken>,
    /// Apart, so that a flood of wrong tokens does not push out those that are good.
    refused: HashMap<Hash, (KeystoneError, Instant)>,
}

#[derive(Debug)]
struct Taken {
    caller: Arc<Caller>,
    until: Instant,
    expires_at: Timestamp,
}

impl Cache {
    pub(super) fn new(keep: Duration) -> Self {
        Self { keep, taken: HashMap::new(), refused: HashMap::new() }
    }

    /// What is known of a token.
    pub(super) fn find(&self, hash: &Hash, now: Now) -> Option<Result<Arc<Caller>, KeystoneError>> {
        if let Some(taken) = self.taken.get(hash) {
            let is_known = taken.until > now.steady && taken.expires_at > now.wall;
            return is_known.then(|| Ok(Arc::clone(&taken.caller)));
        }
        let (why, until) = self.refused.get(hash)?;
        (*until > now.steady).then(|| Err(why.clone()))
    }

    /// Keeps that a token was taken; `now` is when Keystone was asked.
    pub(super) fn take(
        &mut self,
        hash: Hash,
        caller: Arc<Caller>,
        expires_at: Timestamp,
        now: Now,
    ) {
        self.refused.remove(&hash);
        let until = now.steady + self.keep.min(now.wall.until(expires_at));
        make_room(&mut self.taken, now.steady, |it| it.until);
        self.taken.insert(hash, Taken { caller, until, expires_at });
    }

    /// Keeps that a token was refused.
    pub(super) fn refuse(&mut self, hash: Hash, why: KeystoneError, now: Now) {
        self.taken.remove(&hash);
        make_room(&mut self.refused, now.steady, |(_, until)| *until);
        self.refused.insert(hash, (why, now.steady + self.keep.min(REFUSED)));
    }
}

fn make_room<T>(all: &mut HashMap<Hash, T>, now: Instant, until: impl Fn(&T) -> Instant) {
    if all.len() < MOST {
        return;
    }
    all.retain(|_, it| until(it) > now);
    if all.len() >= MOST
        && let Some(first) = all.iter().min_by_key(|(_, it)| until(it)).map(|(hash, _)| *hash)
    {
        all.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn caller() -> Arc<Caller> {
        Arc::new(Caller { name: "mia".to_owned(), project: None, roles: Vec::new() })
    }

    fn now() -> Now {
        Now { steady: Instant::now(), wall: Timestamp::EARLIEST }
    }

    fn after(now: Now, time: Duration) -> Now {
        Now { steady: now.steady + time, wall: now.wall.plus(time) }
    }

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        hash
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_no_longer_than_the_token_lives() {
        let (mut cache, now) = (Cache::new(MINUTE), now());
        cache.take(hash(1), caller(), now.wall.plus(MINUTE * 60), now);
        cache.take(hash(2), caller(), now.wall.plus(MINUTE / 2), now);
        let second = Duration::from_secs(1);
        for (number, lives) in [(1, MINUTE), (2, MINUTE / 2)] {
            assert!(
                cache
                    .find(&hash(number), after(now, lives.saturating_sub(second)))
                    .unwrap()
                    .is_ok()
            );
            assert!(cache.find(&hash(number), after(now, lives)).is_none());
        }
        // A clock that was set forward ends it, and one that was set back does not keep it.
        let forward = Now { wall: now.wall.plus(MINUTE), ..now };
        assert!(cache.find(&hash(2), forward).is_none());
        let back = Now { wall: now.wall, ..after(now, MINUTE) };
        assert!(cache.find(&hash(1), back).is_none());
    }

    #[test]
    fn a_refusal_is_kept_for_a_shorter_time_and_the_last_answer_counts() {
        let (mut cache, now) = (Cache::new(MINUTE), now());
        cache.take(hash(1), caller(), now.wall.plus(MINUTE), now);
        cache.refuse(hash(1), KeystoneError::Unknown, now);
        assert_eq!(cache.find(&hash(1), now), Some(Err(KeystoneError::Unknown)));
        assert_eq!(cache.find(&hash(1), after(now, REFUSED)), None);
        cache.take(hash(1), caller(), now.wall.plus(MINUTE), now);
        assert!(cache.find(&hash(1), now).unwrap().is_ok());
    }

    #[test]
    fn a_flood_of_wrong_tokens_takes_bounded_room_and_pushes_out_no_good_one() {
        let (mut cache, now) = (Cache::new(MINUTE), now());
        cache.take(hash(0), caller(), now.wall.plus(MINUTE), now);
        for number in 1..=MOST + 10 {
            cache.refuse(hash(number), KeystoneError::Unknown, now);
        }
        assert_eq!(cache.refused.len(), MOST);
        assert!(cache.find(&hash(0), now).unwrap().is_ok());
        for number in 0..MOST + 10 {
            let at = after(now, Duration::from_micros(u64::try_from(number).unwrap()));
            cache.take(hash(number), caller(), now.wall.plus(MINUTE), at);
        }
        assert_eq!(cache.taken.len(), MOST);
        assert!(cache.find(&hash(MOST + 9), now).unwrap().is_ok());
    }
}
