//! `…/alerts`: what is or was wrong and was said, and whether messages arrive.

use std::sync::Arc;

use actix_web::web::{self, Json};

use crate::catalog::{Admin, Read};
use crate::wire::{AlertList, AlertView, DeliveryView, ErrorBody, TestAlertsBody, TestList};

use super::error::ApiError;
use super::extract::{Body, Call, truthy};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_alerts, test_alerts]
}

/// List alerts
///
/// An extension: what is wrong with the instances of the project, and then what was wrong in the last 90 days.
#[utoipa::path(
    get,
    path = "/alerts",
    params(
        ("all_projects" = Option<String>, Query,
            description = "`true`: of every project and of the server, with the messages that wait (administrators)."),
    ),
    responses((status = 200, description = "All of them.", body = AlertList))
)]
async fn list_alerts(call: Call<Read>) -> Result<Json<AlertList>, ApiError> {
    let every_project = call.query()?.filter("all_projects")?.is_some_and(truthy);
    let read = call.read_long(move |catalog, scope| {
        let undelivered = if every_project { catalog.undelivered()? } else { Vec::new() };
        Ok((catalog.alerts(scope, every_project)?, undelivered))
    });
    let (alerts, undelivered) = read.await?;
    let alerts = alerts.into_iter().map(AlertView::from).collect();
    let undelivered = undelivered.into_iter().map(DeliveryView::from).collect();
    Ok(Json(AlertList { alerts, undelivered }))
}

/// Send a test message through one channel for alerts, or through each
///
/// An extension, for administrators. The answer comes when each receiver has answered.
#[utoipa::path(
    post,
    path = "/alerts/test",
    request_body = TestAlertsBody,
    responses(
        (status = 200, description = "What came back.", body = TestList),
        (status = 404, description = "There is no such channel.", body = ErrorBody),
    )
)]
async fn test_alerts(
    call: Call<Admin>,
    Body(body): Body<TestAlertsBody>,
) -> Result<Json<TestList>, ApiError> {
    let channels = Arc::clone(&call.state.channels);
    let known = channels.names();
    let names = match body.test.channel {
        None => known,
        Some(name) if known.contains(&name) => vec![name],
        Some(name) => {
            let name: String = name.chars().take(80).collect();
            return Err(ApiError::NotFound(format!("Channel '{name}' cannot be found.")));
        }
    };
    let tests = web::block(move || channels.test(&names)).await;
    let tests = tests.map_err(|error| ApiError::Fault(error.to_string()))?;
    Ok(Json(TestList { tests }))
}
