//! `…/events`: what was done, by whom and from where.

use actix_web::HttpResponse;

use crate::catalog::{EventFilter, Read};
use crate::domain::Limit;
use crate::wire::{EventList, EventView};

use super::error::ApiError;
use super::extract::{self, Call, PageParameters, truthy};
use super::operation::{Operation, operations};
use super::page_body::{self, Batch, ROWS, Rest, Rows};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_events]
}

/// List what was done, by whom and from where, newest first
///
/// An extension. Requests that only read are no events, but for downloads of archives.
#[utoipa::path(
    get,
    path = "/events",
    params(
        ("object_id" = Option<String>, Query, description = "Of this backup or instance only."),
        ("all_projects" = Option<String>, Query,
            description = "`true`: of every project, and of none (administrators)."),
        PageParameters,
    ),
    responses((status = 200, description = "One page.", body = EventList))
)]
async fn list_events(call: Call<Read>) -> Result<HttpResponse, ApiError> {
    let query = call.query()?;
    let all_projects = query.filter("all_projects")?.is_some_and(truthy);
    let object = query.filter("object_id")?.map(|id| id.chars().take(64).collect());
    let unknown = |text: &str| {
        ApiError::BadRequest(format!("The marker '{text:.80}' is not the number of an event."))
    };
    let before = query.filter("marker")?.map(|text| text.parse().map_err(|_reason| unknown(text)));
    let left = extract::limit(&query, call.state.default_page, call.state.max_page)?.rows();
    let filter = EventFilter { all_projects, object, before: before.transpose()?, rows: 0 };
    page_body::answer(EventRows { call, filter, left })
}

/// The rows of a page that were not written yet.
struct EventRows {
    call: Call<Read>,
    filter: EventFilter,
    left: u32,
}

impl Rows for EventRows {
    type Row = EventView;
    const KEY: &'static str = "events";

    fn read(&mut self) -> Result<Batch<EventView>, ApiError> {
        let rows = Limit::clamped(self.left, ROWS).rows();
        // One more, to know whether there is a next page.
        self.filter.rows = rows.saturating_add(1);
        let (catalog, scope) = self.call.catalog();
        let mut found = catalog.events(scope, &self.filter)?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let more = found.len() > rows;
        found.truncate(rows);
        self.left = self.left.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        self.filter.before = found.last().map(|it| it.number);
        let rest = match self.filter.before {
            Some(_last) if more && self.left > 0 => Rest::Rows,
            Some(last) if more => Rest::End(Some(self.call.url().next_page(&last.to_string()))),
            _ => Rest::End(None),
        };
        let admin = self.call.scope.caller().is_admin();
        let rows = found.into_iter().map(|it| EventView::new(it, admin)).collect();
        Ok(Batch { rows, rest })
    }
}
