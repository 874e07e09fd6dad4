//! `…/datastores`: the engines and versions that backups here are of.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::catalog::{Read, Scope};
use crate::domain::Datastore;

use super::State;
use super::error::ApiError;
use super::extract::segment;
use super::link;
use super::reading::read;
use super::view_datastore::{self as view, Place};

async fn known(state: &web::Data<State>) -> Result<Vec<Datastore>, ApiError> {
    read(state, |state| Ok(state.catalog.datastores()?)).await
}

fn place(scope: &Scope<Read>, request: &HttpRequest, state: &State) -> Place {
    Place { base: link::base(request, state), project: scope.project().to_string() }
}

/// `GET datastores`.
pub(super) async fn list(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let known = known(&state).await?;
    let rows = view::datastores(&place(&scope, &request, &state), &known);
    Ok(HttpResponse::Ok().json(json!({ "datastores": rows })))
}

/// `GET datastores/{name or id}`.
pub(super) async fn show(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let known = known(&state).await?;
    let engine = view::engine_named(segment(&request, "datastore"), &known)?;
    let row = view::datastore(&place(&scope, &request, &state), engine, &known);
    Ok(HttpResponse::Ok().json(json!({ "datastore": row })))
}

/// `GET datastores/{name or id}/versions`.
pub(super) async fn versions(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let known = known(&state).await?;
    let engine = view::engine_named(segment(&request, "datastore"), &known)?;
    let place = place(&scope, &request, &state);
    let rows: Vec<_> = known
        .iter()
        .filter(|datastore| datastore.engine == engine)
        .map(|datastore| view::version(&place, datastore))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "versions": rows })))
}

/// `GET datastores/{name or id}/versions/{name or id}`.
pub(super) async fn show_version(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let known = known(&state).await?;
    let engine = view::engine_named(segment(&request, "datastore"), &known)?;
    let of_engine = known.iter().filter(|datastore| datastore.engine == engine);
    let found = view::version_named(segment(&request, "version"), of_engine)?;
    let row = view::version(&place(&scope, &request, &state), found);
    Ok(HttpResponse::Ok().json(json!({ "version": row })))
}

/// `GET datastores/versions/{id}`.
pub(super) async fn show_version_alone(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let known = known(&state).await?;
    let wanted = segment(&request, "version");
    let by_id = known.iter().filter(|datastore| datastore.version_id() == wanted);
    let found = view::version_named(wanted, by_id)?;
    let row = view::version(&place(&scope, &request, &state), found);
    Ok(HttpResponse::Ok().json(json!({ "version": row })))
}
