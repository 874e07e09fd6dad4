//! `…/instances`: what backups are made of, and restores, which make new ones.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::catalog::{Admin, Read, Scope, Write};
use crate::domain::InstanceId;

use super::State;
use super::error::ApiError;
use super::extract::{self, JsonBody, Query};
use super::reading::read;
use super::{link, view_instance as view, view_restore};

/// `GET instances` and `GET instances/detail`.
pub(super) async fn list(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let query = Query::of(&request)?;
    let limit = extract::limit(&query, state.instance_page, state.instance_page)?.rows();
    let after = query.once("marker")?.map(marker).transpose()?;
    let project = scope.project().to_string();
    let page =
        read(&state, move |state| Ok(state.catalog.instances(&scope, after, limit)?)).await?;
    let base = link::base(&request, &state);
    let rows: Vec<_> = page.rows.iter().map(|row| view::instance(&base, &project, row)).collect();
    let mut body = json!({ "instances": rows });
    if let (Some(next), Some(fields)) = (page.next, body.as_object_mut()) {
        let next = link::ListUrl::of(&request, &state).next(&next.to_string());
        fields.insert("links".to_owned(), json!([next]));
    }
    Ok(HttpResponse::Ok().json(body))
}

fn marker(text: &str) -> Result<InstanceId, ApiError> {
    text.parse().map_err(|error| ApiError::BadRequest(format!("marker: {error}")))
}

/// `GET mgmt/instances`: every project's.
pub(super) async fn list_all(
    scope: Scope<Admin>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let rows = read(&state, move |state| Ok(state.catalog.all_instances(&scope)?)).await?;
    let base = link::base(&request, &state);
    let rows: Vec<_> = rows.iter().map(|row| view::instance_with_owner(&base, row)).collect();
    Ok(HttpResponse::Ok().json(json!({ "instances": rows })))
}

/// `GET instances/{id}`.
pub(super) async fn show(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = extract::instance_id(&request)?;
    let project = scope.project().to_string();
    let row = read(&state, move |state| Ok(state.catalog.instance(&scope, id)?)).await?;
    let row = view::instance(&link::base(&request, &state), &project, &row);
    Ok(HttpResponse::Ok().json(json!({ "instance": row })))
}

/// `POST instances`: restores a backup into a new instance.
pub(super) async fn create(
    scope: Scope<Write>,
    body: JsonBody,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let new = body.into(view_restore::wanted)?;
    let row = state.catalog.create_instance(&scope, new).done().await?;
    let row = view::instance(&link::base(&request, &state), scope.project().as_str(), &row);
    Ok(HttpResponse::Ok().json(json!({ "instance": row })))
}

/// `DELETE instances/{id}`: a restored one, with its data.
pub(super) async fn delete(
    scope: Scope<Write>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = extract::instance_id(&request)?;
    state.catalog.delete_instance(&scope, id).done().await?;
    Ok(HttpResponse::Accepted().finish())
}
