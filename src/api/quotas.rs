//! `…/mgmt/quotas/{project}` and `…/limits`: how many backups and restored instances a project may have.

use actix_web::web::Json;

use crate::catalog::{Admin, Permission, Read};
use crate::domain::{Clock as _, ProjectId, ProjectQuota, QuotaResource, SystemClock};
use crate::wire::{
    AbsoluteLimits, LimitList, LimitRow, QuotaLimits, QuotaLimitsBody, QuotaList, QuotaUsage,
    RateLimit,
};

use super::error::ApiError;
use super::extract::{Body, Call};
use super::operation::{Operation, operations};

/// Trove's number for "no limit".
const UNLIMITED: i64 = -1;

/// Trove's resources that Coffer does not count, so that their only limit is none.
const UNCOUNTED: [&str; 2] = ["ram", "volumes"];

pub(super) fn routes() -> Vec<Operation> {
    operations![show_limits, show_quotas, update_quotas]
}

/// Show a project's quotas and their use
#[utoipa::path(
    get,
    path = "/mgmt/quotas/{project}",
    responses((status = 200, description = "One row for each resource.", body = QuotaList))
)]
async fn show_quotas(call: Call<Read>) -> Result<Json<QuotaList>, ApiError> {
    let project = named_project(&call)?;
    let quotas = call.state.catalog.quotas(&call.scope, &project)?;
    let ours = quotas.iter().map(|it| row(it.resource.as_str(), it.in_use, it.limit));
    let theirs = UNCOUNTED.iter().map(|resource| row(resource, 0, UNLIMITED));
    Ok(Json(QuotaList { quotas: ours.chain(theirs).collect() }))
}

fn row(resource: &str, in_use: i64, limit: i64) -> QuotaUsage {
    // Trove's count of resources that are promised but not made yet; here a new row counts at once.
    QuotaUsage { resource: resource.to_owned(), in_use, reserved: 0, limit }
}

/// Set a project's quotas (administrators)
#[utoipa::path(
    put,
    path = "/mgmt/quotas/{project}",
    request_body = QuotaLimitsBody,
    responses((status = 200, description = "The limits that were set.", body = QuotaLimitsBody))
)]
async fn update_quotas(
    call: Call<Admin>,
    Body(body): Body<QuotaLimitsBody>,
) -> Result<Json<QuotaLimitsBody>, ApiError> {
    let project = named_project(&call)?;
    let limits = parse_limits(&body.quotas)?;
    call.state.catalog.set_quotas(&call.scope, &project, limits).done().await?;
    Ok(Json(body))
}

/// The project at the end of the path, which need not be that of the request.
fn named_project<P: Permission>(call: &Call<P>) -> Result<ProjectId, ApiError> {
    let text = call.path_parameter("project");
    text.parse().map_err(|_malformed| ApiError::unknown_id(text))
}

fn parse_limits(body: &QuotaLimits) -> Result<Vec<(QuotaResource, i64)>, ApiError> {
    let (uncounted, unknown): (Vec<_>, Vec<_>) =
        body.others.iter().partition(|(resource, _)| UNCOUNTED.contains(&resource.as_str()));
    if !unknown.is_empty() {
        let unknown: Vec<&str> =
            unknown.into_iter().map(|(resource, _)| resource.as_str()).collect();
        let unknown = unknown.join(" ");
        return Err(ApiError::NotFound(format!("Unknown quota resources {unknown:.255}.")));
    }
    if let Some((resource, _)) = uncounted.iter().find(|(_, limit)| **limit != UNLIMITED) {
        return Err(ApiError::BadRequest(format!(
            "This server does not count {resource}: its quota can only be -1."
        )));
    }
    let limits =
        [(QuotaResource::Backups, body.backups), (QuotaResource::Instances, body.instances)];
    let limits: Vec<_> =
        limits.into_iter().filter_map(|(resource, limit)| Some((resource, limit?))).collect();
    if limits.is_empty() && uncounted.is_empty() {
        // Trove's sentence: the braces are the empty object.
        let why = "Validation error: quotas {} does not have enough properties";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    Ok(limits)
}

/// Show the limits of the project of the request
///
/// The number of requests is not limited: the rows of the methods say -1.
#[utoipa::path(
    get,
    path = "/limits",
    responses((status = 200, description = "The quotas, and a row for each method.", body = LimitList))
)]
async fn show_limits(call: Call<Read>) -> Result<Json<LimitList>, ApiError> {
    let quotas = call.state.catalog.quotas(&call.scope, call.scope.project())?;
    let mut limits = vec![LimitRow::Absolute(AbsoluteLimits {
        max_backups: limit_of(&quotas, QuotaResource::Backups),
        max_instances: limit_of(&quotas, QuotaResource::Instances),
        max_ram: UNLIMITED,
        max_volumes: UNLIMITED,
        verb: "ABSOLUTE".to_owned(),
    })];
    limits.extend(["POST", "PUT", "DELETE", "GET"].map(unlimited));
    Ok(Json(LimitList { limits }))
}

fn limit_of(quotas: &[ProjectQuota], resource: QuotaResource) -> i64 {
    quotas.iter().find(|it| it.resource == resource).map_or(UNLIMITED, |quota| quota.limit)
}

/// The row of a method that may be used any number of times.
fn unlimited(method: &str) -> LimitRow {
    LimitRow::Rate(RateLimit {
        verb: method.to_owned(),
        uri: "*".to_owned(),
        regex: ".*".to_owned(),
        unit: "MINUTE".to_owned(),
        value: UNLIMITED,
        remaining: UNLIMITED,
        next_available: format!("{}Z", SystemClock.now().to_wire()),
    })
}
