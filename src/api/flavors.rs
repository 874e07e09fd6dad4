//! `…/flavors`: one, because the OpenStack client insists on naming one to restore.

use actix_web::web::Json;

use crate::catalog::Read;
use crate::wire::{Flavor, FlavorAnswer, FlavorList};

use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_flavors, show_flavor]
}

/// List flavors: there is one
#[utoipa::path(
    get,
    path = "/flavors",
    responses((status = 200, description = "All of them.", body = FlavorList))
)]
async fn list_flavors(call: Call<Read>) -> Json<FlavorList> {
    Json(FlavorList { flavors: vec![flavor(&call)] })
}

/// Show a flavor
#[utoipa::path(
    get,
    path = "/flavors/{id}",
    responses((status = 200, description = "The flavor.", body = FlavorAnswer))
)]
async fn show_flavor(call: Call<Read>) -> Result<Json<FlavorAnswer>, ApiError> {
    let id = call.path_parameter("id");
    if id != "1" {
        return Err(ApiError::unknown_id(id));
    }
    Ok(Json(FlavorAnswer { flavor: flavor(&call) }))
}

fn flavor(call: &Call<Read>) -> Flavor {
    Flavor {
        id: 1,
        str_id: "1".to_owned(),
        name: "local".to_owned(),
        ram: 0,
        vcpus: 0,
        disk: 0,
        ephemeral: 0,
        links: call.links("flavors/1"),
    }
}
