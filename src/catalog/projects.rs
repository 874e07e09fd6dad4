//! What a project has of its own: quotas, and strategies that say which folder backups go to. What counts
//! against a quota is counted from rows, in the transaction that adds one.

use crate::domain::{
    Action, ContainerName, Event, Instance, InstanceId, ProjectId, ProjectQuota, QuotaResource,
    Strategy,
};
use crate::store::{Records, StoreError};

use super::rules::{Rules, visible_instance};
use super::{
    Admin, Catalog, CatalogError, Forbidden, Invalid, Permission, Read, Reply, Result, Scope, Write,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStrategy {
    /// The instance; `None`: the whole project.
    pub instance: Option<InstanceId>,
    pub container: ContainerName,
}

impl Catalog {
    pub fn quotas(&self, scope: &Scope<Read>, project: &ProjectId) -> Result<Vec<ProjectQuota>> {
        let project = visible_project(scope, Some(project))?;
        let both = [QuotaResource::Instances, QuotaResource::Backups];
        self.store
            .read(|db| both.into_iter().map(|it| Ok(self.rules.quota(db, project, it)?)).collect())
    }

    pub fn set_quotas(
        &self,
        scope: &Scope<Admin>,
        project: &ProjectId,
        limits: Vec<(QuotaResource, i64)>,
    ) -> Reply<()> {
        let (project, actor) = (project.clone(), scope.actor());
        self.write(move |db, rules| {
            for (resource, limit) in limits {
                if limit < -1 {
                    return Err(Invalid::QuotaLimit { resource, limit }.into());
                }
                db.put_quota(&project, resource, limit)?;
                let event = Event::done(rules.now(), &actor, Action::QuotaSet).in_project(&project);
                db.add_event(&event.with_detail(format!("{} = {limit}", resource.as_str())))?;
            }
            Ok(())
        })
    }

    /// Strategies of a project (`None`: the scope's own), of one instance if given.
    pub fn strategies(
        &self,
        scope: &Scope<Read>,
        project: Option<&ProjectId>,
        instance: Option<&str>,
    ) -> Result<Vec<Strategy>> {
        let project = visible_project(scope, project)?;
        self.store.read(|db| match instance.map(str::parse::<InstanceId>) {
            None => Ok(db.strategies_of(project)?),
            Some(Ok(id)) => Ok(db.strategy(project, Some(id))?.into_iter().collect()),
            Some(Err(_not_an_id)) => Ok(Vec::new()),
        })
    }

    /// Creates or replaces the strategy of an instance or of the whole project. Unlike in Trove the instance
    /// has to be known: else a strategy could be made for another project's.
    pub fn put_strategy(&self, scope: &Scope<Write>, new: NewStrategy) -> Reply<Strategy> {
        let project = scope.project().clone();
        let scope = scope.clone();
        self.write(move |db, rules| {
            if let Some(id) = new.instance {
                visible_instance(db, &scope, id)?;
            }
            db.put_strategy(&project, new.instance, &new.container)?;
            let event = Event::done(rules.now(), &scope.actor(), Action::StrategySet);
            let event = Event { object: new.instance.map(|id| id.to_string()), ..event };
            let detail = format!("container = {}", new.container);
            db.add_event(&event.in_project(&project).with_detail(detail))?;
            Ok(Strategy { project, instance: new.instance, container: new.container })
        })
    }

    /// Removes a strategy; that there is none is an error.
    pub fn delete_strategy(
        &self,
        scope: &Scope<Write>,
        project: Option<&ProjectId>,
        instance: Option<InstanceId>,
    ) -> Reply<()> {
        let (project, actor) = (visible_project(scope, project).cloned(), scope.actor());
        self.write(move |db, rules| {
            let project = project?;
            if db.delete_strategy(&project, instance)? {
                let event = Event::done(rules.now(), &actor, Action::StrategyDelete);
                let event = Event { object: instance.map(|id| id.to_string()), ..event };
                return Ok(db.add_event(&event.in_project(&project))?);
            }
            Err(CatalogError::NoSuchStrategy { project, instance })
        })
    }
}

/// The project asked for: the scope's own, or for an administrator any.
fn visible_project<'a, P: Permission>(
    scope: &'a Scope<P>,
    asked: Option<&'a ProjectId>,
) -> Result<&'a ProjectId> {
    let project = asked.unwrap_or(scope.project());
    if scope.covers(project) {
        return Ok(project);
    }
    Err(Forbidden::OtherProject(scope.project().clone()).into())
}

/// The subfolder for a new backup: the one asked for, the instance's, the project's, or none.
pub(super) fn container_for(
    db: Records<'_>,
    instance: &Instance,
    asked: Option<ContainerName>,
) -> Result<Option<ContainerName>> {
    if asked.is_some() {
        return Ok(asked);
    }
    let own = db.strategy(&instance.project, Some(instance.id))?;
    let strategy = if own.is_some() { own } else { db.strategy(&instance.project, None)? };
    Ok(strategy.map(|it| it.container))
}

impl Rules {
    fn quota(
        &self,
        db: Records<'_>,
        project: &ProjectId,
        resource: QuotaResource,
    ) -> Result<ProjectQuota, StoreError> {
        let in_use = in_use(db, project, resource)?;
        Ok(ProjectQuota { resource, in_use, limit: self.limit(db, project, resource)? })
    }

    /// The project's own limit, else the operator's; negative: any number.
    fn limit(
        &self,
        db: Records<'_>,
        project: &ProjectId,
        resource: QuotaResource,
    ) -> Result<i64, StoreError> {
        let usual = match resource {
            QuotaResource::Backups => self.settings.max_backups,
            QuotaResource::Instances => self.settings.max_instances,
        };
        Ok(db.quota(project, resource)?.unwrap_or(usual))
    }

    /// The project may have one more.
    pub(super) fn ensure_quota(
        &self,
        db: Records<'_>,
        project: &ProjectId,
        resource: QuotaResource,
    ) -> Result<()> {
        let limit = self.limit(db, project, resource)?;
        if limit < 0 || in_use(db, project, resource)? < limit {
            return Ok(());
        }
        Err(CatalogError::QuotaExceeded { resource })
    }
}

fn in_use(
    db: Records<'_>,
    project: &ProjectId,
    resource: QuotaResource,
) -> Result<i64, StoreError> {
    match resource {
        QuotaResource::Backups => db.count_backups_of(project),
        QuotaResource::Instances => db.count_restored_of(project),
    }
}
