//! Quotas: how much a project has, and how much it may have.

use actix_web::HttpResponse;
use maud::html;

use crate::domain::{ProjectId, QuotaResource};

use super::asked::Asked;
use super::body::Fields;
use super::error::ConsoleError;
use super::page::{Page, form_token, go_to};
use super::show;

const BOTH: [QuotaResource; 2] = [QuotaResource::Backups, QuotaResource::Instances];

pub(super) fn page(asked: &Asked) -> Result<Page, ConsoleError> {
    let (session, admin) = (&asked.session, asked.session.is_admin());
    let project = project(asked, asked.query.text("project"))?;
    let quotas = asked.console.catalog.quotas(&session.scope()?, &project)?;
    let body = html! {
        h1 { "Quotas" }
        @if admin {
            form.filter method="get" action="/console/quotas" {
                span.field {
                    label for="project" { "Project" }
                    input #project name="project" value=(project) required pattern="[A-Za-z0-9_\\-]{1,64}";
                }
                button.plain type="submit" { "Show" }
            }
        }
        form.stacked method="post" action="/console/quotas" {
            (form_token(session))
            input type="hidden" name="project" value=(project);
            table.cards {
                caption.hidden { "Quotas of project " (project) }
                thead { tr { th scope="col" { "What" } th.number scope="col" { "In use" } th scope="col" { "At most" } } }
                tbody {
                    @for it in &quotas {
                        @let name = it.resource.as_str();
                        tr {
                            th scope="row" { (words(it.resource)) }
                            td.number data-label="In use" { (it.in_use) }
                            td data-label="At most" {
                                @if admin { input type="number" min="-1" name=(name) value=(it.limit) aria-label={ "At most, " (words(it.resource)) }; }
                                @else if it.limit < 0 { "any number" } @else { (it.limit) }
                            }
                        }
                    }
                }
            }
            @if admin { p.soft { "−1 stands for any number." } button type="submit" { "Save" } }
        }
    };
    Ok(Page::new("Quotas", body).in_menu("quotas").still())
}

const fn words(resource: QuotaResource) -> &'static str {
    match resource {
        QuotaResource::Backups => "Backups",
        QuotaResource::Instances => "Instances made by restores",
    }
}

/// The project that is named; the caller's own if none is.
fn project(asked: &Asked, named: &str) -> Result<ProjectId, ConsoleError> {
    if named.is_empty() {
        return Ok(asked.session.project());
    }
    named
        .parse()
        .map_err(|error: crate::domain::MalformedId| ConsoleError::BadForm(error.to_string()))
}

pub(super) async fn set(asked: &Asked, fields: &Fields) -> Result<HttpResponse, ConsoleError> {
    let project = project(asked, fields.text("project"))?;
    let mut limits = Vec::new();
    for resource in BOTH {
        let bad = || {
            ConsoleError::BadForm(show::sentence("a quota is a whole number, or -1 for any number"))
        };
        limits.push((resource, fields.number(resource.as_str()).ok_or_else(bad)?));
    }
    let scope = asked.session.scope()?;
    asked.console.catalog.set_quotas(&scope, &project, limits).done().await?;
    Ok(go_to(&format!("/console/quotas?project={project}")))
}
