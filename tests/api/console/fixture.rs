//! A browser without a screen: it keeps the cookie and the token of the forms.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::{App, test, web};
use coffer::api;
use coffer::console::{self, Console, ConsoleSettings};
use coffer::domain::{Clock, Timestamp};
use coffer::keystone::Keystone;
use parking_lot::Mutex;

use crate::support::{Answer, Fixture, Request, START};

/// A clock that a test puts on.
#[derive(Debug)]
pub(super) struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

pub(super) struct Browser {
    pub(super) server: Fixture,
    console: web::Data<Console>,
    clock: Arc<TestClock>,
    pub(super) cookie: String,
}

impl Browser {
    pub(super) fn new() -> Self {
        Self::with(true, None)
    }

    pub(super) fn with(needs_token: bool, public_url: Option<&str>) -> Self {
        Self::made(needs_token, public_url, None)
    }

    /// One of a server that takes tokens of this Keystone, too.
    pub(super) fn with_keystone(keystone: Keystone) -> Self {
        Self::made(true, None, Some(Arc::new(keystone)))
    }

    fn made(needs_token: bool, public_url: Option<&str>, keystone: Option<Arc<Keystone>>) -> Self {
        let server = Fixture::new();
        let clock = Arc::new(TestClock(Mutex::new(START.plus(Duration::from_secs(3600)))));
        let settings = ConsoleSettings {
            needs_token,
            keystone,
            public_url: public_url.map(str::to_owned),
            is_tls: false,
            hosts: vec!["coffer.test".to_owned()],
            body_timeout: Duration::from_secs(60),
            wrong_token_wait: Duration::ZERO,
            downloads: 1,
            trash_window: Duration::from_secs(24 * 3600),
            reference: api::openapi_text,
            version: "9.9.9",
        };
        let console = Console::new(
            Arc::clone(&server.catalog),
            Arc::new(server.archives.clone()),
            Arc::clone(&server.state.channels),
            (Arc::<TestClock>::clone(&clock), Arc::default()),
            settings,
        );
        Self { server, console: web::Data::new(console), clock, cookie: String::new() }
    }

    /// One that is signed in.
    pub(super) async fn signed_in(who: &str) -> Self {
        let mut browser = Self::new();
        browser.sign_in(who).await;
        browser
    }

    pub(super) fn put_on(&self, time: Duration) {
        let mut now = self.clock.0.lock();
        *now = now.plus(time);
    }

    /// Sends a request as it is, with nothing that a browser adds.
    pub(super) async fn send(&self, request: Request) -> Answer {
        let app = App::new()
            .wrap(api::request_id())
            .configure(console::routes(self.console.clone()))
            .configure(api::routes(self.server.state.clone()));
        let service = test::init_service(app).await;
        let response = request.into_inner().send_request(&service).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        Answer { status, headers, body }
    }

    fn with_cookie(&self, request: Request) -> Request {
        if self.cookie.is_empty() { request } else { request.header("Cookie", &self.cookie) }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.with_cookie(Request::get(path))).await
    }

    /// The text of a page that is there.
    pub(super) async fn text(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        text(&answer)
    }

    /// Sends the fields of a form of a page, as a browser does from a page of this site.
    pub(super) async fn post(&self, path: &str, fields: &str) -> Answer {
        let token = self.form_token().await;
        let body = format!("form_token={token}&{fields}");
        self.send(self.form(path, body).header("Sec-Fetch-Site", "same-origin")).await
    }

    /// A form without what shows where it comes from.
    pub(super) fn form(&self, path: &str, body: String) -> Request {
        let request = Request::new(Method::POST, path);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.with_cookie(request.body(body))
    }

    pub(super) async fn form_token(&self) -> String {
        let page = text(&self.get("/console/quotas").await);
        let after = page.split_once("name=\"form_token\" value=\"").map(|(_, it)| it);
        after.and_then(|it| it.split_once('"')).map_or(String::new(), |(it, _)| it.to_owned())
    }

    pub(super) async fn sign_in(&mut self, who: &str) {
        self.sign_in_with(&format!("{who}-secret")).await;
    }

    pub(super) async fn sign_in_with(&mut self, token: &str) {
        let answer = self.try_to_sign_in(token).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let cookie = answer.header("set-cookie");
        cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
    }

    pub(super) async fn try_to_sign_in(&self, token: &str) -> Answer {
        let body = format!("token={token}&after=/console/");
        let form = self.form("/console/sign-in", body);
        self.send(form.header("Sec-Fetch-Site", "same-origin")).await
    }
}

pub(super) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Fails unless the page says all of these.
#[track_caller]
pub(super) fn assert_says(page: &str, all: &[&str]) {
    for it in all {
        assert!(page.contains(it), "it does not say {it:?}: {page}");
    }
}
