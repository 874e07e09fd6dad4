//! Which subfolder the backups of an instance, or of a project, go to.

use super::{Catalog, CatalogError, NewStrategy, Permission, Read, Reply, Scope, Write};
use crate::domain::{InstanceId, ProjectId, Strategy};

impl Catalog {
    /// Strategies of a project (`None`: the scope's own), of one instance if given.
    pub fn strategies(
        &self,
        scope: &Scope<Read>,
        project: Option<&ProjectId>,
        instance: Option<&str>,
    ) -> Result<Vec<Strategy>, CatalogError> {
        let project = chosen(scope, project)?;
        self.store.read(|db| match instance.map(str::parse::<InstanceId>) {
            None => Ok(db.strategies_of(project)?),
            Some(Ok(id)) => Ok(db.strategy(project, Some(id))?.into_iter().collect()),
            Some(Err(_not_an_id)) => Ok(Vec::new()),
        })
    }

    /// Creates or replaces the strategy of an instance or of the whole project. As in Trove the instance
    /// need not be known: a strategy may be there before it.
    pub fn put_strategy(&self, scope: &Scope<Write>, new: NewStrategy) -> Reply<Strategy> {
        let project = scope.project().clone();
        self.write(move |db, _rules| {
            db.put_strategy(&project, new.instance, &new.container)?;
            Ok(Strategy { project, instance: new.instance, container: new.container })
        })
    }

    /// Removes it; there being none is an error (Trove: 404).
    pub fn delete_strategy(
        &self,
        scope: &Scope<Write>,
        project: Option<&ProjectId>,
        instance: Option<InstanceId>,
    ) -> Reply<()> {
        let project = chosen(scope, project).cloned();
        self.write(move |db, _rules| {
            let project = project?;
            if db.delete_strategy(&project, instance)? {
                return Ok(());
            }
            let instance = instance.map_or_else(String::new, |id| id.to_string());
            Err(CatalogError::NoSuchStrategy { project: project.to_string(), instance })
        })
    }
}

/// The project asked for: the scope's own, or for an administrator any.
fn chosen<'a, P: Permission>(
    scope: &'a Scope<P>,
    asked: Option<&'a ProjectId>,
) -> Result<&'a ProjectId, CatalogError> {
    let project = asked.unwrap_or(scope.project());
    if scope.covers(project) {
        return Ok(project);
    }
    let why = format!("Operation not allowed for tenant {}.", scope.project());
    Err(CatalogError::Forbidden { why })
}
