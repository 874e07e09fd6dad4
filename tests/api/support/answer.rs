//! A request and its answer.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use serde_json::Value;

/// A request.
pub struct Request(TestRequest);

impl Request {
    pub fn new(method: Method, path: &str) -> Self {
        Self::with_host(method, path, "coffer.test")
    }

    pub fn with_host(method: Method, path: &str, host: &str) -> Self {
        Self(TestRequest::with_uri(path).method(method).insert_header(("Host", host)))
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    /// Adds the token of this name; none if the name is empty.
    pub fn token_of(self, who: &str) -> Self {
        if who.is_empty() { self } else { self.header("X-Auth-Token", &format!("{who}-secret")) }
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.append_header((name, value)))
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self(self.0.set_payload(body))
    }

    pub fn into_inner(self) -> TestRequest {
        self.0
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The name of the fault, if this is an error in Trove's format.
    pub fn fault(&self) -> Option<String> {
        fault(&serde_json::from_slice(&self.body).ok()?)
    }

    /// The fault's sentence.
    pub fn message(&self) -> String {
        let body = self.json();
        let fault = body.as_object().unwrap().values().next().unwrap();
        fault["message"].as_str().unwrap().to_owned()
    }

    /// Asserts that this is a complete error in Trove's format.
    pub fn assert_fault(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.fault().as_deref(), Some(name), "{self:?}");
        assert_eq!(self.json()[name]["code"], status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert!(self.header("x-openstack-request-id").starts_with("req-"), "{self:?}");
    }

    /// The ids of a list of backups.
    pub fn ids(&self) -> Vec<String> {
        let body = self.json();
        let rows = body["backups"].as_array().unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The ids, if this is a list of backups.
    pub fn ids_if_list(&self) -> Option<Vec<String>> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("backups").is_some().then(|| self.ids())
    }

    /// Path and query of the next page.
    pub fn next(&self) -> Option<String> {
        let body = self.json();
        let href = body.get("links")?[0]["href"].as_str().unwrap();
        let path = match href.split_once("://") {
            Some((_scheme, rest)) => rest.split_once('/').unwrap().1,
            None => href.trim_start_matches('/'),
        };
        Some(format!("/{path}"))
    }
}

/// The name of the fault, if this body has Trove's error format.
pub fn fault(body: &Value) -> Option<String> {
    let fields = body.as_object()?;
    let (name, fault) = fields.iter().next()?;
    (fields.len() == 1 && fault.get("code")?.is_u64() && fault.get("message")?.is_string())
        .then(|| name.clone())
}
