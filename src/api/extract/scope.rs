//! The permission that a handler needs, as an extractor: `scope: Scope<Write>`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};

use crate::api::error::ApiError;
use crate::catalog::{Permission, Read, Scope};

impl<P: Permission + 'static> FromRequest for Scope<P> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(scope(request).map_err(Error::from))
    }
}

fn scope<P: Permission>(request: &HttpRequest) -> Result<Scope<P>, ApiError> {
    let extensions = request.extensions();
    let entered = extensions.get::<Scope<Read>>().ok_or(ApiError::Unauthorized)?;
    Ok(entered.also()?)
}
