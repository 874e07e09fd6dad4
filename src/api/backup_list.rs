//! `GET backups` and `GET instances/{id}/backups`: pages of backups.

use actix_web::HttpResponse;

use crate::catalog::{BackupFilter, Catalog, CatalogError, Read, Scope};
use crate::domain::{BackupId, Limit, Position};
use crate::wire::{BackupList, BackupView};

use super::error::ApiError;
use super::extract::{self, Call, Filters, Marker, PageParameters, Query};
use super::operation::{Operation, operations};
use super::page_body::{self, Batch, ROWS, Rest, Rows};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_backups, list_backups_of_instance]
}

/// List backups, newest first
#[utoipa::path(
    get,
    path = "/backups",
    params(
        ("instance_id" = Option<String>, Query, description = "Of this instance."),
        ("datastore" = Option<String>, Query, description = "Of this datastore: name or id."),
        ("status" = Option<String>, Query, description = "In this status."),
        ("all_projects" = Option<String>, Query,
            description = "`true`: of every project (administrators)."),
        ("project_id" = Option<String>, Query, description = "Of another project (administrators)."),
        PageParameters,
    ),
    responses((status = 200, description = "One page.", body = BackupList))
)]
async fn list_backups(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    let listing = Listing::from_call(&call, Filters::from_query)?;
    listing.answer(call).await
}

/// List the backups of an instance
#[utoipa::path(
    get,
    path = "/instances/{id}/backups",
    params(PageParameters),
    responses((status = 200, description = "One page.", body = BackupList))
)]
async fn list_backups_of_instance(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    let id = call.id()?;
    let mut listing = Listing::from_call(&call, |_query| Ok(Filters::default()))?;
    let (catalog, scope) = call.catalog();
    let instance = catalog.instance(scope, id)?;
    listing.filters.instance = Some(id.to_string());
    // An administrator may ask for another project's instance from anywhere.
    listing.filters.project = (instance.project != *scope.project()).then_some(instance.project);
    listing.answer(call).await
}

struct Listing {
    filters: Filters,
    limit: Limit,
    marker: Option<String>,
}

impl Listing {
    fn from_call(
        call: &Call<Read>,
        filters: impl FnOnce(&Query) -> Result<Filters, ApiError>,
    ) -> Result<Self, ApiError> {
        let (query, state) = (call.query()?, &call.state);
        let filters = filters(&query)?;
        let limit = extract::limit(&query, state.default_page, state.max_page)?;
        Ok(Self { filters, limit, marker: query.filter("marker")?.map(str::to_owned) })
    }

    async fn answer(self, call: Call<Read>) -> Result<HttpResponse, ApiError> {
        let Self { filters, limit, marker } = self;
        let (catalog, scope) = call.catalog();
        let (after, filters) = start(catalog, scope, filters, marker.as_deref())?;
        page_body::answer(BackupRows { call, filters, after, left: limit.rows() }).await
    }
}

/// The rows of a page that were not written yet.
struct BackupRows {
    call: Call<Read>,
    filters: Filters,
    after: Option<Position>,
    left: u32,
}

impl Rows for BackupRows {
    type Row = BackupView;
    const KEY: &'static str = "backups";

    fn who(&self) -> &str {
        self.call.who()
    }

    fn read(&mut self) -> Result<Batch<BackupView>, ApiError> {
        let filters = &self.filters;
        let limit = Limit::clamped(self.left, ROWS);
        let filter = BackupFilter {
            all_projects: filters.all == Some(true) && filters.project.is_none(),
            project: filters.project.clone(),
            instance: filters.instance.clone(),
            engine: filters.engine.clone(),
            status: filters.status,
            limit,
            after: self.after,
        };
        let (catalog, scope) = self.call.catalog();
        let page = catalog.backups(scope, &filter)?;
        self.left = self.left.saturating_sub(limit.rows());
        self.after = page.next;
        let rest = match page.next {
            None => Rest::End(None),
            Some(_position) if self.left > 0 => Rest::Rows,
            Some(position) => {
                let marker = Marker::new(position, self.filters.clone()).encode()?;
                Rest::End(Some(self.call.url().next_page(&marker)))
            }
        };
        Ok(Batch { rows: BackupView::page(page.rows, &*self.call.state.archives), rest })
    }
}

/// Where the page starts, and the filters that apply. A marker is one of ours, or a backup's id.
fn start(
    catalog: &Catalog,
    scope: &Scope<Read>,
    asked: Filters,
    marker: Option<&str>,
) -> Result<(Option<Position>, Filters), ApiError> {
    let Some(text) = marker else { return Ok((None, asked)) };
    if let Some(marker) = Marker::decode(text) {
        let (position, carried) = marker.into_parts();
        return Ok((Some(position), asked.with_marker(carried)?));
    }
    let unknown =
        || ApiError::BadRequest(format!("The marker '{text:.80}' is not one of this list."));
    let id: BackupId = text.parse().map_err(|_malformed| unknown())?;
    match catalog.backup(scope, id) {
        Ok(backup) => Ok((Some(Position { created: backup.created, id }), asked)),
        Err(CatalogError::NoSuchBackup { .. }) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}
