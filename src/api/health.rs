//! `GET /healthcheck`: whether this server could answer a client.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::State;
use super::error::ApiError;
use super::reading::read;

/// 200 if the catalog's database answers, 503 if not.
pub(super) async fn check(state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let answers = read(&state, |state| Ok(state.catalog.ping()?)).await;
    match answers {
        Ok(()) => Ok(HttpResponse::Ok().json(json!({ "status": "ok", "version": state.version }))),
        Err(error) => {
            log::warn!("the health check failed: {error}");
            Err(ApiError::Unavailable)
        }
    }
}
