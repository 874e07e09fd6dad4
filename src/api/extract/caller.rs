//! Who asks. The first thing looked at below `/v1.0/{project}`, also on paths that lead nowhere, so
//! that nobody without a token learns which exist.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::error::ApiError;
use crate::api::{AuthMode, State};
use crate::catalog::{Read, Scope};
use crate::domain::{Caller, ProjectId, Role};

/// A secret as it was shown.
struct Shown<'h> {
    secret: Cow<'h, str>,
    /// The user name beside it, which has to be the token's.
    name: Option<String>,
}

/// Lets a request through if its caller is known and may be in the project of the path.
pub(in crate::api) async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let admitted = admit(&request);
    match admitted {
        Ok(scope) => {
            request.extensions_mut().insert(scope);
            next.call(request).await.map(ServiceResponse::map_into_boxed_body)
        }
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

fn admit(request: &ServiceRequest) -> Result<Scope<Read>, ApiError> {
    let state = request
        .app_data::<web::Data<State>>()
        .ok_or_else(|| ApiError::Fault("the application has no state".to_owned()))?;
    let caller = match state.auth {
        AuthMode::None => anybody(),
        AuthMode::Token => known(state, request.headers()).ok_or(ApiError::Unauthorized)?,
    };
    let project: ProjectId = request
        .match_info()
        .get("project_id")
        .unwrap_or_default()
        .parse()
        .map_err(|_malformed| ApiError::unknown_path())?;
    Ok(Scope::enter(caller, project)?)
}

/// With authentication off, whoever reaches the port owns the machine's backups anyway.
fn anybody() -> Arc<Caller> {
    static ANYBODY: LazyLock<Arc<Caller>> = LazyLock::new(|| {
        let (name, roles) = ("anybody".to_owned(), vec![Role::Admin, Role::Member]);
        Arc::new(Caller { name, project: None, roles })
    });
    Arc::clone(&ANYBODY)
}

fn known(state: &State, headers: &HeaderMap) -> Option<Arc<Caller>> {
    let shown = shown(headers)?;
    let caller = state.catalog.authenticate(&shown.secret)?;
    shown.name.is_none_or(|name| name == caller.name).then_some(caller)
}

/// The first secret of a request, in this order: X-Auth-Token, Basic, Bearer. A header that is there
/// and cannot be read is a wrong secret: the next one is not tried.
fn shown(headers: &HeaderMap) -> Option<Shown<'_>> {
    if let Some(token) = headers.get("x-auth-token") {
        return Some(Shown { secret: token.to_str().ok()?.into(), name: None });
    }
    let mut offers = headers.get_all(AUTHORIZATION).filter_map(|value| {
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        Some((scheme.to_ascii_lowercase(), credentials.trim()))
    });
    let mut bearer = None;
    offers
        .find_map(|(scheme, credentials)| match scheme.as_str() {
            "basic" => Some(basic(credentials)),
            "bearer" => {
                bearer.get_or_insert(credentials);
                None
            }
            _ => None,
        })
        .unwrap_or_else(|| Some(Shown { secret: bearer?.into(), name: None }))
}

fn basic(credentials: &str) -> Option<Shown<'static>> {
    let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some(Shown { secret: secret.to_owned().into(), name: Some(name.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn secret_of(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        shown(&map).map(|shown| shown.secret.into_owned())
    }

    #[test]
    fn the_first_of_several_secrets_counts() {
        let basic = ("authorization", "Basic YWxpY2U6cw==");
        let bearer = ("authorization", "bearer b");
        assert_eq!(secret_of(&[bearer, basic, ("x-auth-token", "t")]).as_deref(), Some("t"));
        assert_eq!(secret_of(&[bearer, basic]).as_deref(), Some("s"));
        assert_eq!(secret_of(&[bearer]).as_deref(), Some("b"));
        assert_eq!(secret_of(&[("authorization", "Digest x")]), None);
        assert_eq!(secret_of(&[]), None);
    }

    #[test]
    fn a_basic_header_that_cannot_be_read_is_not_passed_over_for_the_next() {
        assert_eq!(
            secret_of(&[("authorization", "Basic ###"), ("authorization", "Bearer b")]),
            None
        );
        assert_eq!(secret_of(&[("authorization", "Basic bm9jb2xvbg==")]), None);
    }
}
