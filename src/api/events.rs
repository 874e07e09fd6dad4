//! `…/events`: what was done, by whom and from where.

use actix_web::HttpResponse;

use crate::catalog::{EventFilter, FoundEvents, Read};
use crate::domain::{Action, Limit};
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
/// An extension. Requests that only read are no events, but for downloads of archives. With `action` or `who` a page may
/// have fewer rows than `limit` and all the same a link to the next one.
#[utoipa::path(
    get,
    path = "/events",
    params(
        ("object_id" = Option<String>, Query, description = "Of this backup or instance only."),
        ("action" = Option<Action>, Query, description = "Of this kind only."),
        ("who" = Option<String>, Query,
            description = "By this token only, or by what acts by itself: `schedule`, `retention`."),
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
    let action = query.filter("action")?.map(action).transpose()?;
    let who = query.filter("who")?.map(|name| name.chars().take(255).collect());
    let unknown = |text: &str| {
        ApiError::BadRequest(format!("The marker '{text:.80}' is not the number of an event."))
    };
    let before = query.filter("marker")?.map(|text| text.parse().map_err(|_reason| unknown(text)));
    let left = extract::limit(&query, call.state.default_page, call.state.max_page)?.rows();
    let before = before.transpose()?;
    let filter = EventFilter { all_projects, object, action, who, before, rows: 0 };
    page_body::answer(EventRows { call, filter, left }).await
}

fn action(text: &str) -> Result<Action, ApiError> {
    text.parse().map_err(|()| {
        let known: Vec<&str> = Action::ALL.iter().map(|it| it.as_str()).collect();
        let known = known.join(", ");
        ApiError::BadRequest(format!("The value of 'action' has to be one of {known}."))
    })
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

    fn who(&self) -> &str {
        self.call.who()
    }

    fn read(&mut self) -> Result<Batch<EventView>, ApiError> {
        self.filter.rows = Limit::clamped(self.left, ROWS).rows();
        let (catalog, scope) = self.call.catalog();
        let FoundEvents { events, more_before } = catalog.events(scope, &self.filter)?;
        self.left = self.left.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
        self.filter.before = more_before;
        let rest = match more_before {
            None => Rest::End(None),
            Some(_) if self.left > 0 && !events.is_empty() => Rest::Rows,
            Some(last) => Rest::End(Some(self.call.url().next_page(&last.to_string()))),
        };
        let admin = self.call.scope.caller().is_admin();
        let rows = events.into_iter().map(|it| EventView::new(it, admin)).collect();
        Ok(Batch { rows, rest })
    }
}
