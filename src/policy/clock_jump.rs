//! Whether the clock jumped: what was decided by its old time may be wrong by its new one.

use std::time::Duration;

use crate::domain::Timestamp;

/// How far it may go ahead unobserved: a server that was off for longer cannot tell that from a jump.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// How far it may be put back.
const BACK: Duration = Duration::from_secs(3600);

/// Whether the clock must have jumped between the time that was seen last and now.
pub fn clock_jumped(seen: Timestamp, now: Timestamp) -> bool {
    now > seen.plus(AHEAD) || now < seen.minus(BACK)
}
