//! `GET /healthcheck`: whether this server could answer a client; and `…/health`: whether everything is safe.

use actix_web::web::{Data, Json};

use crate::catalog::{Health as CatalogHealth, Read};
use crate::wire::{ErrorBody, Health, HealthAnswer, HealthStatus, HealthView};

use super::State;
use super::error::{ApiError, LATER};
use super::extract::{Call, truthy};
use super::operation::{Operation, operations};

pub(super) fn public_routes() -> Vec<Operation> {
    operations![check_health]
}

pub(super) fn project_routes() -> Vec<Operation> {
    operations![show_health]
}

/// Whether the server can answer
#[utoipa::path(
    get,
    path = "/healthcheck",
    responses(
        (status = 200, description = "It can, also if `status` is `stopped`.", body = Health),
        (status = 503, description = "The catalog's database does not answer.", body = ErrorBody),
    )
)]
async fn check_health(state: Data<State>) -> Result<Json<Health>, ApiError> {
    state.users.look();
    match state.catalog.ping() {
        Ok(()) => Ok(Json(Health {
            status: if state.catalog.is_stopped() {
                HealthStatus::Stopped
            } else {
                HealthStatus::Ok
            },
            version: state.version.to_owned(),
            notices: state.catalog.notices(),
        })),
        Err(error) => {
            log::warn!("the health check failed: {error}");
            Err(error.outage().map_or(ApiError::Unavailable(LATER), |_outage| error.into()))
        }
    }
}

/// Show whether everything is safe
///
/// An extension: per instance the last good backup, the last drill, the next run and what is wrong, the worst first.
#[utoipa::path(
    get,
    path = "/health",
    params(
        ("all_projects" = Option<String>, Query,
            description = "`true`: of every project (administrators)."),
    ),
    responses((status = 200, description = "How everything is.", body = HealthAnswer))
)]
async fn show_health(call: Call<Read>) -> Result<Json<HealthAnswer>, ApiError> {
    call.state.users.look();
    let every_project = call.query()?.filter("all_projects")?.is_some_and(truthy);
    let found = call.read_long(move |catalog, scope| catalog.health(scope, every_project)).await?;
    Ok(Json(HealthAnswer { health: view(found) }))
}

fn view(found: CatalogHealth) -> HealthView {
    let instances = found.instances.into_iter().map(|it| (it.instance, it.health));
    HealthView::new(found.problems, found.notices, instances, found.room).with_places(found.places)
}
