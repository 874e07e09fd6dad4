//! `…/flavors`: one, because the stock client insists on naming one to restore.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};

use crate::catalog::{Read, Scope};
use crate::wire::{Flavor, FlavorAnswer, FlavorList};

use super::error::ApiError;
use super::extract::segment;
use super::operation::{Operation, operations};
use super::{State, link};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_flavors, show_flavor]
}

/// List flavors: there is one
#[utoipa::path(
    get,
    path = "/flavors",
    responses((status = 200, description = "All of them.", body = FlavorList))
)]
async fn list_flavors(
    scope: Scope<Read>,
    request: HttpRequest,
    state: Data<State>,
) -> Json<FlavorList> {
    Json(FlavorList { flavors: vec![flavor(&scope, &request, &state)] })
}

/// Show a flavor
#[utoipa::path(
    get,
    path = "/flavors/{id}",
    responses((status = 200, description = "The flavor.", body = FlavorAnswer))
)]
async fn show_flavor(
    scope: Scope<Read>,
    request: HttpRequest,
    state: Data<State>,
) -> Result<Json<FlavorAnswer>, ApiError> {
    let id = segment(&request, "id");
    if id != "1" {
        return Err(ApiError::unknown_id(id));
    }
    Ok(Json(FlavorAnswer { flavor: flavor(&scope, &request, &state) }))
}

fn flavor(scope: &Scope<Read>, request: &HttpRequest, state: &State) -> Flavor {
    Flavor {
        id: 1,
        str_id: "1".to_owned(),
        name: "local".to_owned(),
        ram: 0,
        vcpus: 0,
        disk: 0,
        ephemeral: 0,
        links: link::to(&link::base(request, state), scope.project().as_str(), "flavors/1"),
    }
}
