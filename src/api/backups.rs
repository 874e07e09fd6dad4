//! `…/backups`: list, show, create, delete, drill.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::catalog::{BackupFilter, CatalogError, Read, Scope, Write};
use crate::domain::{BackupId, Limit, Position};

use super::State;
use super::error::ApiError;
use super::extract::{self, Filters, JsonBody, Marker, Query};
use super::json::key;
use super::link::ListUrl;
use super::reading::read;
use super::view::Viewer;
use super::view_create::Wanted;
use super::{json, view, view_create};

/// What is to be listed, before the marker has been looked at.
struct Listing {
    filters: Filters,
    limit: Limit,
    marker: Option<String>,
    url: ListUrl,
}

impl Listing {
    fn of(
        request: &HttpRequest,
        state: &State,
        filters: impl FnOnce(&Query) -> Result<Filters, ApiError>,
    ) -> Result<Self, ApiError> {
        let query = Query::of(request)?;
        let filters = filters(&query)?;
        let limit = extract::limit(&query, state.default_page, state.max_page)?;
        let marker = query.once("marker")?.map(str::to_owned);
        Ok(Self { filters, limit, marker, url: ListUrl::of(request, state) })
    }
}

/// `GET backups`.
pub(super) async fn list(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let listing = Listing::of(&request, &state, Filters::of)?;
    let page = read(&state, move |state| page(state, &scope, listing)).await?;
    Ok(json::answer(HttpResponse::Ok(), page))
}

/// `GET instances/{id}/backups`: the same of one instance, which has to be there. Other filters are
/// ignored.
pub(super) async fn list_of_instance(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = extract::instance_id(&request)?;
    let mut listing = Listing::of(&request, &state, |_query| Ok(Filters::default()))?;
    let page = read(&state, move |state| {
        let instance = state.catalog.instance(&scope, id)?;
        listing.filters.instance = Some(id.to_string());
        // An administrator may look at another project's instance from anywhere.
        listing.filters.project =
            (instance.project != *scope.project()).then_some(instance.project);
        page(state, &scope, listing)
    })
    .await?;
    Ok(json::answer(HttpResponse::Ok(), page))
}

/// One page, written row by row while it is read. `links` is left out on the last one: the stock client
/// crashes over null.
fn page(state: &State, scope: &Scope<Read>, listing: Listing) -> Result<Vec<u8>, ApiError> {
    let Listing { filters, limit, marker, url } = listing;
    let (after, filters) = start(state, scope, filters, marker.as_deref())?;
    let all_projects = filters.all == Some(true);
    let filter = BackupFilter {
        all_projects: all_projects && filters.project.is_none(),
        project: filters.project.clone(),
        instance: filters.instance.clone(),
        engine: filters.engine.clone(),
        status: filters.status,
        limit,
        after,
    };
    json::try_object(limit.rows(), |page| {
        let mut viewer = Viewer::new(&*state.shelf);
        let found = state.catalog.backups(scope, &filter)?;
        page.list(key!("backups"), |rows| {
            for backup in &found.rows {
                rows.row(|to| viewer.backup(to, backup, None));
            }
        });
        if let Some(place) = found.next {
            page.value(key!("links"), &[url.next(&Marker::new(place, filters).encode()?)]);
        }
        Ok(())
    })
}

/// Where the page starts, and the filters that hold. A marker is one of ours, or a backup's id.
fn start(
    state: &State,
    scope: &Scope<Read>,
    asked: Filters,
    marker: Option<&str>,
) -> Result<(Option<Position>, Filters), ApiError> {
    let Some(text) = marker else { return Ok((None, asked)) };
    if let Some(marker) = Marker::decode(text) {
        let (place, carried) = marker.into_parts();
        return Ok((Some(place), asked.beside(carried)?));
    }
    let unknown = || {
        let shown: String = text.chars().take(80).collect();
        ApiError::BadRequest(format!("The marker '{shown}' is not one of this list."))
    };
    let id: BackupId = text.parse().map_err(|_malformed| unknown())?;
    match state.catalog.backup(scope, id) {
        Ok(backup) => Ok((Some(Position { created: backup.created, id }), asked)),
        Err(CatalogError::NoSuchBackup { .. }) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

/// `GET backups/{id}`.
pub(super) async fn show(
    scope: Scope<Read>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = extract::backup_id(&request)?;
    let (backup, counted) = read(&state, move |state| {
        let backup = state.catalog.backup(&scope, id)?;
        let passed = backup.drill.last.as_ref().is_some_and(|it| it.found.is_ok());
        let counted = passed.then(|| state.catalog.drill_rows(&scope, id)).transpose()?;
        Ok((backup, counted))
    })
    .await?;
    let view = view::one_backup_with_rows(&backup, counted, &*state.shelf);
    Ok(json::answer(HttpResponse::Ok(), view))
}

/// `POST backups/{id}/drill`: restores it once, only to prove it. There is no body.
pub(super) async fn drill(
    scope: Scope<Write>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = extract::backup_id(&request)?;
    let backup = state.catalog.ask_drill(&scope, id).done().await?;
    Ok(json::answer(HttpResponse::Accepted(), view::one_backup(&backup, &*state.shelf)))
}

/// `POST backups`.
pub(super) async fn create(
    scope: Scope<Write>,
    body: JsonBody,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let reply = match body.into(|body| view_create::wanted(body, &*state.shelf))? {
        Wanted::Backup(new) => state.catalog.create_backup(&scope, new),
        Wanted::Registration(new) => state.catalog.register_backup(&scope, new),
    };
    let backup = reply.done().await?;
    Ok(json::answer(HttpResponse::Accepted(), view::one_backup(&backup, &*state.shelf)))
}

/// `DELETE backups/{id}`.
pub(super) async fn delete(
    scope: Scope<Write>,
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = extract::backup_id(&request)?;
    state.catalog.delete_backup(&scope, id).done().await?;
    Ok(HttpResponse::Accepted().finish())
}
