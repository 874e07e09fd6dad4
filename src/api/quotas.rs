//! `…/mgmt/quotas/{project}`: how many backups and restored instances a project may have.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::catalog::{Admin, QuotaResource, Read, Scope};
use crate::domain::ProjectId;

use super::State;
use super::error::ApiError;
use super::extract::{Checker, JsonBody, segment};
use super::reading::read;

/// What there are quotas of.
const RESOURCES: [QuotaResource; 2] = [QuotaResource::Backups, QuotaResource::Instances];

/// `GET mgmt/quotas/{project}`.
pub(super) async fn show(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let project = project(&request)?;
    if !scope.covers(&project) {
        let own = scope.project();
        return Err(ApiError::Forbidden(format!("Operation not allowed for tenant {own}.")));
    }
    let quotas = read(&state, move |state| Ok(state.catalog.quotas(&scope, &project)?)).await?;
    let rows: Vec<Value> = quotas
        .iter()
        .map(|quota| {
            json!({
                "resource": quota.resource.as_str(),
                "in_use": quota.in_use,
                "reserved": 0,
                "limit": quota.limit,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "quotas": rows })))
}

/// `PUT mgmt/quotas/{project}`.
pub(super) async fn update(
    scope: Scope<Admin>,
    body: JsonBody,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let project = project(&request)?;
    let limits = wanted(&body.0)?;
    let answer: Map<String, Value> = limits
        .iter()
        .map(|(resource, limit)| (resource.as_str().to_owned(), Value::from(*limit)))
        .collect();
    state.catalog.set_quotas(&scope, &project, limits).done().await?;
    Ok(HttpResponse::Ok().json(json!({ "quotas": answer })))
}

fn project(request: &HttpRequest) -> Result<ProjectId, ApiError> {
    let text = segment(request, "project");
    text.parse().map_err(|_malformed| ApiError::unknown_id(text))
}

fn wanted(body: &Value) -> Result<Vec<(QuotaResource, i64)>, ApiError> {
    let mut check = Checker::default();
    let quotas = check.root(body, "quotas")?;
    let unknown: Vec<&str> = quotas
        .fields()
        .keys()
        .map(String::as_str)
        .filter(|name| RESOURCES.iter().all(|resource| resource.as_str() != *name))
        .collect();
    if !unknown.is_empty() {
        let shown: String = unknown.join(" ").chars().take(255).collect();
        return Err(ApiError::NotFound(format!("Unknown quota resources {shown}.")));
    }
    let limits: Vec<(QuotaResource, i64)> = RESOURCES
        .into_iter()
        .filter_map(|resource| {
            let limit = check.integer(&quotas, resource.as_str(), (-1, i64::from(i32::MAX)))?;
            Some((resource, limit))
        })
        .collect();
    check.finish()?;
    if limits.is_empty() {
        let why = "Validation error: quotas {} does not have enough properties";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    Ok(limits)
}
