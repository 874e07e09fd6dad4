//! The projects that a token is good for. A project's name is its id, and a project exists as soon as somebody may use it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};

use crate::api::State;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::link::absolute_base;
use crate::api::operation::{Operation, operations};
use crate::domain::ProjectId;
use crate::wire::{IdentityProjects, ProjectAnswer, ProjectView, SelfLink};

use super::Asker;

pub(super) fn routes() -> Vec<Operation> {
    operations![list_own_projects, list_identity_projects, show_identity_project]
}

/// The parameters of the list, for its documentation.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the value is read from the query")]
struct ProjectParameters {
    /// Only the project of this name.
    name: Option<String>,
}

/// List the projects that the token's user may ask for a token of
#[utoipa::path(
    get,
    path = "/auth/projects",
    responses((status = 200, description = "The user's own project.", body = IdentityProjects))
)]
async fn list_own_projects(
    request: HttpRequest,
    state: Data<State>,
) -> Result<Json<IdentityProjects>, ApiError> {
    let own = home(&Asker::of(&request, &state)?);
    Ok(Json(list(&request, &state, own.as_ref(), "auth/projects")))
}

/// List projects: the user's own, or the one with the given name
#[utoipa::path(
    get,
    path = "/projects",
    params(ProjectParameters),
    responses((status = 200, description = "None or one.", body = IdentityProjects))
)]
async fn list_identity_projects(
    request: HttpRequest,
    state: Data<State>,
) -> Result<Json<IdentityProjects>, ApiError> {
    let asker = Asker::of(&request, &state)?;
    let query = Query::from_request(&request)?;
    let found = match query.filter("name")? {
        Some(name) => usable(&asker, name),
        None => home(&asker),
    };
    Ok(Json(list(&request, &state, found.as_ref(), "projects")))
}

/// Show a project
#[utoipa::path(
    get,
    path = "/projects/{id}",
    responses((status = 200, description = "The project.", body = ProjectAnswer))
)]
async fn show_identity_project(
    request: HttpRequest,
    state: Data<State>,
    id: Path<String>,
) -> Result<Json<ProjectAnswer>, ApiError> {
    let asker = Asker::of(&request, &state)?;
    let found = usable(&asker, &id);
    let project =
        found.ok_or_else(|| ApiError::NotFound(format!("Could not find project: {id:.255}.")))?;
    Ok(Json(ProjectAnswer { project: view(&absolute_base(&request, &state), &project) }))
}

/// The project of the user, or of the token.
fn home(asker: &Asker) -> Option<ProjectId> {
    match asker {
        Asker::User(issued) => Some(issued.home.clone()),
        Asker::Token(caller) => caller.project.clone(),
    }
}

/// The project with this id, if the asker may use it.
fn usable(asker: &Asker, text: &str) -> Option<ProjectId> {
    let project: ProjectId = text.parse().ok()?;
    (asker.is_admin() || home(asker).as_ref() == Some(&project)).then_some(project)
}

fn list(
    request: &HttpRequest,
    state: &State,
    project: Option<&ProjectId>,
    path: &str,
) -> IdentityProjects {
    let base = absolute_base(request, state);
    let own = format!("{base}/identity/v3/{path}");
    let projects = project.iter().map(|it| view(&base, it)).collect();
    IdentityProjects { projects, links: SelfLink { own } }
}

fn view(base: &str, project: &ProjectId) -> ProjectView {
    ProjectView::new(project, format!("{base}/identity/v3/projects/{project}"))
}
