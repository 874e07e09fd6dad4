//! `…/backup_schedules`: when the backups of the instances are made, by the configuration or as clients set it.

use actix_web::HttpResponse;
use actix_web::web::Json;

use crate::catalog::{Read, Scheduled, Write};
use crate::domain::InstanceId;
use crate::wire::{
    ErrorBody, ScheduleAnswer, ScheduleBody, ScheduleList, ScheduleView, WantedSchedule,
};

use super::error::ApiError;
use super::extract::{Body, Call, truthy};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_schedules, create_schedule, show_schedule, set_schedule, delete_schedule]
}

/// List backup schedules
///
/// An extension: the instances whose backups are made, drilled or restored into staging by themselves, and when the next
/// ones begin.
#[utoipa::path(
    get,
    path = "/backup_schedules",
    params(
        ("all_projects" = Option<String>, Query,
            description = "`true`: of every project (administrators)."),
    ),
    responses((status = 200, description = "All of them.", body = ScheduleList))
)]
async fn list_schedules(call: Call<Read>) -> Result<Json<ScheduleList>, ApiError> {
    let every_project = call.query()?.filter("all_projects")?.is_some_and(truthy);
    let read = call.read_long(move |catalog, scope| catalog.schedules(scope, every_project));
    let found = read.await?;
    Ok(Json(ScheduleList { backup_schedules: found.into_iter().map(view).collect() }))
}

fn view(it: Scheduled) -> ScheduleView {
    let set_through_api = it.set_through_api;
    let view = ScheduleView::new(&it.instance, it.timetable.as_ref(), it.next, it.last, it.overdue);
    ScheduleView { set_through_api, ..view.with_proof(it.proof) }
}

/// Show the schedule of an instance
///
/// An extension. 404 if nothing is done for it by itself.
#[utoipa::path(
    get,
    path = "/backup_schedules/{id}",
    responses((status = 200, description = "The schedule.", body = ScheduleAnswer))
)]
async fn show_schedule(call: Call<Read>) -> Result<Json<ScheduleAnswer>, ApiError> {
    let id: InstanceId = call.id()?;
    let (catalog, scope) = call.catalog();
    let found =
        catalog.schedule(scope, id)?.ok_or_else(|| ApiError::unknown_id(&id.to_string()))?;
    Ok(Json(ScheduleAnswer { backup_schedule: view(found) }))
}

/// Set when an instance is backed up, and what is kept
///
/// An extension. It replaces what was set before. What the server's configuration says in `[[instances]]` cannot be set;
/// what it says in `[defaults]` holds for the keys that are left out.
#[utoipa::path(
    post,
    path = "/backup_schedules",
    request_body = ScheduleBody,
    responses(
        (status = 202, description = "What was set.", body = ScheduleBody),
        (status = 422, description = "It stands in the configuration.", body = ErrorBody),
    )
)]
async fn create_schedule(
    call: Call<Write>,
    Body(body): Body<ScheduleBody>,
) -> Result<HttpResponse, ApiError> {
    let missing = || ApiError::BadRequest("instance_id is missing.".to_owned());
    let id = body.backup_schedule.instance_id.ok_or_else(missing)?;
    Ok(HttpResponse::Accepted().json(set(&call, id, body).await?))
}

/// Set when an instance is backed up, and what is kept
///
/// An extension. The same as POST to `backup_schedules`.
#[utoipa::path(
    put,
    path = "/backup_schedules/{id}",
    request_body = ScheduleBody,
    responses(
        (status = 200, description = "What was set.", body = ScheduleBody),
        (status = 422, description = "It stands in the configuration.", body = ErrorBody),
    )
)]
async fn set_schedule(
    call: Call<Write>,
    Body(body): Body<ScheduleBody>,
) -> Result<Json<ScheduleBody>, ApiError> {
    let id: InstanceId = call.id()?;
    if body.backup_schedule.instance_id.is_some_and(|named| named != id) {
        let why = "backup_schedule['instance_id'] is another instance than that of the path.";
        return Err(ApiError::BadRequest(why.to_owned()));
    }
    set(&call, id, body).await.map(Json)
}

async fn set(
    call: &Call<Write>,
    id: InstanceId,
    body: ScheduleBody,
) -> Result<ScheduleBody, ApiError> {
    let wanted = body.backup_schedule;
    call.state.catalog.set_policy(&call.scope, id, wanted.keys()).done().await?;
    let backup_schedule = WantedSchedule { instance_id: Some(id), ..wanted };
    Ok(ScheduleBody { backup_schedule })
}

/// Back up an instance as the configuration says again
///
/// An extension. It is no error if nothing was set.
#[utoipa::path(
    delete,
    path = "/backup_schedules/{id}",
    responses((status = 202, description = "Nothing is set any more."))
)]
async fn delete_schedule(call: Call<Write>) -> Result<HttpResponse, ApiError> {
    call.state.catalog.unset_policy(&call.scope, call.id()?).done().await?;
    Ok(HttpResponse::Accepted().finish())
}
