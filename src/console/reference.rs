//! The API, as a page one can try. It is made from the same document as `/openapi.json`.

use maud::{Markup, html};
use serde_json::Value;

use super::asked::Asked;
use super::error::ConsoleError;
use super::page::Page;
use super::show;
use super::state::Console;

pub(super) fn page(asked: &Asked) -> Result<Page, ConsoleError> {
    let document = document(&asked.console)?;
    let project = asked.session.project();
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let body = html! {
        h1 { "API" }
        p {
            "OpenStack Trove's Backups API with some additions. Programs read it as "
            a href="/openapi.json" { "/openapi.json" } "."
        }
        form.filter data-try-token hidden {
            label for="api-token" { "Token for the requests below" }
            input #api-token type="password" autocomplete="off" aria-describedby="api-token-help";
            span #api-token-help .soft { "It stays on this page." }
        }
        noscript { p { "With a script, requests could be sent from here; the commands work in a terminal." } }
        @for (path, methods) in paths {
            @for (method, operation) in methods.as_object().into_iter().flatten() {
                (operation_section(path, method, operation, project.as_str()))
            }
        }
    };
    Ok(Page::new("API", body).in_menu("api").still())
}

/// The document, read once.
fn document(console: &Console) -> Result<&Value, ConsoleError> {
    if let Some(known) = console.reference.get() {
        return Ok(known);
    }
    let read = serde_json::from_str((console.settings.reference)())
        .map_err(|error| ConsoleError::Fault(format!("the API's document: {error}")))?;
    Ok(console.reference.get_or_init(|| read))
}

fn operation_section(path: &str, method: &str, operation: &Value, project: &str) -> Markup {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
    let tried = path.replace("{project_id}", project);
    let method = method.to_uppercase();
    let has_body = operation.get("requestBody").is_some();
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    html! {
        details.operation {
            summary { span.method { (method) } " " code { (path) } " " span.soft { (text("summary")) } }
            @if !text("description").is_empty() { p { (text("description")) } }
            dl.facts {
                @for it in parameters { (parameter(it)) }
            }
            ul.soft { @for (status, answer) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
                li { code { (status) } " " (answer.get("description").and_then(Value::as_str).unwrap_or_default()) }
            } }
            pre tabindex="0" { code { (curl(&method, &tried, has_body)) } }
            form.stacked data-try=(method) hidden {
                label { "Path and query " input name="path" value=(tried); }
                @if has_body { label { "Body " textarea name="body" rows="4" { "{}" } } }
                button.plain type="submit" { "Send" }
                pre tabindex="0" aria-live="polite" hidden {}
            }
        }
    }
}

fn parameter(it: &Value) -> Markup {
    let text = |key: &str| it.get(key).and_then(Value::as_str).unwrap_or_default();
    html! { div { dt { code { (text("name")) } " " span.soft { (text("in")) } } dd { (show::sentence(text("description"))) } } }
}

fn curl(method: &str, path: &str, has_body: bool) -> String {
    let body = if has_body { " -H 'Content-Type: application/json' -d @BODY.json" } else { "" };
    let method = if method == "GET" { String::new() } else { format!(" -X {method}") };
    format!("curl{method} -H \"X-Auth-Token: $TOKEN\"{body} \"http://127.0.0.1:8779{path}\"")
}
