//! `GET backups` and `GET instances/{id}/backups`: pages of backups.

use actix_web::web::Json;

use crate::catalog::{BackupFilter, BackupPage, Catalog, CatalogError, Read, Scope};
use crate::domain::{BackupId, Limit, Position};
use crate::wire::BackupList;

use super::error::ApiError;
use super::extract::{self, Call, Filters, Marker, PageParameters, Query};
use super::operation::{Operation, operations};
use super::view;

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
async fn list_backups(call: Call<Read>) -> Result<Json<BackupList>, ApiError> {
    let listing = Listing::of(&call, Filters::of)?;
    let page = call.read(move |catalog, scope| listing.page(catalog, scope)).await?;
    Ok(Json(page.answer(&call)?))
}

/// List the backups of an instance
#[utoipa::path(
    get,
    path = "/instances/{id}/backups",
    params(PageParameters),
    responses((status = 200, description = "One page.", body = BackupList))
)]
async fn list_backups_of_instance(call: Call<Read>) -> Result<Json<BackupList>, ApiError> {
    let id = call.id()?;
    let mut listing = Listing::of(&call, |_query| Ok(Filters::default()))?;
    let look_up = move |catalog: &Catalog, scope: &Scope<Read>| {
        let instance = catalog.instance(scope, id)?;
        listing.filters.instance = Some(id.to_string());
        // An administrator may ask for another project's instance from anywhere.
        listing.filters.project =
            (instance.project != *scope.project()).then_some(instance.project);
        listing.page(catalog, scope)
    };
    Ok(Json(call.read(look_up).await?.answer(&call)?))
}

/// A request for a page.
struct Listing {
    filters: Filters,
    limit: Limit,
    marker: Option<String>,
}

/// The answer to it, and the filters that applied.
struct Page {
    found: BackupPage,
    filters: Filters,
}

impl Listing {
    fn of(
        call: &Call<Read>,
        filters: impl FnOnce(&Query) -> Result<Filters, ApiError>,
    ) -> Result<Self, ApiError> {
        let (query, state) = (call.query()?, &call.state);
        let filters = filters(&query)?;
        let limit = extract::limit(&query, state.default_page, state.max_page)?;
        Ok(Self { filters, limit, marker: query.once("marker")?.map(str::to_owned) })
    }

    fn page(self, catalog: &Catalog, scope: &Scope<Read>) -> Result<Page, ApiError> {
        let Self { filters, limit, marker } = self;
        let (after, filters) = start(catalog, scope, filters, marker.as_deref())?;
        let filter = BackupFilter {
            all_projects: filters.all == Some(true) && filters.project.is_none(),
            project: filters.project.clone(),
            instance: filters.instance.clone(),
            engine: filters.engine.clone(),
            status: filters.status,
            limit,
            after,
        };
        Ok(Page { found: catalog.backups(scope, &filter)?, filters })
    }
}

impl Page {
    fn answer(self, call: &Call<Read>) -> Result<BackupList, ApiError> {
        let links = match self.found.next {
            Some(position) => {
                Some(vec![call.url().next(&Marker::new(position, self.filters).encode()?)])
            }
            None => None,
        };
        Ok(BackupList { backups: view::backups(self.found.rows, &*call.state.archives), links })
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
