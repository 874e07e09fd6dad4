//! A request below a project, as its handler sees it.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::web::{self, Data};
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};

use crate::api::State;
use crate::api::counted;
use crate::api::error::ApiError;
use crate::api::link::{self, ListUrl};
use crate::catalog::{self, Catalog, Permission, Read, Scope};
use crate::wire::Link;

use super::Query;

/// A request whose caller may do `P` in the project of the path.
pub(in crate::api) struct Call<P> {
    pub(in crate::api) scope: Scope<P>,
    pub(in crate::api) request: HttpRequest,
    pub(in crate::api) state: Data<State>,
}

impl<P: Permission> FromRequest for Call<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let scope = extensions.get::<Scope<Read>>().zip(request.app_data::<Data<State>>());
        let call = scope.ok_or(ApiError::Unauthorized).and_then(|(scope, state)| {
            let allowed = scope.also().inspect_err(|_refused| {
                counted::count_denied(state, scope.actor(), Some(scope.project().clone()));
            });
            Ok(Self { scope: allowed?, request: request.clone(), state: state.clone() })
        });
        ready(call.map_err(Error::from))
    }
}

impl<P: Permission> Call<P> {
    /// The name of the token that asks.
    pub(in crate::api) fn who(&self) -> &str {
        &self.scope.caller().name
    }

    /// The decoded parameter of the path with this name.
    pub(in crate::api) fn path_parameter(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// The id of the path, in its canonical spelling only, so that one backup has one URL, as in Trove. A
    /// malformed id gets the same 404 as an unknown one.
    pub(in crate::api) fn id<T: FromStr>(&self) -> Result<T, ApiError> {
        let text = self.path_parameter("id");
        match text.parse::<T>() {
            // An id that parses is hyphenated, so it can only differ by upper case.
            Ok(id) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => Ok(id),
            _ => Err(ApiError::unknown_id(text)),
        }
    }

    pub(in crate::api) fn query(&self) -> Result<Query, ApiError> {
        Query::from_request(&self.request)
    }

    /// The URL of the request, to make the link to the next page of.
    pub(in crate::api) fn url(&self) -> ListUrl {
        ListUrl::from_request(&self.request, &self.state)
    }

    /// The URL of something below the project of the path.
    pub(in crate::api) fn url_of(&self, path: &str) -> String {
        let base = link::base(&self.request, &self.state);
        format!("{base}/v1.0/{}/{path}", self.scope.project())
    }

    /// The links to something below the project of the path.
    pub(in crate::api) fn links(&self, path: &str) -> Vec<Link> {
        self.links_in(self.scope.project().as_str(), path)
    }

    pub(in crate::api) fn links_in(&self, project: &str, path: &str) -> Vec<Link> {
        link::self_and_bookmark(&link::base(&self.request, &self.state), project, path)
    }

    /// The catalog, for look-ups by this caller. They run on the event loop: each takes a fraction of a
    /// millisecond, and handing it to another thread takes several times as long on a busy machine.
    pub(in crate::api) fn catalog(&self) -> (&Catalog, &Scope<P>) {
        (&self.state.catalog, &self.scope)
    }

    /// Reads on a thread for that, because it may take longer than the event loop may be held up.
    pub(in crate::api) async fn read_long<T: Send + 'static>(
        self,
        read: impl FnOnce(&Catalog, &Scope<P>) -> catalog::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let Self { scope, state, .. } = self;
        let found = web::block(move || read(&state.catalog, &scope)).await;
        Ok(found.map_err(|gone| ApiError::Fault(gone.to_string()))??)
    }
}
