//! What every request passes: who is signed in, whether a change comes from a page of ours, and what browsers may do
//! with the answer.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::uri::{Authority, Uri};
use actix_web::http::{Method, header};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::access::{Reached, is_own_host};
use crate::domain::Origin;

use super::asked::Asked;
use super::body::Fields;
use super::error::ConsoleError;
use super::packed::{self, PACKED_SCRIPT, PACKED_STYLE, Packed, SCRIPT, STYLE};
use super::page::{self, Page, go_to};
use super::route::{Asset, BackupAction, InstanceAction, Route};
use super::session::Session;
use super::sign_in::{self, Why};
use super::state::Console;
use super::{
    alerts, backup, backup_actions, delete, events, fleet, instance, instance_actions, live,
    overview, quotas, reference, restore,
};

/// Nothing but what this server itself sends; no script or style in a page, and no page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) async fn to_front() -> HttpResponse {
    guarded(go_to("/console/"), false)
}

pub(super) async fn answer(
    request: HttpRequest,
    payload: Payload,
    console: Data<Console>,
) -> HttpResponse {
    let route = Route::of(request.match_info().get("path").unwrap_or_default());
    if let (Some(Route::Asset(asset)), &Method::GET) = (route, request.method()) {
        return guarded(asset_answer(asset, packed::takes_gzip(&request)), true);
    }
    let console = console.into_inner();
    let is_here = host(&request).is_some_and(|it| is_known(it, &request, &console));
    let session = match route {
        // Whoever signs in needs no session.
        Some(Route::SignIn) => Ok(None),
        _ if is_here => session_of(&request, &console, route).await,
        _ => Err(ConsoleError::NotOurHost),
    };
    let (session, answer) = match session {
        Ok(session) if is_here => {
            let faces = (&console, session.as_ref());
            let answer = respond(&request, payload, faces, route).await;
            (session, answer)
        }
        Ok(_none) => (None, Err(ConsoleError::NotOurHost)),
        Err(error) => (None, Err(error)),
    };
    let answer = answer.unwrap_or_else(|error| {
        if let Some(cause) = error.cause() {
            log::error!("{} {} failed: {cause}", request.method(), request.path());
        }
        page::refused(&console, session.as_ref(), &error.refusal())
    });
    guarded(answer, false)
}

async fn respond(
    request: &HttpRequest,
    payload: Payload,
    (console, session): (&Arc<Console>, Option<&Session>),
    route: Option<Route>,
) -> Result<HttpResponse, ConsoleError> {
    let query = Fields::of_text(request.query_string().as_bytes());
    let changes = match *request.method() {
        Method::GET => false,
        Method::POST => true,
        _ => return Err(ConsoleError::NoPage),
    };
    if changes && !is_same_site(request, console) {
        return Err(ConsoleError::NotOurForm);
    }
    if route == Some(Route::SignIn) {
        if changes {
            let fields = Fields::read(console, payload).await?;
            return sign_in::sign_in(console, &fields, address(request)).await;
        }
        return Ok(sign_in::page(console, why(&query), query.text("after")));
    }
    let Some(session) = session else {
        let is_stream = !changes && route == Some(Route::Live);
        return Ok(if is_stream { live::is_over() } else { to_sign_in(request, changes) });
    };
    let route = route.ok_or(ConsoleError::NoPage)?;
    let takes_gzip = packed::takes_gzip(request);
    let asked = Asked { console: Arc::clone(console), session: session.clone(), query, takes_gzip };
    if !changes {
        return show(asked, route).await;
    }
    let fields = Fields::read(console, payload).await?;
    if !session.is_own_form(fields.text("form_token")) {
        return Err(ConsoleError::NotOurForm);
    }
    change(&asked, route, &fields).await
}

/// The page of a route.
async fn show(asked: Asked, route: Route) -> Result<HttpResponse, ConsoleError> {
    match route {
        Route::Live => return live::stream(&asked),
        Route::Archive(id) => return backup_actions::download(&asked, id).await,
        _ => {}
    }
    // Reading what a page shows may take longer than the event loop may be held up.
    let made = web::block(move || {
        let as_of = asked.console.catalog.changes().count();
        let page = page_of(&asked, route)?;
        let text = page::text(page.document(&asked.console, &asked.session, as_of));
        Ok::<_, ConsoleError>(Packed::new(text, asked.takes_gzip))
    });
    let packed = made.await.map_err(|error| ConsoleError::Fault(error.to_string()))??;
    Ok(packed.answer(page::HTML))
}

fn page_of(asked: &Asked, route: Route) -> Result<Page, ConsoleError> {
    match route {
        Route::Overview => overview::page(asked),
        Route::Instance(id) => instance::page(asked, id),
        Route::OfInstance(id, InstanceAction::Delete) => instance_actions::delete_page(asked, id),
        Route::Backup(id) => backup::page(asked, id),
        Route::OfBackup(id, BackupAction::Delete) => delete::page(asked, id),
        Route::OfBackup(id, BackupAction::Restore) => restore::page(asked, id),
        Route::Alerts => alerts::page(asked),
        Route::Events => events::page(asked),
        Route::Fleet => fleet::page(asked),
        Route::Quotas => quotas::page(asked),
        Route::Reference => reference::page(asked),
        _ => Err(ConsoleError::NoPage),
    }
}

