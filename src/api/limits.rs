//! `…/limits`: what the project may have, and how often it may ask: requests are not rationed, which the
//! rows say in Trove's word for "any number", -1.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::catalog::{Read, Scope};
use crate::domain::{Clock as _, SystemClock};

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
    let mut limits = vec![Value::from(absolute)];
    limits.extend(["POST", "PUT", "DELETE", "GET"].map(unrationed));
    Ok(HttpResponse::Ok().json(json!({ "limits": limits })))
}

/// The row of a method: as many requests as one likes, and the next one now.
fn unrationed(verb: &str) -> Value {
    json!({
        "verb": verb,
        "uri": "*",
        "regex": ".*",
        "unit": "MINUTE",
        "value": -1,
        "remaining": -1,
        "nextAvailable": format!("{}Z", SystemClock.now().to_wire()),
    })
}
