//! Signing in with a token, and out.

use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::http::header::SET_COOKIE;
use actix_web::rt::time::sleep;
use maud::{Markup, html};

use crate::catalog::Counted;
use crate::domain::{Action, Actor, Origin, Secret};
use crate::keystone::KeystoneError;

use super::body::Fields;
use super::error::ConsoleError;
use super::page::{self, HTML, go_to, ok, signed_out};
use super::route::Route;
use super::session::{self, Holder, LONGEST, Session};
use super::show::span;
use super::state::Console;

/// The name of the cookie.
pub(super) const COOKIE: &str = "coffer_session";

/// Why the page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Begin,
    /// The session is over.
    Ended,
    SignedOut,
    WrongToken,
    /// Too many wrong tokens came from this address.
    Wait(std::time::Duration),
}

/// The page; `after` is where to go then.
pub(super) fn page(console: &Console, why: Why, after: &str) -> HttpResponse {
    let body = html! {
        h1 { "Sign in" }
        (notice(why))
        form method="post" action="/console/sign-in" {
            input type="hidden" name="after" value=(after);
            @if console.settings.needs_token {
                p {
                    label for="token" { "Token" }
                    input #token type="password" name="token" autocomplete="current-password" required autofocus
                        aria-describedby="token-help";
                }
                p #token-help .soft {
                    "The same as for the API and the commands. The first one is in the file "
                    code { "admin.token" } " in the data directory; " code { "coffer token new" } " makes others."
                    @if console.settings.keystone.is_some() {
                        " Or a token of Keystone that is for a project: "
                        code { "openstack token issue -f value -c id" }
                        " shows one. The session ends when that token does."
                    }
                }
            } @else {
                p { "This server asks nobody for a token: whoever reaches it may do everything." }
            }
            p { button type="submit" { "Sign in" } }
        }
    };
    let text = signed_out("Sign in", &body);
    match why {
        Why::Wait(time) => HttpResponse::TooManyRequests()
            .insert_header(("Retry-After", time.as_secs().max(1).to_string()))
            .content_type(HTML)
            .body(page::text(text)),
        Why::WrongToken => HttpResponse::Forbidden().content_type(HTML).body(page::text(text)),
        Why::Begin | Why::Ended | Why::SignedOut => ok(text),
    }
}

fn notice(why: Why) -> Markup {
    let (class, text) = match why {
        Why::Begin => return html! {},
        Why::Ended => {
            ("warn", "Your session is over. Sign in again; nothing was changed since.".to_owned())
        }
        Why::SignedOut => ("good", "You are signed out.".to_owned()),
        Why::WrongToken => {
            ("bad", "This is not a token of this server. Check that all of it is there.".to_owned())
        }
        Why::Wait(time) => (
            "bad",
            format!("Too many wrong tokens came from your address. Try again in {}.", span(time)),
        ),
    };
    html! { p.notice.(class) role="alert" { (text) } }
}

/// Begins a session if the token is one.
pub(super) async fn sign_in(
    console: &Console,
    fields: &Fields,
    address: Option<IpAddr>,
) -> Result<HttpResponse, ConsoleError> {
    let after = safe(fields.text("after"));
    let now = console.now();
    let holder = if console.settings.needs_token {
        if let Some(time) = console.slow_down.must_wait(address, now) {
            return Ok(page(console, Why::Wait(time), &after));
        }
        let Some(holder) = holder(console, fields.text("token")).await? else {
            console.slow_down.note(address, now);
            count_wrong_token(console, address);
            sleep(console.settings.wrong_token_wait).await;
            return Ok(page(console, Why::WrongToken, &after));
        };
        holder
    } else {
        Holder::Anybody
    };
    let id = console.sessions.begin(holder, now);
    let id = id.map_err(|error| ConsoleError::Fault(format!("no random number: {error}")))?;
    let mut answer = go_to(&after);
    set_cookie(&mut answer, console, &id, LONGEST.as_secs());
    Ok(answer)
}

/// What a session with this token is begun with: one of ours needs nobody else, any other is Keystone's, if that is asked.
/// `None`: nobody knows it.
async fn holder(console: &Console, token: &str) -> Result<Option<Holder>, KeystoneError> {
    let hash = session::hash(token);
    if console.catalog.caller_of(&hash).is_some() {
        return Ok(Some(Holder::Token(hash)));
    }
    match session::caller_in_keystone(console.keystone(), token).await {
        Ok(_caller) => Ok(Some(Holder::Keystone(Secret::new(token.to_owned())))),
        Err(KeystoneError::Unknown) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The event log counts wrong tokens, like those that the API gets.
fn count_wrong_token(console: &Console, address: Option<IpAddr>) {
    let origin = address.map_or(Origin::Socket, Origin::Address);
    let shown = address.map_or_else(|| "the socket".to_owned(), |it| it.to_canonical().to_string());
    log::warn!("a sign-in at the console from {shown} was refused: the token is not known");
    let actor = Actor { who: "unknown".to_owned(), origin };
    let (action, project, object) = (Action::SignIn, None, None);
    console.catalog.count_event(Counted { action, actor, project, object, refused: true });
}

pub(super) fn sign_out(console: &Console, session: &Session) -> HttpResponse {
    console.sessions.end(session);
    let mut answer = go_to("/console/sign-in?why=out");
    set_cookie(&mut answer, console, "", 0);
    answer
}

fn set_cookie(answer: &mut HttpResponse, console: &Console, id: &str, seconds: u64) {
    let secure = if console.is_https() { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={id}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    let value = cookie.parse().expect("hex digits and words are ASCII");
    answer.headers_mut().insert(SET_COOKIE, value);
}

/// A page of the console to go to; anything else is the overview.
fn safe(after: &str) -> String {
    let path = after.strip_prefix("/console/").unwrap_or_default();
    let plain = path.split('?').next().unwrap_or_default();
    let printable = after.bytes().all(|it| it.is_ascii_graphic());
    if printable && Route::of(plain).is_some_and(Route::is_shown) {
        format!("/console/{path}")
    } else {
        "/console/".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere_after_signing_in() {
        for elsewhere in
            ["https://evil.example/", "//evil.example/console/", "/v1.0", "", "/console/\r\nX: y"]
        {
            assert_eq!(safe(elsewhere), "/console/", "{elsewhere}");
        }
        for no_page in ["sign-out", "sign-in", "live", "alerts/test"] {
            assert_eq!(safe(&format!("/console/{no_page}")), "/console/", "{no_page}");
        }
        assert_eq!(safe("/console/events?before=7"), "/console/events?before=7");
    }
}
