//! What a project may have. What it has is counted from rows, in the transaction that adds one.

use super::rules::Rules;
use super::{Admin, Catalog, CatalogError, Quota, QuotaResource, Read, Reply, Scope};
use crate::domain::ProjectId;
use crate::store::{Records, StoreError};

impl Catalog {
    /// What a project may have and has.
    pub fn quotas(
        &self,
        scope: &Scope<Read>,
        project: &ProjectId,
    ) -> Result<Vec<Quota>, CatalogError> {
        if !scope.covers(project) {
            let why = format!("Operation not allowed for tenant {}.", scope.project());
            return Err(CatalogError::Forbidden { why });
        }
        let both = [QuotaResource::Instances, QuotaResource::Backups];
        self.store
            .read(|db| both.into_iter().map(|it| Ok(self.rules.quota(db, project, it)?)).collect())
    }

    /// Sets quotas of a project.
    pub fn set_quotas(
        &self,
        _scope: &Scope<Admin>,
        project: &ProjectId,
        limits: Vec<(QuotaResource, i64)>,
    ) -> Reply<()> {
        let project = project.clone();
        self.write(move |db, _rules| {
            for (resource, limit) in limits {
                if limit < -1 {
                    let why = format!("The quota of {} cannot be {limit}.", resource.as_str());
                    return Err(CatalogError::Invalid { why });
                }
                db.put_quota(&project, resource.as_str(), limit)?;
            }
            Ok(())
        })
    }
}

impl Rules {
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
        Ok(db.quota(project, resource.as_str())?.unwrap_or(usual))
    }

    fn quota(
        &self,
        db: Records<'_>,
        project: &ProjectId,
        resource: QuotaResource,
    ) -> Result<Quota, StoreError> {
        let in_use = in_use(db, project, resource)?;
        Ok(Quota { resource, in_use, limit: self.limit(db, project, resource)? })
    }

    /// One more fits. Nothing is counted where any number does.
    pub(super) fn must_have_room(
        &self,
        db: Records<'_>,
        project: &ProjectId,
        resource: QuotaResource,
    ) -> Result<(), CatalogError> {
        let limit = self.limit(db, project, resource)?;
        if limit < 0 || in_use(db, project, resource)? < limit {
            return Ok(());
        }
        Err(CatalogError::QuotaExceeded { resource: resource.as_str() })
    }
}

fn in_use(
    db: Records<'_>,
    project: &ProjectId,
    resource: QuotaResource,
) -> Result<i64, StoreError> {
    match resource {
        QuotaResource::Backups => db.backups_of(project),
        QuotaResource::Instances => db.restored_instances_of(project),
    }
}
