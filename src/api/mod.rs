//! HTTP: Trove's routes, sentences and status codes. Asks the catalog, which wakes the workers.
//!
//! A request passes `observe` (request id, access log, HEAD), then below `/v1.0/{project}` also
//! `extract::caller` (who asks, and may they use this project), then its handler.
//!
//! A route is a handler with its `#[utoipa::path]`, listed in `routes()` of its file, and the types of
//! its bodies in `wire`. `/openapi.json` is made from the same lists, by a test that
//! writes or checks `openapi/openapi.json`: the program holds the file, and not what makes it.

mod actions;
mod alerts;
mod archive;
mod backup_list;
mod backups;
mod connection;
mod consolidations;
mod counted;
mod datastores;
mod error;
mod events;
mod extract;
mod flavors;
mod fleet;
mod heads;
mod health;
mod held;
mod identity;
mod instances;
mod limits;
mod link;
mod metrics;
mod observe;
mod openapi;
mod operation;
mod page_body;
mod projects;
mod quotas;
mod refusal;
mod retention;
mod schedules;
mod strategies;
mod turns;
mod verifications;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::middleware::from_fn;
use actix_web::{Error, web};

use crate::access::{AlertChannels, ArchiveAccess, SlowDown};
use crate::catalog::{Catalog, CatalogError};
use crate::domain::Backup;
use crate::keystone::Keystone;
use crate::users::Users;
use crate::wire::BackupView;

use operation::Operation;

pub use connection::{Connection, Entrance, LongBody, OpenRequest, RequestBody, Reserve};
pub use limits::{LimitSettings, Limits};
pub use metrics::RequestCounts;
pub use openapi::openapi_text;

/// How callers are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    Token,
    /// Not at all: everyone may do everything. Only for loopback addresses.
    None,
}

/// What every handler can reach. Built once, shared by all workers.
#[derive(Debug)]
pub struct State {
    pub catalog: Arc<Catalog>,
    /// The archives, for downloads and `locationRef`.
    pub archives: Arc<dyn ArchiveAccess>,
    /// The channels for alerts.
    pub channels: Arc<dyn AlertChannels>,
    pub auth: AuthMode,
    /// Who may sign in.
    pub users: Arc<Users>,
    /// Whose tokens are taken besides our own.
    pub keystone: Option<Arc<Keystone>>,
    /// Addresses that sent tokens which Keystone does not know.
    pub unknown_tokens: SlowDown,
    /// Addresses that signed in wrongly.
    pub slow_down: Arc<SlowDown>,
    /// How long the answer to a wrong password waits.
    pub wrong_sign_in_wait: Duration,
    /// What links begin with, if not with the host of the request.
    pub public_url: Option<String>,
    /// Names of this server, besides those of this machine's own loopback: links may begin with them.
    pub hosts: Vec<String>,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
    pub limits: Limits,
    /// Backups a page when the client does not say.
    pub default_page: u32,
    pub max_page: u32,
    /// Instances a page, unless the client asks for fewer: the OpenStack client looks names up on the first page only.
    pub instance_page: u32,
    /// How long the answer to a registration waits for its end.
    pub registration_wait: Duration,
    pub version: &'static str,
    /// Answers given so far, for `/metrics`.
    pub answered: RequestCounts,
}

impl State {
    fn view(&self, backup: Backup) -> BackupView {
        BackupView::new(backup, &*self.archives)
    }

    /// The same with where its copies are.
    fn view_with_copies(&self, backup: Backup) -> Result<BackupView, CatalogError> {
        let mut rows = [backup];
        self.catalog.read_copies(&mut rows)?;
        let [backup] = rows;
        Ok(self.view(backup))
    }
}

/// The middleware around every request: gives each answer its id, logs and counts it, and answers HEAD.
/// `App::new().wrap(api::request_id()).configure(api::routes(state))`.
pub fn request_id<S, B>()
-> impl Transform<S, ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    from_fn(observe::observe::<B>)
}

/// The path that every route of a project begins with.
const PROJECT: &str = "/v1.0/{project_id}";

pub fn routes(state: web::Data<State>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let mut project = web::scope(&operation::pattern(PROJECT));
        for resource in operation::resources(project_operations()) {
            project = project.service(resource);
        }
        let project = project
            .default_service(web::to(versions::unknown_path))
            .wrap(from_fn(extract::authenticate));
        config.app_data(state);
        for resource in operation::resources(public_operations()) {
            config.service(resource);
        }
        identity::configure(config);
        config.service(project).default_service(web::to(versions::unknown_path));
    }
}

/// What needs no token.
fn public_operations() -> Vec<Operation> {
    [
        versions::public_routes(),
        identity::public_routes(),
        health::public_routes(),
        metrics::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everything below [`PROJECT`]. The first path that matches answers.
fn project_operations() -> Vec<Operation> {
    [
        versions::project_routes(),
        backup_list::routes(),
        backups::routes(),
        archive::routes(),
        consolidations::routes(),
        verifications::routes(),
        instances::routes(),
        actions::routes(),
        datastores::routes(),
        schedules::routes(),
        events::routes(),
        fleet::routes(),
        health::project_routes(),
        retention::routes(),
        alerts::routes(),
        strategies::routes(),
        flavors::routes(),
        projects::routes(),
        quotas::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
