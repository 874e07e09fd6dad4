//! The documents that say which versions of the API there are, and what is not there.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::State;
use super::error::ApiError;
use super::link;

/// The only version, as Trove describes it.
fn v1_document(request: &HttpRequest, state: &State) -> Value {
    json!({
        "id": "v1.0",
        "status": "CURRENT",
        "updated": "2012-08-01T00:00:00Z",
        "links": [link::itself(format!("{}/v1.0/", link::base(request, state)))],
    })
}

/// `GET /`.
pub(super) async fn all(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "versions": [v1_document(&request, &state)] }))
}

/// `GET /v1.0`.
pub(super) async fn v1(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "version": v1_document(&request, &state) }))
}

/// `GET /v1.0/{project}`: nothing is there, and Trove says so with 403.
pub(super) async fn bare_project() -> Result<HttpResponse, ApiError> {
    Err(ApiError::Forbidden("Access was denied to this resource.".to_owned()))
}

/// Any path that leads nowhere.
pub(super) async fn unknown_path() -> Result<HttpResponse, ApiError> {
    Err(ApiError::unknown_path())
}
