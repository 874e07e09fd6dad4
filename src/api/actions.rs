//! `…/instances/{id}/action`: what Trove does to the servers that it runs. Coffer runs none.

use actix_web::HttpResponse;

use crate::catalog::{Admin, Read, Write};
use crate::domain::InstanceStatus;
use crate::wire::{ErrorBody, InstanceAction, InstanceActionBody};

use super::error::ApiError;
use super::extract::{Body, Call};
use super::operation::{Operation, operations};

/// The other actions of Trove 25.0.0 (trove/instance/service.py).
const OF_TROVE: [&str; 6] = [
    "restart",
    "resize",
    "reset_password",
    "promote_to_replica_source",
    "eject_replica_source",
    "rebuild",
];

pub(super) fn routes() -> Vec<Operation> {
    operations![act_on_instance]
}

/// Act on an instance: only `reset_status` (administrators)
///
/// The status of an instance is always what Coffer knows, so there is nothing to reset: this is accepted unless something
/// runs.
#[utoipa::path(
    post,
    path = "/instances/{id}/action",
    request_body = InstanceActionBody,
    responses(
        (status = 202, description = "Accepted."),
        (status = 422, description = "It is being restored or backed up.", body = ErrorBody),
        (status = 501, description = "Another action of Trove.", body = ErrorBody),
    )
)]
async fn act_on_instance(
    call: Call<Write>,
    Body(action): Body<InstanceAction>,
) -> Result<HttpResponse, ApiError> {
    if action.reset_status.is_none() {
        return Err(refusal(&action));
    }
    call.scope.also::<Admin>()?;
    let instance = call.state.catalog.instance(&call.scope.also::<Read>()?, call.id()?)?;
    if matches!(instance.status, InstanceStatus::Build | InstanceStatus::Backup) {
        return Err(ApiError::busy(instance.id, instance.status));
    }
    Ok(HttpResponse::Accepted().finish())
}

fn refusal(action: &InstanceAction) -> ApiError {
    match action.others.keys().find(|it| OF_TROVE.contains(&it.as_str())) {
        Some(action) => ApiError::NotImplemented(format!(
            "The '{action}' operation is not supported: Coffer backs databases up and does not run their servers."
        )),
        None => ApiError::BadRequest(
            "Validation error: 'reset_status' is a required property".to_owned(),
        ),
    }
}
