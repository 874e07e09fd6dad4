//! The rows of events: a chain, of which each row holds the hash of the one before.

use rusqlite::{Row, named_params, params};

use super::sql::{execute, insert, query_all, query_first, query_one, statements};
use super::types::Bytes;
use super::{Records, Result};
use crate::domain::{Action, Event, EventHash, ProjectId, Recorded, Timestamp};

/// How many rows are read or removed at once.
const BATCH: u32 = 1000;

/// How many events are looked through for those of an action or by somebody, which no index finds: some milliseconds.
const LOOKED_THROUGH: u64 = 5000;

/// How many faults of the chain are named.
const FAULTS: usize = 20;

/// Which events, newest first.
#[derive(Debug, Clone, Copy)]
pub struct EventPage<'a> {
    /// `None`: of all projects, and of none.
    pub project: Option<&'a ProjectId>,
    /// What they were done to.
    pub object: Option<&'a str>,
    pub action: Option<Action>,
    pub who: Option<&'a str>,
    /// Only those before this one.
    pub before: Option<u64>,
    pub rows: u32,
}

/// What is wrong with the chain of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// Its hash does not follow from it and the one before.
    #[error("event {0} was altered, or the one before it was")]
    Altered(u64),
    #[error("{} removed", numbers(*first, *last))]
    Removed { first: u64, last: u64 },
    /// The chain ends with another hash than its last event has.
    #[error("event {0}, the newest, is not the one that was recorded last")]
    OtherEnd(u64),
    #[error("event {number} cannot be read: {why}")]
    Unreadable { number: u64, why: String },
}

fn numbers(first: u64, last: u64) -> String {
    if first == last {
        format!("event {first} was")
    } else {
        format!("events {first} to {last} were")
    }
}

/// Where the chain begins and ends.
#[derive(Debug, Clone, Copy)]
struct Ends {
    trimmed: u64,
    trimmed_hash: EventHash,
    last: u64,
    last_hash: EventHash,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, at, project, who, origin, action, object, outcome, detail, hash FROM events ",
            $rest
        )
    };
}

statements! {
    ENDS = "SELECT trimmed, trimmed_hash, last, last_hash FROM event_chain WHERE id = 1";

    ADD = insert!(
        "events" ("seq", "at", "project", "who", "origin", "action", "object", "outcome", "detail", "hash")
    );

    MOVE_END = "UPDATE event_chain SET last = ?1, last_hash = ?2 WHERE id = 1";

    MOVE_START = "UPDATE event_chain SET trimmed = ?1, trimmed_hash = ?2 WHERE id = 1";

    OF_PROJECT = select!(
        "WHERE project = :project AND seq < :before AND seq >= :from
             AND (:action IS NULL OR action = :action) AND (:who IS NULL OR who = :who)
         ORDER BY seq DESC LIMIT :rows"
    );

    OF_OBJECT = select!(
        "WHERE object = :object AND seq < :before AND seq >= :from AND (:project IS NULL OR project = :project)
             AND (:action IS NULL OR action = :action) AND (:who IS NULL OR who = :who)
         ORDER BY seq DESC LIMIT :rows"
    );

    OF_ALL = select!(
        "WHERE seq < :before AND seq >= :from
             AND (:action IS NULL OR action = :action) AND (:who IS NULL OR who = :who)
         ORDER BY seq DESC LIMIT :rows"
    );

    /// Numbers first, so that a row that cannot be read is known by its own.
    NUMBERS = "SELECT seq FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";

    ONE = select!("WHERE seq = ?1");

    OLDEST = "SELECT seq, at, hash FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";

    TRIM = "DELETE FROM events WHERE seq <= ?1";
}

fn read(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let number: Bytes = row.get("seq")?;
    let event = Event {
        at: row.get("at")?,
        project: row.get("project")?,
        who: row.get("who")?,
        origin: row.get("origin")?,
        action: row.get("action")?,
        object: row.get("object")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
    };
    Ok(Recorded { number: number.0, event, hash: row.get("hash")? })
}

fn read_ends(row: &Row<'_>) -> rusqlite::Result<Ends> {
    let (trimmed, last): (Bytes, Bytes) = (row.get("trimmed")?, row.get("last")?);
    Ok(Ends {
        trimmed: trimmed.0,
        trimmed_hash: row.get("trimmed_hash")?,
        last: last.0,
        last_hash: row.get("last_hash")?,
    })
}

