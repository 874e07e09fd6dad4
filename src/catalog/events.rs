//! The event log: what was done, by whom and from where.
//!
//! An event is written in the transaction of what it tells. Those that tell of no change, and that anybody could cause
//! as often as he likes (a wrong token, a request that is not allowed, a piece of an archive that is downloaded), are
//! counted in memory and written as one, at most once in ten minutes for each kind.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::{Action, Actor, Backup, Event, ProjectId, Recorded, Timestamp};
use crate::store::{EventPage, Records};

use super::rules::Rules;
use super::{Catalog, CatalogError, Forbidden, Read, Reply, Result, Scope};

/// How often counted events are written.
const COUNTED_EVERY: Duration = Duration::from_secs(600);

/// How many different ones are counted in that time; more are counted together.
const MOST_COUNTED: usize = 64;

/// The most events that are kept, however young they are.
const MOST_KEPT: u64 = 1_000_000;

/// After a jump of the clock nothing is trimmed for so long: their age is not what it seems.
const AFTER_JUMP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which events, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Of every project, for administrators.
    pub all_projects: bool,
    pub object: Option<String>,
    pub action: Option<Action>,
    /// The name of a token, or of what acts by itself.
    pub who: Option<String>,
    /// Only those before this one.
    pub before: Option<u64>,
    pub rows: u32,
}

/// Events that were found, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvents {
    pub events: Vec<Recorded>,
    /// There may be more before this one; `None`: there are none.
    pub more_before: Option<u64>,
}

/// Something that is counted instead of being written each time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    pub action: Action,
    pub actor: Actor,
    pub project: Option<ProjectId>,
    pub object: Option<String>,
    pub refused: bool,
}

#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    counted: BTreeMap<Counted, u64>,
    /// What found no room any more.
    others: BTreeMap<(Action, bool), u64>,
    written: Option<Timestamp>,
}

impl Tally {
    /// What was counted, if it is time to write it.
    fn take(&self, now: Timestamp, at_once: bool) -> Vec<(Counted, u64)> {
        let mut counts = self.0.lock();
        let lately = |at: Timestamp| now >= at && now < at.plus(COUNTED_EVERY);
        if counts.counted.is_empty() || (!at_once && counts.written.is_some_and(lately)) {
            return Vec::new();
        }
        counts.written = Some(now);
        let others =
            std::mem::take(&mut counts.others).into_iter().map(|((action, refused), count)| {
                let actor = Actor::server("others");
                (Counted { action, actor, project: None, object: None, refused }, count)
            });
        let others: Vec<_> = others.collect();
        std::mem::take(&mut counts.counted).into_iter().chain(others).collect()
    }
}

impl Catalog {
    /// One page of events, newest first. Where they are narrowed to an action or to somebody, it may have fewer rows
    /// although there are more.
    pub fn events(&self, scope: &Scope<Read>, filter: &EventFilter) -> Result<FoundEvents> {
        if filter.all_projects && !scope.caller().is_admin() {
            return Err(Forbidden::AllProjects.into());
        }
        let project = (!filter.all_projects).then(|| scope.project());
        self.page_of_events(project, filter)
    }

    /// All of them up to the number of rows, of every project, without a check of access.
    pub fn every_event(&self, filter: &EventFilter) -> Result<Vec<Recorded>> {
        let (mut filter, mut all) = (filter.clone(), Vec::new());
        loop {
            let FoundEvents { events, more_before } = self.page_of_events(None, &filter)?;
            let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
            filter.rows = filter.rows.saturating_sub(count);
            all.extend(events);
            if filter.rows == 0 || more_before.is_none() {
                return Ok(all);
            }
            filter.before = more_before;
        }
    }

    fn page_of_events(
        &self,
        project: Option<&ProjectId>,
        filter: &EventFilter,
    ) -> Result<FoundEvents> {
        let EventFilter { object, action, who, before, rows, .. } = filter;
        let (object, who) = (object.as_deref(), who.as_deref());
        let (action, before, rows) = (*action, *before, *rows);
        let page = EventPage { project, object, action, who, before, rows };
        let (events, more_before) =
            self.store.read(|db| Ok::<_, CatalogError>(db.events(&page)?))?;
        Ok(FoundEvents { events, more_before })
    }

    /// How many events there are, and what is wrong with them: each that was altered or removed.
    pub fn check_events(&self) -> Result<(u64, Vec<String>)> {
        let (count, faults) = self.store.read(|db| Ok::<_, CatalogError>(db.check_events()?))?;
        Ok((count, faults.iter().map(ToString::to_string).collect()))
    }

    /// Records what a command did with a backup that changes nothing in the catalog.
    pub fn record(&self, action: Action, by: Actor, backup: &Backup, detail: String) -> Reply<()> {
        let (project, id) = (backup.project.clone(), backup.id);
        self.write(move |db, rules| {
            let event = Event::done(rules.now(), &by, action).in_project(&project).of(id);
            Ok(db.add_event(&event.with_detail(detail))?)
        })
    }

    /// Records what a command did with a user.
    pub fn record_user(
        &self,
        action: Action,
        by: Actor,
        (user, project): (&str, &ProjectId),
        detail: String,
    ) -> Reply<()> {
        let (user, project) = (user.to_owned(), project.clone());
        self.write(move |db, rules| {
            let event = Event::done(rules.now(), &by, action).in_project(&project).of(user);
            Ok(db.add_event(&event.with_detail(detail))?)
        })
    }

    /// Counts something for the event log.
    pub fn count_event(&self, counted: Counted) {
        let mut counts = self.tally.0.lock();
        let Counts { counted: known, others, .. } = &mut *counts;
        let count = if known.len() < MOST_COUNTED || known.contains_key(&counted) {
            known.entry(counted).or_default()
        } else {
            others.entry((counted.action, counted.refused)).or_default()
        };
        *count = count.saturating_add(1);
    }

    /// Writes what was counted, if that is due or the server stops.
    pub fn write_counted(&self, at_once: bool) -> Option<Reply<()>> {
        let counted = self.tally.take(self.rules.now(), at_once);
        if counted.is_empty() {
            return None;
        }
        Some(self.write(move |db, rules| {
            for (counted, count) in counted {
                db.add_event(&counted.event(rules.now(), count))?;
            }
            Ok(())
        }))
    }

    /// Removes a portion of the events that are too old, and of those beyond the most that are kept. Returns how many:
    /// none, when there are no more of them.
    pub fn trim_events(&self) -> Reply<usize> {
        self.write(|db, rules| rules.trim_events(db))
    }
}

impl Counted {
    fn event(self, at: Timestamp, count: u64) -> Event {
        let event = Event::done(at, &self.actor, self.action);
        let event = Event { project: self.project, object: self.object, ..event };
        let event = if count > 1 { event.with_detail(format!("{count} times")) } else { event };
        if self.refused { event.refused() } else { event }
    }
}

impl Rules {
    fn trim_events(&self, db: Records<'_>) -> Result<usize> {
        let now = self.now();
        let jumped = db.seen_clock()?.and_then(|it| it.jumped);
        if jumped.is_some_and(|at| now < at.plus(AFTER_JUMP)) {
            return Ok(0);
        }
        let age =
            Duration::from_secs(u64::from(self.settings.events_days).saturating_mul(24 * 3600));
        Ok(db.trim_events(now.minus(age), MOST_KEPT)?)
    }
}
