//! The versions of the API, and the answers where nothing is.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};

use crate::wire::{ApiVersion, ApiVersionAnswer, ApiVersionList, Link};

use super::error::ApiError;
use super::operation::{Operation, operations};
use super::{State, link};

pub(super) fn public_routes() -> Vec<Operation> {
    operations![list_versions, show_version_1, show_version_1_slash]
}

pub(super) fn project_routes() -> Vec<Operation> {
    operations![bare_project]
}

/// The only version, as Trove describes it.
fn version_1(request: &HttpRequest, state: &State) -> ApiVersion {
    let href = format!("{}/v1.0/", link::base_at_any_port(request, state));
    ApiVersion {
        id: "v1.0".to_owned(),
        status: "CURRENT".to_owned(),
        updated: "2012-08-01T00:00:00Z".to_owned(),
        links: vec![Link { href, rel: "self".to_owned() }],
    }
}

/// The identity API, for clients that look for Keystone at the root of this server.
fn identity_3(request: &HttpRequest, state: &State) -> ApiVersion {
    let href = format!("{}/identity/v3/", link::absolute_base(request, state));
    ApiVersion {
        id: "v3.14".to_owned(),
        status: "stable".to_owned(),
        updated: "2020-04-07T00:00:00Z".to_owned(),
        links: vec![Link { href, rel: "self".to_owned() }],
    }
}

/// List the versions of this API, and that of the identity API
#[utoipa::path(
    get,
    path = "/",
    responses((status = 200, description = "The versions.", body = ApiVersionList))
)]
async fn list_versions(request: HttpRequest, state: Data<State>) -> Json<ApiVersionList> {
    let versions = vec![version_1(&request, &state), identity_3(&request, &state)];
    Json(ApiVersionList { versions })
}

/// Show this version
#[utoipa::path(
    get,
    path = "/v1.0",
    responses((status = 200, description = "The version.", body = ApiVersionAnswer))
)]
async fn show_version_1(request: HttpRequest, state: Data<State>) -> Json<ApiVersionAnswer> {
    Json(ApiVersionAnswer { version: version_1(&request, &state) })
}

/// Show this version
#[utoipa::path(
    get,
    path = "/v1.0/",
    responses((status = 200, description = "The version.", body = ApiVersionAnswer))
)]
async fn show_version_1_slash(request: HttpRequest, state: Data<State>) -> Json<ApiVersionAnswer> {
    show_version_1(request, state).await
}

/// Nothing is here: Trove answers 403
#[utoipa::path(get, path = "", responses())]
async fn bare_project() -> Result<HttpResponse, ApiError> {
    Err(ApiError::Forbidden("Access was denied to this resource.".to_owned()))
}

/// Any path that leads nowhere.
pub(super) async fn unknown_path() -> Result<HttpResponse, ApiError> {
    Err(ApiError::unknown_path())
}
