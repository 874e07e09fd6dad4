//! `GET /metrics`, in Prometheus' text format. Totals of the server need no token; what names an instance does, and is
//! of the token's project, or of all for an administrator.

mod families;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};

use crate::catalog::{Catalog, Health, Read, Scope};
use crate::domain::{Caller, Queues};

use super::State;
use super::error::ApiError;
use super::extract::caller_if_any;
use super::operation::{Operation, operations};

use families::{InstanceSeries, OF_INSTANCES, Text};

/// How many answers were given, by status code. A fixed table, so that counting takes no lock.
#[derive(Debug)]
pub struct RequestCounts([AtomicU64; 600]);

impl Default for RequestCounts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 600])
    }
}

impl RequestCounts {
    pub(super) fn add(&self, status: StatusCode) {
        if let Some(count) = self.0.get(usize::from(status.as_u16())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The codes that occurred, and how often.
    fn seen(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        counts.filter(|(_code, count)| *count > 0)
    }
}

pub(super) fn routes() -> Vec<Operation> {
    operations![show_metrics]
}

/// Counts and times for Prometheus
///
/// Without a token: totals of the server. With one: also how each instance of its project is; of every project for an
/// administrator.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (
            status = 200,
            description = "Prometheus' text format.",
            body = String,
            content_type = "text/plain; version=0.0.4; charset=utf-8"
        ),
        (status = 401, description = "A token was sent that is none.", body = crate::wire::ErrorBody),
        (status = 403, description = "A token was sent that allows nothing here.", body = crate::wire::ErrorBody),
        (status = 429, description = "Too many wrong tokens came from this address.", body = crate::wire::ErrorBody),
        (status = 503, description = "A token of Keystone cannot be checked now.", body = crate::wire::ErrorBody),
    )
)]
async fn show_metrics(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let caller = caller_if_any(&state, &request).await?;
    let share = caller.as_ref().map(|it| state.limits.begin_request(&it.name)).transpose()?;
    let mut text = Text::default();
    totals_of_requests(&mut text, &state);
    let read = web::block(move || {
        totals(&mut text, &state.catalog);
        let instances = caller.map_or(Ok(Vec::new()), |it| series(&mut text, &state.catalog, &it));
        instances.map(|instances| Exposition { first: Some(text), instances, next: 0 })
    });
    let body = read.await.map_err(|gone| ApiError::Fault(gone.to_string()))?;
    drop(share);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(HttpResponse::Ok().content_type(content_type).body(body?))
}

fn totals_of_requests(text: &mut Text, state: &State) {
    text.family("coffer_build_info", "gauge", "The running build.");
    text.line("coffer_build_info", &[("version", state.version)], 1);
    text.family("coffer_http_responses_total", "counter", "Answers given, by status code.");
    for (code, count) in state.answered.seen() {
        text.line("coffer_http_responses_total", &[("code", &code.to_string())], count);
    }
}

/// What says nothing of single instances.
fn totals(text: &mut Text, catalog: &Catalog) {
    text.family("coffer_catalog_up", "gauge", "Whether the catalog's database answers.");
    text.line("coffer_catalog_up", &[], u64::from(catalog.ping().is_ok()));
    text.family(
        "coffer_stopped",
        "gauge",
        "Whether nothing is begun, for a reason that /healthcheck gives.",
    );
    text.line("coffer_stopped", &[], u64::from(catalog.is_stopped()));
    if let Some(room) = catalog.room() {
        let free = room.free_bytes.saturating_sub(room.headroom_bytes);
        text.family("coffer_disk_free_bytes", "gauge", "What backups may still write.");
        text.line("coffer_disk_free_bytes", &[], free);
        text.family(
            "coffer_disk_size_bytes",
            "gauge",
            "The size of the filesystem of the archives.",
        );
        text.line("coffer_disk_size_bytes", &[], room.total_bytes);
    }
    if let Ok(count) = catalog.count_undelivered() {
        text.family("coffer_alerts_undelivered", "gauge", "Messages that no channel accepted yet.");
        text.line("coffer_alerts_undelivered", &[], count);
    }
    if let Ok(Queues { backups, registrations, drills, restores, removals }) = catalog.queues() {
        text.family("coffer_queue_length", "gauge", "Jobs that wait for a worker, by kind.");
        for (kind, count) in [
            ("backup", backups),
            ("registration", registrations),
            ("drill", drills),
            ("restore", restores),
            ("removal", removals),
        ] {
            text.line("coffer_queue_length", &[("kind", kind)], count);
        }
    }
}

/// What the caller may know of instances. What is wrong with the server as a whole is in it.
fn series(
    text: &mut Text,
    catalog: &Catalog,
    caller: &Arc<Caller>,
) -> Result<Vec<InstanceSeries>, ApiError> {
    let everything = caller.is_admin() || caller.project.is_none();
    let Health { problems, instances, places, .. } = match &caller.project {
        Some(project) if !everything => {
            let scope: Scope<Read> = Scope::enter(Arc::clone(caller), project.clone())?;
            catalog.health(&scope, false)?
        }
        _ => catalog.health_of_all()?,
    };
    if everything {
        let bytes = instances.iter().map(|it| it.health.facts.stored_bytes);
        text.family("coffer_archives_bytes", "gauge", "What the archives of all instances take.");
        text.line("coffer_archives_bytes", &[], bytes.fold(0, u64::saturating_add));
        text.places(&places);
    }
    let of_server = problems.iter().filter(|it| it.instance.is_none());
    let kinds = of_server.map(|it| [it.kind.as_str(), it.kind.severity().as_str()]);
    text.problems(kinds, &instances);
    Ok(instances.into_iter().map(InstanceSeries::from).collect())
}

/// The text, made family by family as it is sent.
struct Exposition {
    first: Option<Text>,
    instances: Vec<InstanceSeries>,
    next: usize,
}

impl MessageBody for Exposition {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first.into())));
        }
        while let Some(family) = OF_INSTANCES.get(self.next) {
            let text = family.text(self.next, &self.instances);
            self.next += 1;
            // An empty piece would end the answer.
            if !text.is_empty() {
                return Poll::Ready(Some(Ok(text.into())));
            }
        }
        Poll::Ready(None)
    }
}
