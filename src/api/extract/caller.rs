//! Authentication. It comes first below `/v1.0/{project}`, also on paths without a route, so that a
//! client without a token does not learn which paths exist.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::error::ApiError;
use crate::api::limits::{Share, TokenUse};
use crate::api::{AuthMode, State, counted, held};
use crate::catalog::{Read, Scope};
use crate::domain::{Actor, Caller, Clock as _, ProjectId, Role, SystemClock};
use crate::keystone::{Keystone, KeystoneError};

/// The secret of a request.
struct Credentials<'h> {
    secret: Cow<'h, str>,
    /// The user name of HTTP Basic, which must be the token's name.
    name: Option<String>,
}

/// Lets a request through if its caller is known and may use the project of the path.
pub(in crate::api) async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match enter(&request).await {
        Ok((scope, token, share)) => {
            request.extensions_mut().insert(scope);
            request.extensions_mut().insert(token);
            let answer = next.call(request).await.map(ServiceResponse::map_into_boxed_body);
            // A long answer counts until it is sent.
            answer.map(|it| held::until_sent(it, || share))
        }
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

async fn enter(request: &ServiceRequest) -> Result<(Scope<Read>, Arc<TokenUse>, Share), ApiError> {
    let state = request
        .app_data::<web::Data<State>>()
        .ok_or_else(|| ApiError::Fault("the application has no state".to_owned()))?;
    let origin = counted::origin(request.request());
    let caller = match state.auth {
        AuthMode::None => local_user(),
        AuthMode::Token => {
            let caller = caller(state, request.request()).await;
            caller.inspect_err(|refused| {
                let is_late = matches!(refused, ApiError::Later { .. } | ApiError::Wait { .. });
                if !is_late && has_credentials(request.headers()) {
                    counted::count_sign_in(state, origin);
                }
            })?
        }
    };
    let project: ProjectId = request
        .match_info()
        .get("project_id")
        .unwrap_or_default()
        .parse()
        .map_err(|_malformed| ApiError::unknown_path())?;
    let (token, share) = state.limits.begin_request(&caller.name)?;
    let actor = Actor { who: caller.name.clone(), origin };
    let scope = Scope::enter(caller, project);
    let scope = scope.inspect_err(|_refused| counted::count_denied(state, actor, None))?;
    Ok((scope.with_origin(origin), token, share))
}

/// Whether the request names any secret.
fn has_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key("x-auth-token") || headers.contains_key(AUTHORIZATION)
}

/// Who asks, where nobody has to say so. A token that is sent has to be one.
pub(in crate::api) async fn caller_if_any(
    state: &State,
    request: &HttpRequest,
) -> Result<Option<Arc<Caller>>, ApiError> {
    if state.auth == AuthMode::None {
        return Ok(Some(local_user()));
    }
    if !has_credentials(request.headers()) {
        return Ok(None);
    }
    caller(state, request).await.map(Some)
}

/// The caller while authentication is off, which is possible on loopback addresses only.
fn local_user() -> Arc<Caller> {
    static LOCAL_USER: LazyLock<Arc<Caller>> = LazyLock::new(|| {
        let (name, roles) = ("anybody".to_owned(), vec![Role::Admin, Role::Member]);
        Arc::new(Caller { name, project: None, roles })
    });
    Arc::clone(&LOCAL_USER)
}

/// Who sends the token. One of ours needs nobody else; any other is Keystone's, if that is asked. It never sees what came by
/// HTTP Basic, which has passwords of ours only.
async fn caller(state: &State, request: &HttpRequest) -> Result<Arc<Caller>, ApiError> {
    let credentials = credentials(request.headers()).ok_or(ApiError::Unauthorized)?;
    let Credentials { secret, name } = credentials;
    if let Some(caller) = state.catalog.authenticate(&secret) {
        let is_named = name.is_none_or(|name| name == caller.name);
        return is_named.then_some(caller).ok_or(ApiError::Unauthorized);
    }
    match &state.keystone {
        Some(keystone) if name.is_none() => ask_keystone(state, keystone, &secret, request).await,
        _ => Err(ApiError::Unauthorized),
    }
}

/// An address that sent many wrong tokens waits before Keystone is asked about another one.
async fn ask_keystone(
    state: &State,
    keystone: &Keystone,
    token: &str,
    request: &HttpRequest,
) -> Result<Arc<Caller>, ApiError> {
    if let Some(known) = keystone.known(token) {
        return Ok(known?);
    }
    let address = request.peer_addr().map(|it| it.ip());
    if let Some(time) = state.unknown_tokens.must_wait(address, SystemClock.now()) {
        return Err(ApiError::Wait { retry_after_s: time.as_secs().max(1) });
    }
    let answer = keystone.caller_of(token).await;
    if answer == Err(KeystoneError::Unknown) {
        state.unknown_tokens.note(address, SystemClock.now());
    }
    Ok(answer?)
}

/// The first secret of a request, in the order X-Auth-Token, Basic, Bearer. A header that cannot be read
/// is a wrong secret: the next one is not tried.
fn credentials(headers: &HeaderMap) -> Option<Credentials<'_>> {
    if let Some(token) = headers.get("x-auth-token") {
        return Some(Credentials { secret: token.to_str().ok()?.into(), name: None });
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
        .unwrap_or_else(|| Some(Credentials { secret: bearer?.into(), name: None }))
}

fn basic(credentials: &str) -> Option<Credentials<'static>> {
    let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some(Credentials { secret: secret.to_owned().into(), name: Some(name.to_owned()) })
}
