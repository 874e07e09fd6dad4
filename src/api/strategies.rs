//! `…/backup_strategies`: which subfolder the backups of an instance or a project go to.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::catalog::{CatalogError, Permission, Read, Scope, Write};
use crate::domain::{InstanceId, ProjectId};

use super::State;
use super::error::ApiError;
use super::extract::{JsonBody, Query};
use super::reading::read;
use super::view_strategy as view;

/// `GET backup_strategies`.
pub(super) async fn list(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let query = Query::of(&request)?;
    let project = project(&query, &scope)?;
    let instance = query.filter("instance_id")?.map(str::to_owned);
    let rows = read(&state, move |state| {
        Ok(state.catalog.strategies(&scope, project.as_ref(), instance.as_deref())?)
    })
    .await?;
    let backend = state.shelf.driver();
    let rows: Vec<_> = rows.iter().map(|row| view::strategy(row, backend)).collect();
    Ok(HttpResponse::Ok().json(json!({ "backup_strategies": rows })))
}

/// `POST backup_strategies`: creates or replaces.
pub(super) async fn create(
    scope: Scope<Write>,
    body: JsonBody,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let new = view::wanted(&body.0)?;
    let row = state.catalog.put_strategy(&scope, new).done().await?;
    let row = view::strategy(&row, state.shelf.driver());
    Ok(HttpResponse::Accepted().json(json!({ "backup_strategy": row })))
}

/// `DELETE backup_strategies`. There being none is what was wanted.
pub(super) async fn delete(
    scope: Scope<Write>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let query = Query::of(&request)?;
    let project = project(&query, &scope)?;
    let instance: Option<InstanceId> = match query.filter("instance_id")?.map(str::parse) {
        // No instance has such an id, so none has a strategy.
        Some(Err(_malformed)) => return Ok(HttpResponse::Accepted().finish()),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    match state.catalog.delete_strategy(&scope, project.as_ref(), instance).done().await {
        Ok(()) | Err(CatalogError::NoSuchStrategy { .. }) => Ok(HttpResponse::Accepted().finish()),
        Err(error) => Err(error.into()),
    }
}

/// The project of the query. Another one than the path's is for administrators.
fn project<P: Permission>(query: &Query, scope: &Scope<P>) -> Result<Option<ProjectId>, ApiError> {
    let Some(text) = query.filter("project_id")? else { return Ok(None) };
    let wanted = text.parse::<ProjectId>();
    if !scope.caller().is_admin() && wanted.as_ref().ok() != Some(scope.project()) {
        let own = scope.project();
        return Err(ApiError::Forbidden(format!("Operation not allowed for tenant {own}.")));
    }
    wanted.map(Some).map_err(|error| ApiError::BadRequest(format!("project_id: {error}")))
}
