//! `…/fleet`: the backups of other devices, which lie in a place that this server reads.

use actix_web::web::Json;

use crate::catalog::Admin;
use crate::domain::{BackupId, Timestamp};
use crate::wire::{
    ErrorBody, FleetBackupList, FleetBackupView, FleetInstanceView, FleetList, Link,
};

use super::error::ApiError;
use super::extract::{self, Call, PageParameters, truthy};
use super::link::ListUrl;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_fleet, list_fleet_backups]
}

/// List the instances of other devices whose copies this server reads
///
/// An extension, for administrators: they are of no project of this server, whatever project they have on their device.
#[utoipa::path(
    get,
    path = "/fleet",
    params(
        ("silent" = Option<String>, Query,
            description = "`true`: only those that should have had another backup by now, the longest first, at most a page."),
        PageParameters,
    ),
    responses((status = 200, description = "One page.", body = FleetList))
)]
async fn list_fleet(call: Call<Admin>) -> Result<Json<FleetList>, ApiError> {
    let query = call.query()?;
    let silent = query.filter("silent")?.is_some_and(truthy);
    let after =
        query.filter("marker")?.map(|text| text.parse::<u32>().map_err(|_reason| unknown(text)));
    let after = after.transpose()?.unwrap_or(0);
    let rows = extract::limit(&query, call.state.default_page, call.state.max_page)?.rows();
    let url = call.url();
    let state = call.state.clone();
    let found = call
        .read_long(move |catalog, scope| catalog.fleet_instances(scope, (after, rows + 1), silent))
        .await?;
    let (found, more) = page_of(found, rows);
    let links = next(&url, found.last().filter(|_| more && !silent).map(|it| it.number));
    let now = state.catalog.now();
    let fleet = found.into_iter().map(|it| FleetInstanceView::new(it, now)).collect();
    Ok(Json(FleetList { fleet, links }))
}

/// List the backups of an instance of another device, newest first
///
/// An extension, for administrators.
#[utoipa::path(
    get,
    path = "/fleet/{id}/backups",
    params(PageParameters),
    responses(
        (status = 200, description = "One page.", body = FleetBackupList),
        (status = 404, description = "There is no such instance.", body = ErrorBody),
    )
)]
async fn list_fleet_backups(call: Call<Admin>) -> Result<Json<FleetBackupList>, ApiError> {
    let query = call.query()?;
    let number: u32 = call.id()?;
    let before = query.filter("marker")?.map(|text| text.parse().map_err(|_reason| unknown(text)));
    let before: BackupId =
        before.transpose()?.unwrap_or_else(|| BackupId::at(Timestamp::from_micros(i64::MAX)));
    let rows = extract::limit(&query, call.state.default_page, call.state.max_page)?.rows();
    let url = call.url();
    let state = call.state.clone();
    let found = call
        .read_long(move |catalog, scope| catalog.fleet_backups(scope, number, (before, rows + 1)))
        .await?;
    let (instance, backups) = found.ok_or_else(|| ApiError::unknown_id(&number.to_string()))?;
    let (backups, more) = page_of(backups, rows);
    let links = next(&url, backups.last().filter(|_| more).map(|it| it.id));
    Ok(Json(FleetBackupList {
        instance: FleetInstanceView::new(instance, state.catalog.now()),
        backups: backups.into_iter().map(FleetBackupView::from).collect(),
        links,
    }))
}

fn unknown(text: &str) -> ApiError {
    ApiError::BadRequest(format!("The marker '{text:.80}' is none of this list."))
}

/// So many rows, and whether there were more.
fn page_of<T>(mut found: Vec<T>, rows: u32) -> (Vec<T>, bool) {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let more = found.len() > rows;
    found.truncate(rows);
    (found, more)
}

/// The link to the page behind this row.
fn next<T: ToString>(url: &ListUrl, last: Option<T>) -> Option<Vec<Link>> {
    last.map(|last| vec![url.next_page(&last.to_string())])
}
