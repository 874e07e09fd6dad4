//! `GET /openapi.json`: this API in OpenAPI's words, kept by hand beside the code. A test holds it
//! against the table of routes.

use actix_web::HttpResponse;

/// The document.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT)
}
