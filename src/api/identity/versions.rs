//! The versions of the identity API.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};

use crate::api::State;
use crate::api::link::absolute_base;
use crate::api::operation::{Operation, operations};
use crate::wire::{
    IdentityVersion, IdentityVersionAnswer, IdentityVersionList, IdentityVersionValues, Link,
    MediaType,
};

pub(super) fn public_routes() -> Vec<Operation> {
    operations![list_identity_versions, list_identity_versions_slash]
}

pub(super) fn routes() -> Vec<Operation> {
    operations![show_identity_version, show_identity_version_slash]
}

fn version_3(request: &HttpRequest, state: &State) -> IdentityVersion {
    let href = format!("{}/identity/v3/", absolute_base(request, state));
    IdentityVersion {
        id: "v3.14",
        status: "stable",
        updated: "2020-04-07T00:00:00Z",
        links: vec![Link { href, rel: "self".to_owned() }],
        media_types: vec![MediaType {
            base: "application/json",
            kind: "application/vnd.openstack.identity-v3+json",
        }],
    }
}

/// List the versions of the identity API
#[utoipa::path(
    get,
    path = "/identity",
    responses((status = 300, description = "The versions.", body = IdentityVersionList))
)]
async fn list_identity_versions(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let versions = IdentityVersionValues { values: vec![version_3(&request, &state)] };
    HttpResponse::MultipleChoices().json(IdentityVersionList { versions })
}

/// List the versions of the identity API
#[utoipa::path(
    get,
    path = "/identity/",
    responses((status = 300, description = "The versions.", body = IdentityVersionList))
)]
async fn list_identity_versions_slash(request: HttpRequest, state: Data<State>) -> HttpResponse {
    list_identity_versions(request, state).await
}

/// Show the version of the identity API
#[utoipa::path(
    get,
    path = "",
    responses((status = 200, description = "The version.", body = IdentityVersionAnswer))
)]
async fn show_identity_version(
    request: HttpRequest,
    state: Data<State>,
) -> Json<IdentityVersionAnswer> {
    Json(IdentityVersionAnswer { version: version_3(&request, &state) })
}

/// Show the version of the identity API
#[utoipa::path(
    get,
    path = "/",
    responses((status = 200, description = "The version.", body = IdentityVersionAnswer))
)]
async fn show_identity_version_slash(
    request: HttpRequest,
    state: Data<State>,
) -> Json<IdentityVersionAnswer> {
    show_identity_version(request, state).await
}
