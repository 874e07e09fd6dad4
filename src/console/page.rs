//! What every page has: its head, the way to the others, and where it says what was done.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use crate::domain::{for_people, harmless};

use super::error::Refusal;
use super::session::Session;
use super::show;
use super::state::Console;

/// It is in the menu only where there is one, and for those who may see it.
const FLEET: &str = "Fleet";

/// The pages that are one step away, with their paths below `/console/`.
const MENU: [(&str, &str); 6] = [
    ("Am I safe?", ""),
    ("Alerts", "alerts"),
    ("Events", "events"),
    (FLEET, "fleet"),
    ("Quotas", "quotas"),
    ("API", "api"),
];

/// A page.
pub(super) struct Page {
    pub(super) title: String,
    /// Its place in the menu, if it has one.
    pub(super) path: &'static str,
    /// Whether it shows what changes.
    pub(super) is_live: bool,
    pub(super) body: Markup,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), path: "-", is_live: true, body }
    }

    pub(super) fn in_menu(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    /// It stays as it is until it is loaded again.
    pub(super) fn still(self) -> Self {
        Self { is_live: false, ..self }
    }

    /// `as_of`: how many changes there were before it was read.
    pub(super) fn document(&self, console: &Console, session: &Session, as_of: u64) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                (head(&self.title))
                body data-live=[self.is_live.then_some(as_of)] {
                    a.skip href="#main" { "To the content" }
                    header {
                        a.brand href="/console/" { (mark()) "Coffer" }
                        nav aria-label="Pages" {
                            ul {
                                @let has_fleet = session.is_admin() && console.catalog.has_fleets();
                                @for (name, path) in MENU.into_iter().filter(|it| it.0 != FLEET || has_fleet) {
                                    li {
                                        a href={ "/console/" (path) }
                                            aria-current=[(path == self.path).then_some("page")] { (name) }
                                    }
                                }
                            }
                        }
                        form.sign-out method="post" action="/console/sign-out" {
                            (form_token(session))
                            span.soft { "Signed in as " (session.caller.name) }
                            button.plain type="submit" { "Sign out" }
                        }
                    }
                    main #main tabindex="-1" { (self.body) }
                    p #announce .hidden role="status" aria-live="polite" {}
                    footer {
                        p { "Coffer " (console.settings.version) ". Times are in UTC. 1 KiB is 1024 bytes, 1 MiB is 1024 KiB." }
                    }
                }
            }
        }
    }
}

/// The field by which a form proves that it comes from a page of this session.
pub(super) fn form_token(session: &Session) -> Markup {
    html! { input type="hidden" name="form_token" value=(session.form_token()); }
}

/// A page for people who are not signed in.
pub(super) fn signed_out(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body {
                a.skip href="#main" { "To the content" }
                header { span.brand { (mark()) "Coffer" } }
                main #main .narrow tabindex="-1" { (body) }
            }
        }
    }
}

/// What a page says that cannot be shown, or of something that was not done.
pub(super) fn refused(
    console: &Console,
    session: Option<&Session>,
    refusal: &Refusal,
) -> HttpResponse {
    let body = html! {
        h1 { (refusal.title) }
        div.notice.bad role="alert" {
            p { (show::sentence(&refusal.happened)) }
            p { (refusal.advice) }
        }
        p { a href="/console/" { "To the overview" } }
    };
    let text = match session {
        Some(session) => Page::new(refusal.title, body).still().document(console, session, 0),
        None => signed_out(refusal.title, &body),
    };
    html_answer(refusal.status, text)
}

pub(super) fn ok(page: Markup) -> HttpResponse {
    HttpResponse::Ok().content_type(HTML).body(text(page))
}

/// The text of a page. Names may hold letters that turn the order of others or cannot be seen: these are written out.
pub(super) fn text(page: Markup) -> String {
    harmless(&page.into_string(), for_people).into_owned()
}

fn html_answer(status: StatusCode, page: Markup) -> HttpResponse {
    HttpResponse::build(status).content_type(HTML).body(text(page))
}

pub(super) const HTML: &str = "text/html; charset=utf-8";

/// To another page, which is loaded with GET.
pub(super) fn go_to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("Location", path)).finish()
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Coffer" }
            link rel="icon" type="image/svg+xml" href="/console/assets/icon.svg";
            link rel="stylesheet" href="/console/assets/console.css";
            script src="/console/assets/console.js" defer {}
        }
    }
}

/// The sign of the program: a chest.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            path d="M3 11V9a5 5 0 0 1 5-5h8a5 5 0 0 1 5 5v2M3 11h18v9H3zM10 11v3h4v-3"
                fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" {}
        }
    }
}
