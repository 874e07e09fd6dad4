//! `…/limits`: what the project may have. Requests are not rationed, so there is only the first row.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::catalog::{Read, Scope};

use super::State;
use super::error::ApiError;
use super::reading::read;

/// `GET limits`.
pub(super) async fn show(
    scope: Scope<Read>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let quotas = read(&state, move |state| {
        let project = scope.project().clone();
        Ok(state.catalog.quotas(&scope, &project)?)
    })
    .await?;
    let mut absolute = Map::from_iter([
        ("verb".to_owned(), Value::from("ABSOLUTE")),
        ("max_ram".to_owned(), Value::from(-1)),
        ("max_volumes".to_owned(), Value::from(-1)),
    ]);
    for quota in quotas {
        absolute.insert(format!("max_{}", quota.resource.as_str()), Value::from(quota.limit));
    }
    Ok(HttpResponse::Ok().json(json!({ "limits": [absolute] })))
}
