//! `GET /openapi.json`: this API as an `OpenAPI` document, made from the routes themselves when the tests run.

#[cfg(test)]
mod document;

use actix_web::HttpResponse;

use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![openapi_document]
}

/// Show this API as an OpenAPI document
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "The document.", body = utoipa::openapi::Object))
)]
async fn openapi_document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi_text())
}

/// The document as JSON.
#[must_use]
pub fn openapi_text() -> &'static str {
    include_str!("openapi/openapi.json")
}
