//! `…/backup_strategies`: which subfolder the backups of an instance or a project go to.

use actix_web::HttpResponse;
use actix_web::web::Json;

use crate::catalog::{CatalogError, Forbidden, NewStrategy, Permission, Read, Scope, Write};
use crate::domain::{InstanceId, ProjectId, Strategy};
use crate::wire::{CreateStrategyBody, StrategyAnswer, StrategyList, StrategyView};

use super::State;
use super::error::ApiError;
use super::extract::{Body, Call, Query};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_strategies, create_strategy, delete_strategy]
}

/// List backup strategies
#[utoipa::path(
    get,
    path = "/backup_strategies",
    params(
        ("instance_id" = Option<String>, Query, description = "Of this instance only."),
        ("project_id" = Option<String>, Query, description = "Of another project (administrators)."),
    ),
    responses((status = 200, description = "All of them.", body = StrategyList))
)]
async fn list_strategies(call: Call<Read>) -> Result<Json<StrategyList>, ApiError> {
    let query = call.query()?;
    let project = project(&query, &call.scope)?;
    let instance = query.filter("instance_id")?;
    let (catalog, scope) = call.catalog();
    let rows = catalog.strategies(scope, project.as_ref(), instance)?;
    let backup_strategies = rows.into_iter().map(|row| strategy(row, &call.state)).collect();
    Ok(Json(StrategyList { backup_strategies }))
}

/// Set the subfolder of an instance's or the project's backups
#[utoipa::path(
    post,
    path = "/backup_strategies",
    request_body = CreateStrategyBody,
    responses((status = 202, description = "Created or replaced.", body = StrategyAnswer))
)]
async fn create_strategy(
    call: Call<Write>,
    Body(body): Body<CreateStrategyBody>,
) -> Result<HttpResponse, ApiError> {
    let wanted = body.backup_strategy;
    let new = NewStrategy { instance: wanted.instance_id, container: wanted.swift_container };
    let row = call.state.catalog.put_strategy(&call.scope, new).done().await?;
    let answer = StrategyAnswer { backup_strategy: strategy(row, &call.state) };
    Ok(HttpResponse::Accepted().json(answer))
}

/// Delete a backup strategy
///
/// It is no error if there is none.
#[utoipa::path(
    delete,
    path = "/backup_strategies",
    params(
        ("instance_id" = Option<String>, Query, description = "That of this instance."),
        ("project_id" = Option<String>, Query, description = "Of another project (administrators)."),
    ),
    responses((status = 202, description = "There is none any more."))
)]
async fn delete_strategy(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    let query = call.query()?;
    let project = project(&query, &call.scope)?;
    let instance: Option<InstanceId> = match query.filter("instance_id")?.map(str::parse) {
        // No instance has such an id, so none has a strategy.
        Some(Err(_malformed)) => return Ok(HttpResponse::Accepted().finish()),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    let catalog = &call.state.catalog;
    match catalog.delete_strategy(&call.scope, project.as_ref(), instance).done().await {
        Ok(()) | Err(CatalogError::NoSuchStrategy { .. }) => Ok(HttpResponse::Accepted().finish()),
        Err(error) => Err(error.into()),
    }
}

/// The project of the query. Another one than the path's is for administrators.
fn project<P: Permission>(query: &Query, scope: &Scope<P>) -> Result<Option<ProjectId>, ApiError> {
    let Some(text) = query.filter("project_id")? else { return Ok(None) };
    let wanted = text.parse::<ProjectId>();
    if !scope.caller().is_admin() && wanted.as_ref().ok() != Some(scope.project()) {
        let own = scope.project().clone();
        return Err(CatalogError::from(Forbidden::OtherProject(own)).into());
    }
    wanted.map(Some).map_err(|error| ApiError::BadRequest(format!("project_id: {error}")))
}

fn strategy(row: Strategy, state: &State) -> StrategyView {
    StrategyView {
        project_id: row.project,
        instance_id: row.instance.map(|id| id.to_string()).unwrap_or_default(),
        backend: state.archives.driver().to_owned(),
        swift_container: row.container,
    }
}
