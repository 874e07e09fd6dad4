//! `GET /metrics`, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::State;
use super::operation::{Operation, operations};

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

/// Counts for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    responses((
        status = 200,
        description = "Prometheus' text format.",
        body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8"
    ))
)]
async fn show_metrics(state: web::Data<State>) -> HttpResponse {
    let up = state.catalog.ping().is_ok();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(exposition(
        &state.answered,
        state.version,
        up,
    ))
}

fn exposition(answered: &RequestCounts, version: &str, up: bool) -> String {
    let mut text = String::new();
    family(&mut text, "coffer_build_info", "gauge", "The running build.");
    line(&mut text, &format!("coffer_build_info{{version=\"{version}\"}}"), 1);
    family(&mut text, "coffer_catalog_up", "gauge", "Whether the catalog's database answers.");
    line(&mut text, "coffer_catalog_up", u64::from(up));
    family(&mut text, "coffer_http_responses_total", "counter", "Answers given, by status code.");
    for (code, count) in answered.seen() {
        line(&mut text, &format!("coffer_http_responses_total{{code=\"{code}\"}}"), count);
    }
    text
}

fn family(text: &mut String, name: &str, kind: &str, meaning: &str) {
    writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} {kind}")
        .expect("writing to a String cannot fail");
}

fn line(text: &mut String, series: &str, value: u64) {
    writeln!(text, "{series} {value}").expect("writing to a String cannot fail");
}
