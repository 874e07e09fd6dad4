//! The id by which an answer is found in the log.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::fmt::Hyphenated;
use uuid::{Builder, Uuid};

/// How many there were.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Where this process begins: 128 random bits, asked of the system once.
static START: LazyLock<(u64, u64)> = LazyLock::new(|| Uuid::new_v4().as_u64_pair());

/// How each begins.
const START_OF_TEXT: &[u8] = b"req-";

/// How long each is.
const LENGTH: usize = START_OF_TEXT.len() + Hyphenated::LENGTH;

/// `req-` and a UUID that no other request has. It is unique, not secret: it needs no random bits of its
/// own, which would cost a system call a request. Kept as text, for it goes into the log and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId([u8; LENGTH]);

impl RequestId {
    /// The next one.
    pub(super) fn next() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let (high, low) = *START;
        let pair = Uuid::from_u64_pair(mix(high.wrapping_add(count)), mix(low ^ count));
        let id = Builder::from_random_bytes(pair.into_bytes()).into_uuid();
        let mut text = [0; LENGTH];
        let (start, rest) = text.split_at_mut(START_OF_TEXT.len());
        start.copy_from_slice(START_OF_TEXT);
        id.as_hyphenated().encode_lower(rest);
        Self(text)
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("a word and a UUID are ASCII")
    }
}

/// Spreads a number over all bits, without two becoming one (`SplitMix64`'s finish).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_requests_have_the_same_id_and_each_is_a_random_uuid_in_form() {
        let ids: Vec<String> =
            (0..10_000).map(|_count| RequestId::next().as_str().to_owned()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        for id in ids {
            let uuid: Uuid = id.strip_prefix("req-").unwrap().parse().unwrap();
            assert_eq!(uuid.get_version_num(), 4, "{id}");
        }
    }
}
