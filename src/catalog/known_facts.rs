//! What was read of each instance for its health. It is used again as long as the catalog counts no change of it,
//! whoever made one, and the settings that it depends on are the same. What follows from it is judged again each time:
//! nothing that got worse is seen later than it was before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::{Instance, InstanceId, Timestamp};
use crate::policy::{HealthFacts, Policy};
use crate::store::{InstanceChanges, Records};

use super::rules::Rules;
use super::{Catalog, Result};

/// How long they are used: what was made when the clock was far ahead counts from some time on.
const LONGEST: Duration = Duration::from_secs(600);

/// Rows and names that are kept, of all instances together: some 10 MiB. What goes beyond is read each time.
const MOST: usize = 100_000;

/// In memory only.
#[derive(Debug, Default)]
pub(super) struct KnownFacts(Mutex<HashMap<InstanceId, Arc<Known>>>);

/// What was read of an instance.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) facts: HealthFacts,
    pub(super) next_run: Option<Timestamp>,
    basis: Basis,
}

/// What it depends on.
#[derive(Debug, Clone)]
struct Basis {
    instance: Instance,
    changes: (i64, i64),
    policy: Option<Arc<Policy>>,
    places: Vec<String>,
    read: Timestamp,
}

impl Basis {
    fn now(rules: &Rules, instance: &Instance, changes: &InstanceChanges) -> Self {
        Self {
            instance: instance.clone(),
            changes: changes.of(instance.id),
            policy: rules.policy(instance.id),
            places: rules.copies.read().get(&instance.id).cloned().unwrap_or_default(),
            read: rules.now(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let is_policy = match (&self.policy, &other.policy) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        is_policy
            && self.instance == other.instance
            && self.changes == other.changes
            && self.places == other.places
    }
}

impl Known {
    /// Whether nothing that it depends on is another now.
    fn holds(&self, now: &Basis) -> bool {
        let is_young = self.basis.read <= now.read && now.read < self.basis.read.plus(LONGEST);
        is_young && self.next_run.is_none_or(|it| now.read < it) && self.basis.is_same(now)
    }

    /// How much it is, in rows and names.
    fn weight(&self) -> usize {
        let HealthFacts { completed, copies, holdings, left_out, bad, passed_drills, .. } =
            &self.facts;
        let tables = passed_drills.iter().map(|it| it.rows.len()).sum::<usize>();
        let lists = [completed.len(), copies.len(), holdings.len(), bad.len(), tables];
        lists.iter().sum::<usize>() + left_out.0.len() + left_out.1.len() + 1
    }
}

impl Catalog {
    /// What is known of these instances. One caller reads at a time, so that many who ask at once do not all read the
    /// same; they wait without a connection.
    pub(super) fn known_facts(
        &self,
        choose: impl Fn(&Instance) -> bool,
    ) -> Result<Vec<(Instance, Arc<Known>)>> {
        let mut known = self.known_facts.0.lock();
        self.store.read(|db| {
            let (changes, instances) = (db.instance_changes()?, db.known_instances()?);
            let ids: HashSet<InstanceId> = instances.iter().map(|it| it.id).collect();
            known.retain(|id, _| ids.contains(id));
            let mut weight: usize = known.values().map(|it| it.weight()).sum();
            let mut found = Vec::new();
            for instance in instances.into_iter().filter(|it| choose(it)) {
                let basis = Basis::now(&self.rules, &instance, &changes);
                if let Some(it) = known.get(&instance.id).filter(|it| it.holds(&basis)) {
                    found.push((instance, Arc::clone(it)));
                    continue;
                }
                let it = Arc::new(self.read_facts(db, basis)?);
                let before = known.remove(&instance.id).map_or(0, |it| it.weight());
                weight = weight.saturating_sub(before);
                if weight.saturating_add(it.weight()) <= MOST {
                    weight = weight.saturating_add(it.weight());
                    known.insert(instance.id, Arc::clone(&it));
                }
                found.push((instance, it));
            }
            Ok(found)
        })
    }

    /// What is known of one instance, read now.
    pub(super) fn facts_of(&self, db: Records<'_>, instance: &Instance) -> Result<Known> {
        let basis = Basis::now(&self.rules, instance, &InstanceChanges::default());
        self.read_facts(db, basis)
    }

    fn read_facts(&self, db: Records<'_>, basis: Basis) -> Result<Known> {
        let facts = self.rules.health_facts(db, &basis.instance)?;
        let timetable = basis.policy.as_ref().and_then(|it| it.timetable.as_ref());
        let next_run = match timetable {
            Some(table) => self.rules.next_run(db, basis.instance.id, table, facts.begun_until)?,
            None => None,
        };
        Ok(Known { facts, next_run, basis })
    }
}
