//! What a project has of its own: backup strategies and quotas.

use rusqlite::{Row, params};

use super::sql::{execute, query_all, query_first, statements};
use super::{Records, Result};
use crate::domain::{ContainerName, InstanceId, ProjectId, QuotaResource, Strategy};

statements! {
    STRATEGIES_OF = "SELECT project, instance, container FROM strategies
         WHERE project = ?1 ORDER BY instance";

    STRATEGY = "SELECT project, instance, container FROM strategies
         WHERE project = ?1 AND instance = ?2";

    PUT_STRATEGY = "INSERT INTO strategies (project, instance, container)
         VALUES (?1, ?2, ?3)
         ON CONFLICT (project, instance) DO UPDATE SET container = excluded.container";

    DELETE_STRATEGY = "DELETE FROM strategies WHERE project = ?1 AND instance = ?2";

    QUOTA = "SELECT hard_limit FROM quotas WHERE project = ?1 AND resource = ?2";

    PUT_QUOTA = "INSERT INTO quotas (project, resource, hard_limit) VALUES (?1, ?2, ?3)
         ON CONFLICT (project, resource) DO UPDATE SET hard_limit = excluded.hard_limit";
}

fn read(row: &Row<'_>) -> rusqlite::Result<Strategy> {
    let instance: String = row.get("instance")?;
    let instance = if instance.is_empty() { None } else { Some(row.get("instance")?) };
    Ok(Strategy { project: row.get("project")?, instance, container: row.get("container")? })
}

/// The key of the row for the whole project is the empty text.
fn key(instance: Option<InstanceId>) -> String {
    instance.map_or_else(String::new, |id| id.to_string())
}

impl Records<'_> {
    /// Every strategy of a project, the one for the whole project first.
    pub fn strategies_of(self, project: &ProjectId) -> Result<Vec<Strategy>> {
        query_all(self.0, STRATEGIES_OF, [project], read)
    }

    /// The strategy of exactly this instance, or of the project itself.
    pub fn strategy(
        self,
        project: &ProjectId,
        instance: Option<InstanceId>,
    ) -> Result<Option<Strategy>> {
        query_first(self.0, STRATEGY, params![project, key(instance)], read)
    }

    pub fn put_strategy(
        self,
        project: &ProjectId,
        instance: Option<InstanceId>,
        container: &ContainerName,
    ) -> Result<()> {
        execute(self.0, PUT_STRATEGY, params![project, key(instance), container]).map(drop)
    }

    pub fn delete_strategy(
        self,
        project: &ProjectId,
        instance: Option<InstanceId>,
    ) -> Result<bool> {
        Ok(execute(self.0, DELETE_STRATEGY, params![project, key(instance)])? > 0)
    }

    /// The project's own limit of a resource, if it has one.
    pub fn quota(self, project: &ProjectId, resource: QuotaResource) -> Result<Option<i64>> {
        query_first(self.0, QUOTA, params![project, resource], |row| row.get(0))
    }

    pub fn put_quota(self, project: &ProjectId, resource: QuotaResource, limit: i64) -> Result<()> {
        execute(self.0, PUT_QUOTA, params![project, resource, limit]).map(drop)
    }
}
