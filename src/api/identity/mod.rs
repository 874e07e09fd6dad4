//! What a client of OpenStack asks Keystone before it asks for backups: signing in, the projects, where the services are.
//! A subset of Keystone's API, version 3, for the users of `coffer user`, with Keystone's words and its form of refusals.

mod projects;
mod services;
mod token_view;
mod tokens;
mod versions;
mod wish;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, VARY, WWW_AUTHENTICATE};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{Error, HttpMessage as _, HttpRequest, web};

use crate::domain::Caller;
use crate::users::Issued;
use crate::wire::{IdentityError, IdentityErrorBody};

use super::State;
use super::error::{ApiError, said};
use super::operation::{self, Operation};

/// Where it is. The document of the API names the first one; the second is the path that many clients have of Keystone.
pub(super) const PREFIXES: [&str; 2] = ["/identity/v3", "/v3"];

/// How many shares of the limits there are for addresses.
const LANES: u64 = 64;

/// Everything below [`PREFIXES`].
pub(super) fn operations() -> Vec<Operation> {
    [versions::routes(), tokens::routes(), projects::routes(), services::routes()]
        .into_iter()
        .flatten()
        .collect()
}

/// What needs no prefix.
pub(super) fn public_routes() -> Vec<Operation> {
    versions::public_routes()
}

pub(super) fn configure(config: &mut ServiceConfig) {
    for prefix in PREFIXES {
        let mut scope = web::scope(prefix);
        for resource in operation::resources(operations()) {
            scope = scope.service(resource);
        }
        let scope = scope.default_service(web::to(super::versions::unknown_path));
        config.service(scope.wrap(from_fn(enter)));
    }
}

/// Lets a request through if there is room for it, and gives refusals Keystone's form. Whoever signs in has no token yet:
/// the limits of one hold for the addresses of a lane.
async fn enter(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let state = request.app_data::<Data<State>>().cloned();
    let state = state.ok_or_else(|| ApiError::Fault("the application has no state".to_owned()))?;
    let lane = lane(request.peer_addr());
    let mut answer = match state.limits.begin_request(&lane) {
        Ok((token, _share)) => {
            request.extensions_mut().insert(token);
            next.call(request).await?.map_into_boxed_body()
        }
        Err(refusal) => request.error_response(refusal),
    };
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("X-Auth-Token"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(in_keystone_form(answer))
}

/// Names the lane of an address, as no token is named. A network of IPv6 is one address.
fn lane(peer: Option<SocketAddr>) -> String {
    let address = peer.map(|it| match it.ip().to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or_default(),
    });
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    format!("/sign-in/{}", hasher.finish() % LANES)
}

fn in_keystone_form(answer: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let Some(message) = said(answer.response()) else { return answer };
    let status = answer.status();
    let title = status.canonical_reason().unwrap_or_default().to_owned();
    let error = IdentityError { code: status.as_u16(), message, title };
    let body = serde_json::to_string(&IdentityErrorBody { error }).unwrap_or_default();
    let mut answer = answer.map_body(|_head, _trove| BoxBody::new(body));
    if answer.headers().contains_key(WWW_AUTHENTICATE) {
        let scheme = HeaderValue::from_static("Keystone uri=\"/identity/v3\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    answer
}

/// Who sends the token in `X-Auth-Token`.
enum Asker {
    /// A user who signed in.
    User(Arc<Issued>),
    /// A token of the configuration, or the first one of an administrator.
    Token(Arc<Caller>),
}

impl Asker {
    fn of(request: &HttpRequest, state: &State) -> Result<Self, ApiError> {
        let token = request.headers().get("x-auth-token").and_then(|it| it.to_str().ok());
        let token = token.ok_or(ApiError::Unauthorized)?;
        if let Some(issued) = state.users.find(token) {
            return Ok(Self::User(issued));
        }
        state.catalog.authenticate(token).map(Self::Token).ok_or(ApiError::Unauthorized)
    }

    /// What it may do in a project; `None`: it is for none.
    fn caller(&self) -> Option<Arc<Caller>> {
        match self {
            Self::User(issued) => issued.caller(),
            Self::Token(caller) => Some(Arc::clone(caller)),
        }
    }

    fn is_admin(&self) -> bool {
        self.caller().is_some_and(|it| it.is_admin())
    }
}