/// What a form of a page asks for.
async fn change(
    asked: &Asked,
    route: Route,
    fields: &Fields,
) -> Result<HttpResponse, ConsoleError> {
    match route {
        Route::SignOut => Ok(sign_in::sign_out(&asked.console, &asked.session)),
        Route::OfInstance(id, action) => instance_actions::act(asked, id, action, fields).await,
        Route::OfBackup(id, BackupAction::Restore) => restore::restore(asked, id, fields).await,
        Route::OfBackup(id, BackupAction::Delete) => delete::delete(asked, id).await,
        Route::OfBackup(id, action) => backup_actions::act(asked, id, action).await,
        Route::TestAlerts => alerts::test(asked, fields).await,
        Route::Quotas => quotas::set(asked, fields).await,
        _ => Err(ConsoleError::NoPage),
    }
}

fn why(query: &Fields) -> Why {
    match query.text("why") {
        "ended" => Why::Ended,
        "out" => Why::SignedOut,
        _ => Why::Begin,
    }
}

/// To the sign-in page, and from there back to this one.
fn to_sign_in(request: &HttpRequest, changes: bool) -> HttpResponse {
    let why = if cookie(request).is_some() { "ended" } else { "" };
    let after = if changes { "/console/" } else { request.uri().path() };
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("after", after), ("why", why)].into_iter().filter(|(_, it)| !it.is_empty()))
        .finish();
    go_to(&format!("/console/sign-in?{query}"))
}

async fn session_of(
    request: &HttpRequest,
    console: &Console,
    route: Option<Route>,
) -> Result<Option<Session>, ConsoleError> {
    let Some(id) = cookie(request) else { return Ok(None) };
    let origin = address(request).map_or(Origin::Socket, Origin::Address);
    let who = (&*console.catalog, console.keystone());
    let asked = (origin, route == Some(Route::SignOut), console.now());
    Ok(console.sessions.find(id, who, asked).await?)
}

fn cookie(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers().get_all(COOKIE).filter_map(|it| it.to_str().ok());
    let pairs = headers.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == sign_in::COOKIE).map(|(_, id)| id)
}

fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|it| it.ip())
}

/// Whether a change comes from a page of this server, as far as the browser says. One that says nothing is refused.
fn is_same_site(request: &HttpRequest, console: &Console) -> bool {
    let header = |name: &str| request.headers().get(name).map(|it| it.to_str().unwrap_or("-"));
    let site = header("sec-fetch-site");
    let origin = header(ORIGIN.as_str());
    let known = site.is_some() || origin.is_some();
    let site_fits = site.is_none_or(|it| it == "same-origin");
    known && site_fits && origin.is_none_or(|it| is_own_origin(it, request, console))
}

fn is_own_origin(origin: &str, request: &HttpRequest, console: &Console) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let Some(authority) = origin.authority() else { return false };
    let is_host = || host(request).is_some_and(|it| it.eq_ignore_ascii_case(authority.as_str()));
    is_public(authority.as_str(), console)
        || is_host() && is_known(authority.as_str(), request, console)
}

/// The name by which the browser reaches this server, as it says.
fn host(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    header.or_else(|| request.uri().authority().map(Authority::as_str))
}

/// Whether a name is one that this server has. Another one may have been made to lead here, so that pages of somebody
/// else share it.
fn is_known(name: &str, request: &HttpRequest, console: &Console) -> bool {
    let reached = request.conn_data::<Reached>().copied().unwrap_or_default();
    is_public(name, console) || is_own_host(name, &console.settings.hosts, reached)
}

fn is_public(name: &str, console: &Console) -> bool {
    let public: Option<Uri> = console.settings.public_url.as_ref().and_then(|it| it.parse().ok());
    public
        .as_ref()
        .and_then(Uri::authority)
        .is_some_and(|it| it.as_str().eq_ignore_ascii_case(name))
}

/// The answer, with what browsers may do with it.
fn guarded(mut answer: HttpResponse, keep: bool) -> HttpResponse {
    let headers = answer.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(VARY, "Accept-Encoding, Sec-Fetch-Site");
    set(CACHE_CONTROL, if keep { "no-cache" } else { "no-store" });
    answer
}

fn asset_answer(asset: Asset, gzip: bool) -> HttpResponse {
    match asset {
        Asset::Style => packed::asset(gzip, "text/css; charset=utf-8", STYLE, &PACKED_STYLE),
        Asset::Script => {
            packed::asset(gzip, "text/javascript; charset=utf-8", SCRIPT, &PACKED_SCRIPT)
        }
        Asset::Icon => {
            HttpResponse::Ok().content_type("image/svg+xml").body(include_str!("assets/icon.svg"))
        }
    }
}
