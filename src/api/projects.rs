//! `…/projects`: what the OpenStack client asks Keystone about a project that it is given the name of. Here a
//! project's name is its id, and a project exists as soon as somebody may use it.

use actix_web::web::Json;

use crate::catalog::Read;
use crate::domain::ProjectId;
use crate::wire::{ProjectAnswer, ProjectList, ProjectView};

use super::error::ApiError;
use super::extract::Call;
use super::operation::{Operation, operations};

pub(super) fn routes() -> Vec<Operation> {
    operations![list_projects, show_project]
}

/// The parameters of the list, for its documentation.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the value is read from the query")]
struct ProjectParameters {
    /// Only the project of this name.
    name: Option<String>,
}

/// Show a project, as Keystone would
#[utoipa::path(
    get,
    path = "/projects/{id}",
    responses((status = 200, description = "The project.", body = ProjectAnswer))
)]
async fn show_project(call: Call<Read>) -> Result<Json<ProjectAnswer>, ApiError> {
    let text = call.path_parameter("id");
    let project = usable(&call, text).ok_or_else(|| ApiError::unknown_id(text))?;
    Ok(Json(ProjectAnswer { project: view(&call, &project) }))
}

/// List projects, as Keystone would: the one of the path, or the one with the given name
#[utoipa::path(
    get,
    path = "/projects",
    params(ProjectParameters),
    responses((status = 200, description = "None or one.", body = ProjectList))
)]
async fn list_projects(call: Call<Read>) -> Result<Json<ProjectList>, ApiError> {
    let query = call.query()?;
    let found = match query.filter("name")? {
        Some(name) => usable(&call, name),
        None => Some(call.scope.project().clone()),
    };
    Ok(Json(ProjectList { projects: found.iter().map(|it| view(&call, it)).collect() }))
}

/// The project with this id, if the caller may use it.
fn usable(call: &Call<Read>, text: &str) -> Option<ProjectId> {
    text.parse().ok().filter(|project| call.scope.covers(project))
}

fn view(call: &Call<Read>, project: &ProjectId) -> ProjectView {
    ProjectView::new(project, call.url_of(&format!("projects/{project}")))
}
