//! Where somebody asks, and that they may do so there: the extractor that handlers name.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};

use crate::api::error::ApiError;
use crate::catalog::{Permission, Scope};
use crate::domain::{Caller, ProjectId};

impl<P: Permission + 'static> FromRequest for Scope<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(enter(request).map_err(Error::from))
    }
}

fn enter<P: Permission>(request: &HttpRequest) -> Result<Scope<P>, ApiError> {
    let caller =
        request.extensions().get::<Arc<Caller>>().cloned().ok_or(ApiError::Unauthorized)?;
    let project: ProjectId = request
        .match_info()
        .get("project_id")
        .unwrap_or_default()
        .parse()
        .map_err(|_malformed| ApiError::unknown_path())?;
    Ok(Scope::enter(caller, project)?)
}
