//! Wrong tokens and passwords: an address that sent some has to wait before it may try again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::Timestamp;

/// So many wrong ones of an address in this time, and it has to wait until the time has passed.
const MOST: u32 = 5;
/// The same of tokens that somebody else has to be asked about. Nobody guesses one of those; but each one that has expired is
/// sent once more, and all clients behind a proxy have one address.
const MOST_ASKED: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. With more, all counts start again at zero.
const ADDRESSES: usize = 4096;

/// What the console and the API know of addresses that signed in wrongly; they share one.
#[derive(Debug)]
pub struct SlowDown {
    known: Mutex<HashMap<Option<IpAddr>, (u32, Timestamp)>>,
    most: u32,
}

impl Default for SlowDown {
    fn default() -> Self {
        Self { known: Mutex::default(), most: MOST }
    }
}

impl SlowDown {
    /// For tokens that somebody else has to be asked about.
    pub fn of_asked() -> Self {
        Self { most: MOST_ASKED, ..Self::default() }
    }

    /// How long this address has to wait, if it has to. One that is not known is local.
    pub fn must_wait(&self, address: Option<IpAddr>, now: Timestamp) -> Option<Duration> {
        let known = self.known.lock();
        let (count, since) = known.get(&address)?;
        let end = since.plus(WINDOW);
        (*count >= self.most && now < end && now >= *since).then(|| now.until(end))
    }

    /// It sent a wrong token or password.
    pub fn note(&self, address: Option<IpAddr>, now: Timestamp) {
        let mut known = self.known.lock();
        if known.len() >= ADDRESSES {
            known.retain(|_, (_, since)| since.plus(WINDOW) > now);
            if known.len() >= ADDRESSES {
                known.clear();
            }
        }
        let entry = known.entry(address).or_insert((0, now));
        if entry.1.plus(WINDOW) <= now {
            *entry = (0, now);
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_wrong_tokens_an_address_waits_a_minute_and_others_do_not() {
        let (slow, now) = (SlowDown::default(), Timestamp::EARLIEST);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|it| Some(it.parse().unwrap()));
        for _wrong in 0..MOST {
            assert_eq!(slow.must_wait(one, now), None);
            slow.note(one, now);
        }
        assert_eq!(slow.must_wait(one, now), Some(WINDOW));
        assert_eq!(slow.must_wait(other, now), None);
        let later = now.plus(WINDOW);
        assert_eq!(slow.must_wait(one, later), None);
        slow.note(one, later);
        assert_eq!(slow.must_wait(one, later), None);
    }
}