impl Records<'_> {
    /// Adds an event at the end of the chain, in the transaction of what it tells.
    pub fn add_event(self, event: &Event) -> Result<()> {
        let ends = query_one(self.0, ENDS, [], read_ends)?;
        let number = ends.last.saturating_add(1);
        let hash = event.hash(number, &ends.last_hash);
        let params = named_params! {
            ":seq": Bytes(number), ":at": event.at, ":project": event.project, ":who": event.who,
            ":origin": event.origin, ":action": event.action, ":object": event.object,
            ":outcome": event.outcome, ":detail": event.detail, ":hash": hash
        };
        execute(self.0, ADD, params)?;
        execute(self.0, MOVE_END, params![Bytes(number), hash]).map(drop)
    }

    /// One page, newest first. Of an action or of somebody only a part of the log is looked through: then the page may
    /// have fewer rows, although there are more. Also returns before which event there may be more.
    pub fn events(self, page: &EventPage<'_>) -> Result<(Vec<Recorded>, Option<u64>)> {
        let EventPage { project, object, action, who, before, rows } = *page;
        let ends = query_one(self.0, ENDS, [], read_ends)?;
        let before = before.unwrap_or(u64::MAX).min(ends.last.saturating_add(1));
        let first = ends.trimmed.saturating_add(1);
        let is_narrowed = action.is_some() || who.is_some();
        let from =
            if is_narrowed { before.saturating_sub(LOOKED_THROUGH).max(first) } else { first };
        // One more, to know whether there are more.
        let limit = rows.saturating_add(1);
        let (upper, lower) = (Bytes(before), Bytes(from));
        let mut events = match (object, project) {
            (Some(object), project) => {
                let params = named_params! {
                    ":object": object, ":project": project, ":action": action, ":who": who,
                    ":before": upper, ":from": lower, ":rows": limit
                };
                query_all(self.0, OF_OBJECT, params, read)
            }
            (None, Some(project)) => {
                let params = named_params! {
                    ":project": project, ":action": action, ":who": who, ":before": upper,
                    ":from": lower, ":rows": limit
                };
                query_all(self.0, OF_PROJECT, params, read)
            }
            (None, None) => {
                let params = named_params! {
                    ":action": action, ":who": who, ":before": upper, ":from": lower, ":rows": limit
                };
                query_all(self.0, OF_ALL, params, read)
            }
        }?;
        let wanted = usize::try_from(rows).unwrap_or(usize::MAX);
        let more_before = if events.len() > wanted {
            events.truncate(wanted);
            events.last().map(|it| it.number)
        } else {
            (from > first).then_some(from)
        };
        Ok((events, more_before))
    }

    /// Removes the oldest events that are older than `cutoff`, and those beyond the newest `most`. At most a thousand at
    /// once; how many went.
    pub fn trim_events(self, cutoff: Timestamp, most: u64) -> Result<usize> {
        let ends = query_one(self.0, ENDS, [], read_ends)?;
        let beyond = ends.last.saturating_sub(most);
        let oldest = query_all(self.0, OLDEST, params![Bytes(ends.trimmed), BATCH], |row| {
            let number: Bytes = row.get("seq")?;
            Ok((number.0, row.get::<_, Timestamp>("at")?, row.get::<_, EventHash>("hash")?))
        })?;
        let goes =
            |(number, at, _): &&(u64, Timestamp, EventHash)| *at < cutoff || *number <= beyond;
        let Some((last, _, hash)) = oldest.iter().take_while(goes).last() else { return Ok(0) };
        execute(self.0, MOVE_START, params![Bytes(*last), hash])?;
        execute(self.0, TRIM, [Bytes(*last)])
    }

    /// How many events there are, and what is wrong with their chain.
    pub fn check_events(self) -> Result<(u64, Vec<EventFault>)> {
        let ends = query_one(self.0, ENDS, [], read_ends)?;
        let (mut last, mut hash, mut count) = (ends.trimmed, Some(ends.trimmed_hash), 0_u64);
        let mut faults = Vec::new();
        loop {
            let params = params![Bytes(last), BATCH];
            let numbers: Vec<u64> =
                query_all(self.0, NUMBERS, params, |row| row.get::<_, Bytes>(0).map(|it| it.0))?;
            if numbers.is_empty() {
                break;
            }
            for number in numbers {
                let expected = last.saturating_add(1);
                if number > expected {
                    let last = number.saturating_sub(1);
                    faults.push(EventFault::Removed { first: expected, last });
                    hash = None;
                }
                // Behind one that is not there nothing says what the hash before was.
                let before = hash.take();
                match query_first(self.0, ONE, [Bytes(number)], read) {
                    Ok(Some(Recorded { event, hash: own, .. })) => {
                        if before.is_some_and(|before| event.hash(number, &before) != own) {
                            faults.push(EventFault::Altered(number));
                        }
                        hash = Some(own);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        faults.push(EventFault::Unreadable { number, why: error.to_string() });
                    }
                }
                count = count.saturating_add(1);
                last = number;
            }
            if faults.len() >= FAULTS {
                return Ok((count, faults));
            }
        }
        if last < ends.last {
            faults.push(EventFault::Removed { first: last.saturating_add(1), last: ends.last });
        } else if last > ends.last || hash.is_some_and(|hash| hash != ends.last_hash) {
            faults.push(EventFault::OtherEnd(last));
        }
        Ok((count, faults))
    }
}
