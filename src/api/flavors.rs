//! `…/flavors`: one, because the stock client insists on naming one to restore.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::catalog::{Read, Scope};

use super::State;
use super::error::ApiError;
use super::extract::segment;
use super::{link, view_instance as view};

/// `GET flavors`.
pub(super) async fn list(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> HttpResponse {
    let flavor = view::flavor(&link::base(&request, &state), scope.project().as_str());
    HttpResponse::Ok().json(json!({ "flavors": [flavor] }))
}

/// `GET flavors/{id}`.
pub(super) async fn show(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = segment(&request, "id");
    if id != "1" {
        return Err(ApiError::unknown_id(id));
    }
    let flavor = view::flavor(&link::base(&request, &state), scope.project().as_str());
    Ok(HttpResponse::Ok().json(json!({ "flavor": flavor })))
}
