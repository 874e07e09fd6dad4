//! `GET /healthcheck`: whether this server could answer a client.

use actix_web::web::{Data, Json};

use crate::wire::{ErrorBody, Health, HealthStatus};

use super::State;
use super::error::{ApiError, LATER};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![check_health]
}

/// Whether the server can answer
#[utoipa::path(
    get,
    path = "/healthcheck",
    responses(
        (status = 200, description = "It can.", body = Health),
        (status = 503, description = "The catalog's database does not answer.", body = ErrorBody),
    )
)]
async fn check_health(state: Data<State>) -> Result<Json<Health>, ApiError> {
    match state.catalog.ping() {
        Ok(()) => Ok(Json(Health {
            status: HealthStatus::Ok,
            version: state.version.to_owned(),
            notices: state.catalog.notices(),
        })),
        Err(error) => {
            log::warn!("the health check failed: {error}");
            Err(ApiError::Unavailable(LATER))
        }
    }
}
