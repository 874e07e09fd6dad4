//! What others report to the catalog of the world outside.

use std::collections::HashMap;

use parking_lot::RwLock;

use crate::domain::{DiskRoom, InstanceId, InstanceOrigin, Timestamp};
use crate::policy::{HealthFacts, ProblemKind, why_cannot_begin};
use crate::store::Records;

use super::alerts::open_alerts;
use super::{Catalog, Result};

/// What is said of a reason that an earlier process found.
const FOUND_EARLIER: &str = " (found earlier, and not tried again yet)";

/// In memory only; why backups cannot begin is recalled from the alerts that the last process recorded.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) room: RwLock<Option<(DiskRoom, u32)>>,
    pub(super) low_since: RwLock<Option<Timestamp>>,
    cannot_start: RwLock<HashMap<InstanceId, CannotStart>>,
}

/// Why a backup cannot begin.
#[derive(Debug)]
struct CannotStart {
    since: Timestamp,
    why: String,
    /// Whether an earlier process found it.
    recalled: bool,
}

impl Observed {
    /// What an earlier process found and nothing has shown to be over. Without this a restart would end the alert, and a
    /// command would know of it only as long as a server runs.
    pub(super) fn recalled(db: Records<'_>) -> Result<Self> {
        let mut found = HashMap::new();
        for alert in open_alerts(db)? {
            let (ProblemKind::CannotStart, Some(of)) = (alert.kind, alert.instance) else {
                continue;
            };
            // Only these are probed. Why others cannot begin stands in their schedules.
            let record = db.instance(of.id)?;
            if record.is_none_or(|it| it.instance.origin != InstanceOrigin::Configured) {
                continue;
            }
            let why = why_cannot_begin(&of.name, &alert.message);
            let why = why.strip_suffix(FOUND_EARLIER).unwrap_or(why).to_owned();
            found.insert(of.id, CannotStart { since: alert.since, why, recalled: true });
        }
        Ok(Self { cannot_start: RwLock::new(found), ..Self::default() })
    }

    /// Since when and why a backup of the instance cannot begin, also by what its schedule says.
    pub(super) fn cannot_start(&self, facts: &HealthFacts) -> Option<(Timestamp, String)> {
        let all = self.cannot_start.read();
        // An attempt since then says more.
        let attempted = facts.attempted_last();
        let holds = |it: &&CannotStart| attempted.is_none_or(|at| at <= it.since);
        let scheduled = facts.cannot_start.clone();
        match all.get(&facts.instance).filter(holds) {
            None => scheduled,
            Some(it) if !it.recalled => Some((it.since, it.why.clone())),
            Some(it) => {
                scheduled.or_else(|| Some((it.since, format!("{}{FOUND_EARLIER}", it.why))))
            }
        }
    }
}

impl Catalog {
    /// Tells why a backup of an instance cannot even begin, or that it can.
    pub fn note_cannot_start(&self, id: InstanceId, why: Option<String>) {
        let mut all = self.observed.cannot_start.write();
        let Some(why) = why else { return drop(all.remove(&id)) };
        let since = all.get(&id).map_or_else(|| self.rules.now(), |it| it.since);
        all.insert(id, CannotStart { since, why, recalled: false });
    }

    /// Tells why a backup of an instance cannot begin, if that it cannot is known already: it may be too early to call it
    /// a problem.
    pub fn note_still_cannot_start(&self, id: InstanceId, why: String) {
        if let Some(known) = self.observed.cannot_start.write().get_mut(&id) {
            (known.why, known.recalled) = (why, false);
        }
    }
}
