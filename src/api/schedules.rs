//! `…/backup_schedules`: when the backups of the instances are made, as the configuration says.

use actix_web::web::Json;

use crate::catalog::{Read, Scheduled};
use crate::wire::{ScheduleList, ScheduleView};

use super::error::ApiError;
use super::extract::{Call, truthy};
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_schedules]
}

/// List backup schedules
///
/// An extension: the instances whose backups are made by themselves, and when the next one begins.
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
    let found = call.state.catalog.schedules(&call.scope, every_project)?;
    let view = |it: Scheduled| {
        ScheduleView::new(&it.instance, &it.timetable, it.next, it.last, it.overdue)
            .with_proof(it.proof)
    };
    Ok(Json(ScheduleList { backup_schedules: found.into_iter().map(view).collect() }))
}
