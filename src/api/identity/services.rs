//! The services that a token is good for, and where they are: this server's API, and this one.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};

use crate::api::State;
use crate::api::error::ApiError;
use crate::api::link::absolute_base;
use crate::api::operation::{Operation, operations};
use crate::domain::ProjectId;
use crate::wire::{EndpointView, SelfLink, ServiceCatalog, ServiceView};

use super::Asker;

/// The only region. Clients are often configured with this one.
const REGION: &str = "RegionOne";

pub(super) fn routes() -> Vec<Operation> {
    operations![show_service_catalog]
}

/// Show where the services are
#[utoipa::path(
    get,
    path = "/auth/catalog",
    responses((status = 200, description = "The services.", body = ServiceCatalog))
)]
async fn show_service_catalog(
    request: HttpRequest,
    state: Data<State>,
) -> Result<Json<ServiceCatalog>, ApiError> {
    let project = Asker::of(&request, &state)?.caller().and_then(|it| it.project.clone());
    let project = project.ok_or_else(|| {
        ApiError::Forbidden("A token that is for no project has no services.".to_owned())
    })?;
    let base = absolute_base(&request, &state);
    let own = format!("{base}/identity/v3/auth/catalog");
    Ok(Json(ServiceCatalog { catalog: services(&base, &project), links: SelfLink { own } }))
}

/// The services for a project.
pub(super) fn services(base: &str, project: &ProjectId) -> Vec<ServiceView> {
    let of = |name, kind, url: String| ServiceView {
        id: name,
        name,
        kind,
        endpoints: endpoints(name, &url),
    };
    vec![
        of("trove", "database", format!("{base}/v1.0/{project}")),
        of("keystone", "identity", format!("{base}/identity/v3")),
    ]
}

fn endpoints(service: &str, url: &str) -> Vec<EndpointView> {
    let endpoint = |interface| EndpointView {
        id: format!("{service}-{interface}"),
        interface,
        region: REGION,
        region_id: REGION,
        url: url.to_owned(),
    };
    ["public", "internal", "admin"].map(endpoint).into()
}
