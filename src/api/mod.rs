//! HTTP: Trove's routes and words, status codes, and nothing of how things are done. Asks the catalog
//! only, which rings the bell for whoever works.
//!
//! A request passes `observe` (request id, access log, HEAD), then for everything below
//! `/v1.0/{project}` `extract::caller` (who asks, and may they be here at all), then its handler.

mod archive;
mod backups;
mod datastores;
mod download;
mod error;
mod extract;
mod flavors;
mod health;
mod instances;
mod json;
mod limits;
mod link;
mod metrics;
mod observe;
mod openapi;
mod quotas;
mod range;
mod reading;
mod refusal;
mod request_id;
mod strategies;
mod versions;
mod view;
mod view_create;
mod view_datastore;
mod view_drill;
mod view_instance;
mod view_restore;
mod view_strategy;

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{Error, FromRequest, Handler, Resource, Responder, Route, web};

use crate::catalog::{Catalog, Shelf};

pub use metrics::RequestCounts;

/// How callers are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// By the token they show.
    Token,
    /// Not at all: everybody may do everything. Only for loopback addresses.
    None,
}

/// What every handler can reach. Built once, shared by all workers.
#[derive(Debug)]
pub struct State {
    /// The records.
    pub catalog: Arc<Catalog>,
    /// The archives, for downloads and `locationRef`.
    pub shelf: Arc<dyn Shelf>,
    /// How callers are told apart.
    pub auth: AuthMode,
    /// Scheme and host that clients reach this server by, if not the ones of their requests.
    pub public_url: Option<String>,
    /// Backups a page when the client does not say.
    pub default_page: u32,
    /// Backups a page at most.
    pub max_page: u32,
    /// Instances a page, always: the stock client looks names up on the first page only.
    pub instance_page: u32,
    /// The server's version.
    pub version: &'static str,
    /// Answers given so far, for `/metrics`.
    pub answered: RequestCounts,
}

/// What goes around every request: `App::new().wrap(api::request_id()).configure(api::routes(state))`.
/// Gives each answer its id, logs and counts it, and answers HEAD.
pub fn request_id<S, B>()
-> impl Transform<S, ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    from_fn(observe::observe::<B>)
}

/// Every route.
pub fn routes(state: web::Data<State>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let mut project = web::scope("/v1.0/{project_id}");
        for entry in project_routes() {
            project = project.service(entry.into_resource());
        }
        let project = project
            .default_service(web::to(versions::unknown_path))
            .wrap(from_fn(extract::authenticate));
        config.app_data(state);
        for entry in public_routes() {
            config.service(entry.into_resource());
        }
        config.service(project).default_service(web::to(versions::unknown_path));
    }
}

/// What needs no token.
fn public_routes() -> Vec<Entry> {
    vec![
        at("/", [get(versions::all)]),
        at("/v1.0", [get(versions::v1)]),
        at("/v1.0/", [get(versions::v1)]),
        at("/healthcheck", [get(health::check)]),
        at("/metrics", [get(metrics::show)]),
        at("/openapi.json", [get(openapi::document)]),
    ]
}

/// Everything below `/v1.0/{project_id}`. The first match answers.
fn project_routes() -> Vec<Entry> {
    vec![
        at("", [get(versions::bare_project)]),
        at("/backups", [get(backups::list), post(backups::create)]),
        at("/backups/{id}", [get(backups::show), delete(backups::delete)]),
        at("/backups/{id}/drill", [post(backups::drill)]),
        at("/backups/{id}/archive", [get(archive::download)]),
        at("/instances", [get(instances::list), post(instances::create)]),
        at("/instances/detail", [get(instances::list)]),
        at("/instances/{id}", [get(instances::show), delete(instances::delete)]),
        at("/instances/{id}/backups", [get(backups::list_of_instance)]),
        at("/mgmt/instances", [get(instances::list_all)]),
        at("/datastores", [get(datastores::list)]),
        at("/datastores/versions/{version}", [get(datastores::show_version_alone)]),
        at("/datastores/{datastore}", [get(datastores::show)]),
        at("/datastores/{datastore}/versions", [get(datastores::versions)]),
        at("/datastores/{datastore}/versions/{version}", [get(datastores::show_version)]),
        at(
            "/backup_strategies",
            [get(strategies::list), post(strategies::create), delete(strategies::delete)],
        ),
        at("/flavors", [get(flavors::list)]),
        at("/flavors/{id}", [get(flavors::show)]),
        at("/limits", [get(limits::show)]),
        at("/mgmt/quotas/{project}", [get(quotas::show), put(quotas::update)]),
    ]
}

/// One path and what answers there.
struct Entry {
    path: &'static str,
    actions: Vec<(Method, Route)>,
}

impl Entry {
    /// Any other method is answered with 405 and the list of those that work.
    fn into_resource(self) -> Resource {
        let mut allowed = Vec::new();
        for (method, _route) in &self.actions {
            allowed.push(method.to_string());
            if method == Method::GET {
                allowed.push(Method::HEAD.to_string());
            }
        }
        let allow = allowed.join(", ");
        let mut resource = web::resource(self.path);
        for (_method, route) in self.actions {
            resource = resource.route(route);
        }
        resource.default_service(web::to(move || {
            let refusal = error::ApiError::BadMethod { allow: allow.clone() };
            async move { Err::<&'static str, _>(refusal) }
        }))
    }
}

fn at(path: &'static str, actions: impl IntoIterator<Item = (Method, Route)>) -> Entry {
    Entry { path, actions: actions.into_iter().collect() }
}

fn action<F, Args>(method: Method, handler: F) -> (Method, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    (method.clone(), web::method(method).to(handler))
}

macro_rules! methods {
    ($($name:ident = $method:ident),+) => {$(
        fn $name<F, Args>(handler: F) -> (Method, Route)
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            action(Method::$method, handler)
        }
    )+};
}
methods!(get = GET, post = POST, put = PUT, delete = DELETE);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// `path method` of every operation that is routed.
    fn routed() -> Vec<String> {
        let entries = |prefix: &'static str, entries: Vec<Entry>| {
            entries.into_iter().flat_map(move |entry| {
                let path = format!("{prefix}{}", entry.path);
                entry.actions.into_iter().map(move |(method, _route)| {
                    format!("{path} {}", method.as_str().to_lowercase())
                })
            })
        };
        let mut all: Vec<String> = entries("", public_routes())
            .chain(entries("/v1.0/{project_id}", project_routes()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn the_openapi_document_knows_every_route_and_no_other() {
        let document: Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let mut told: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "parameters")
                    .map(move |method| format!("{path} {method}"))
            })
            .collect();
        told.sort();
        assert_eq!(told, routed());
    }
}
