//! When instances are backed up and what is kept: what the configuration says, and what was set through the API.
//!
//! What the configuration says of an instance itself is set there only. What the API sets wins over the defaults that
//! hold for all instances.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::domain::{Action, Event, InstanceId, InstanceStatus};
use crate::policy::{Policy, PolicyKeys};
use crate::store::Records;

use super::policy_source::PolicySource;
use super::rules::{Rules, visible_instance};
use super::{Catalog, CatalogError, Invalid, NotNow, Reply, Result, Scope, Write};

type Policies = HashMap<InstanceId, Arc<Policy>>;

impl Catalog {
    /// Sets what the configuration says, before anything else uses the catalog.
    pub fn set_policy_source(&self, source: Arc<dyn PolicySource>) -> Result<()> {
        *self.rules.source.write() = Some(source);
        let policies = self.store.read(|db| self.rules.policies_of(db))?;
        self.rules.put_policies(policies);
        self.bell.ring();
        Ok(())
    }

    /// Replaces what the configuration says, while requests may set policies.
    pub fn replace_policy_source(&self, source: Arc<dyn PolicySource>) -> Reply<()> {
        self.write_policies(move |db, rules| {
            *rules.source.write() = Some(source);
            rules.policies_of(db)
        })
    }

    /// Sets schedule and retention of an instance, instead of what was set before.
    pub fn set_policy(&self, scope: &Scope<Write>, id: InstanceId, keys: PolicyKeys) -> Reply<()> {
        self.change_policy(scope, id, Some(keys))
    }

    /// Schedule and retention of an instance are what the configuration says again.
    pub fn unset_policy(&self, scope: &Scope<Write>, id: InstanceId) -> Reply<()> {
        self.change_policy(scope, id, None)
    }

    fn change_policy(
        &self,
        scope: &Scope<Write>,
        id: InstanceId,
        keys: Option<PolicyKeys>,
    ) -> Reply<()> {
        let scope = scope.clone();
        self.write_policies(move |db, rules| rules.change_policy(db, &scope, id, keys.as_ref()))
    }

    /// A write after which these policies hold. The scheduler is woken.
    fn write_policies(
        &self,
        work: impl FnOnce(Records<'_>, &Rules) -> Result<Policies> + Send + 'static,
    ) -> Reply<()> {
        let (rules, bell) = (Arc::clone(&self.rules), Arc::clone(&self.bell));
        let made = Arc::new(Mutex::new(None));
        let durable = Arc::clone(&made);
        let work = move |db: Records<'_>, rules: &Rules| {
            *made.lock() = Some(work(db, rules)?);
            Ok(())
        };
        self.write_then(work, move |()| {
            if let Some(policies) = durable.lock().take() {
                rules.put_policies(policies);
            }
            bell.ring();
        })
    }
}

impl Rules {
    fn put_policies(&self, policies: Policies) {
        *self.policies.write() = policies;
        self.policies_set.fetch_add(1, Ordering::AcqRel);
    }

    /// Every policy that holds. One that was set and makes no sense any more is left out, and said.
    fn policies_of(&self, db: Records<'_>) -> Result<Policies> {
        let Some(source) = self.source.read().clone() else {
            return Ok(self.policies.read().clone());
        };
        let set: HashMap<InstanceId, PolicyKeys> = db.policies()?.into_iter().collect();
        let ids: BTreeSet<InstanceId> =
            source.configured().into_iter().chain(set.keys().copied()).collect();
        let mut policies = HashMap::new();
        for id in ids {
            let keys = set.get(&id).cloned().unwrap_or_default();
            let policy = source.policy(id, &keys).or_else(|why| {
                log::error!("what was set for instance {id} is not used any more: {why}");
                source.policy(id, &PolicyKeys::default())
            });
            policies.extend(policy.ok().map(|policy| (id, Arc::new(policy))));
        }
        Ok(policies)
    }

    /// Sets or unsets the keys of an instance. Returns every policy that holds then.
    fn change_policy(
        &self,
        db: Records<'_>,
        scope: &Scope<Write>,
        id: InstanceId,
        keys: Option<&PolicyKeys>,
    ) -> Result<Policies> {
        let instance = visible_instance(db, scope, id)?;
        let event = |action| Event::done(self.now(), &scope.actor(), action);
        let event = match keys {
            Some(keys) => {
                if instance.status == InstanceStatus::Detached {
                    return Err(CatalogError::InstanceBusy { id, status: instance.status });
                }
                self.ensure_allowed(id, keys)?;
                db.put_policy(id, keys)?;
                let told = serde_json::to_string(keys).unwrap_or_default();
                event(Action::ScheduleSet).with_detail(told)
            }
            None if db.delete_policy(id)? => event(Action::ScheduleDelete),
            None => return self.policies_of(db),
        };
        db.add_event(&event.in_project(&instance.project).of(id))?;
        self.policies_of(db)
    }

    fn ensure_allowed(&self, id: InstanceId, keys: &PolicyKeys) -> Result<()> {
        let source = self.source.read().clone();
        let Some(source) = source else { return Err(CatalogError::NoSuchInstance { id }) };
        let own = source.own_keys(id).names();
        if let Some(key) = keys.names().into_iter().find(|key| own.contains(key)) {
            return Err(NotNow::Configured { id, key }.into());
        }
        source.policy(id, keys).map(drop).map_err(|why| Invalid::Policy(why).into())
    }
}
