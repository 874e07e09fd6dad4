//! Tokens: asking for one, showing one, ending one.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::rt::time::sleep;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::api::State;
use crate::api::counted::{self, origin};
use crate::api::error::ApiError;
use crate::api::extract::Body;
use crate::api::link::absolute_base;
use crate::api::operation::{Operation, operations};
use crate::api::refusal::sentence;
use crate::domain::{Actor, Clock as _, Secret, SystemClock, with_causes};
use crate::users::{Issued, Refused};
use crate::wire::{SignInBody, TokenAnswer};

use super::Asker;
use super::token_view::token_view;
use super::wish::wish;

/// Where a token itself is, in requests and answers.
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

pub(super) fn routes() -> Vec<Operation> {
    operations![issue_token, show_token, revoke_token]
}

/// The parameters of requests that show a token, for their documentation.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the value is read from the query")]
struct TokenParameters {
    /// Leaves the services out, whatever the value.
    nocatalog: Option<String>,
}

/// Ask for a token by a password, an application credential or another token
#[utoipa::path(
    post,
    path = "/auth/tokens",
    params(TokenParameters),
    request_body = SignInBody,
    responses((
        status = 201,
        description = "The token.",
        body = TokenAnswer,
        headers(("X-Subject-Token" = String, description = "The token itself."))
    ))
)]
async fn issue_token(
    request: HttpRequest,
    state: Data<State>,
    Body(body): Body<SignInBody>,
) -> Result<HttpResponse, ApiError> {
    let (proof, wanted) = wish(body)?;
    let address = request.peer_addr().map(|it| it.ip());
    if let Some(time) = state.slow_down.must_wait(address, SystemClock.now()) {
        return Err(ApiError::Wait { retry_after_s: time.as_secs().max(1) });
    }
    let (secret, token) = match state.users.sign_in(proof, wanted).await {
        Ok(signed_in) => signed_in,
        Err(refused) => return Err(refuse(&request, &state, address, refused).await),
    };
    let actor = Actor { who: token.user_name.clone(), origin: origin(&request) };
    counted::count_signed_in(&state, actor, token.project.clone());
    let secret = HeaderValue::from_str(secret.reveal())
        .map_err(|error| ApiError::Fault(error.to_string()))?;
    let answer = answer(&request, &state, &token);
    Ok(HttpResponse::Created().insert_header((SUBJECT, secret)).json(answer))
}

/// A wrong proof is counted, waits, and says nothing of what is wrong.
async fn refuse(
    request: &HttpRequest,
    state: &State,
    address: Option<IpAddr>,
    refused: Refused,
) -> ApiError {
    match refused {
        Refused::NotKnown => {
            let origin = origin(request);
            log::warn!("a sign-in from {origin} was refused: {refused}");
            state.slow_down.note(address, SystemClock.now());
            counted::count_sign_in(state, origin);
            sleep(state.wrong_sign_in_wait).await;
            ApiError::Unauthorized
        }
        Refused::Busy => {
            log::warn!("a sign-in was put off: {refused}");
            ApiError::Later { why: sentence(&refused), retry_after_s: 1 }
        }
        Refused::Failed(error) => ApiError::Fault(with_causes(&error)),
    }
}

/// Show a token: one's own, or for administrators any
#[utoipa::path(
    get,
    path = "/auth/tokens",
    params(TokenParameters, ("X-Subject-Token" = String, Header, description = "The token.")),
    responses((status = 200, description = "The token.", body = TokenAnswer))
)]
async fn show_token(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let (secret, token) = subject(&request, &state)?;
    let answer = answer(&request, &state, &token);
    let secret = HeaderValue::from_str(secret.reveal())
        .map_err(|error| ApiError::Fault(error.to_string()))?;
    Ok(HttpResponse::Ok().insert_header((SUBJECT, secret)).json(answer))
}

/// End a token: one's own, or for administrators any
#[utoipa::path(
    delete,
    path = "/auth/tokens",
    params(("X-Subject-Token" = String, Header, description = "The token.")),
    responses((status = 204, description = "It has ended."))
)]
async fn revoke_token(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, ApiError> {
    let (secret, _token) = subject(&request, &state)?;
    state.users.revoke(secret.reveal());
    Ok(HttpResponse::NoContent().finish())
}

/// The token that the request is about.
fn subject(request: &HttpRequest, state: &State) -> Result<(Secret, Arc<Issued>), ApiError> {
    let asker = Asker::of(request, state)?;
    let subject = request
        .headers()
        .get(SUBJECT)
        .ok_or_else(|| ApiError::BadRequest("The header X-Subject-Token is missing.".to_owned()))?;
    let found = subject.to_str().ok().and_then(|it| Some((it, state.users.find(it)?)));
    let (secret, token) =
        found.ok_or_else(|| ApiError::NotFound("Could not find token.".to_owned()))?;
    let is_own = matches!(&asker, Asker::User(own) if own.user_id == token.user_id);
    if is_own || asker.is_admin() {
        return Ok((Secret::new(secret.to_owned()), token));
    }
    Err(ApiError::Forbidden("This token may not show or end those of others.".to_owned()))
}

fn answer(request: &HttpRequest, state: &State, token: &Issued) -> TokenAnswer {
    let mut names = request.query_string().split('&').map(|it| it.split('=').next());
    let with_services = !names.any(|it| it == Some("nocatalog"));
    let base = absolute_base(request, state);
    TokenAnswer { token: token_view(token, with_services.then_some(&base)) }
}
