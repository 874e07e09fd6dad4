//! What all answers have in common: the error format, the request id, methods; and the public routes.

use std::collections::BTreeSet;

use crate::support::{A1, Fixture, Request};
use actix_web::http::Method;
use coffer::api::AuthMode;
use serde_json::{Value, json};

#[actix_web::test]
async fn a_wrong_method_is_answered_with_the_allowed_ones() {
    let fixture = Fixture::new();
    for (method, path, allow) in [
        (Method::PATCH, "/v1.0/project-a/backups", "GET, HEAD, POST"),
        (Method::OPTIONS, "/v1.0/project-a/backups", "GET, HEAD, POST"),
        (Method::PUT, "/v1.0/project-a/backups/x", "GET, HEAD, DELETE"),
        (Method::POST, "/", "GET, HEAD"),
        (Method::DELETE, "/healthcheck", "GET, HEAD"),
    ] {
        let answer = fixture.send(Request::new(method, path).token_of("alice")).await;
        answer.assert_fault(405, "badMethod");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[actix_web::test]
async fn an_unknown_path_is_a_404_in_json_whatever_the_client_accepts() {
    let fixture = Fixture::new();
    for path in [
        "/v2.0/",
        "/nothing",
        "//",
        "/v1.0/project-a/backups/",
        "/v1.0/project-a/nothing/x",
        "/v1.0/project-a//backups",
        "/v1.0//backups",
        "//v1.0/project-a/backups",
    ] {
        let request = Request::get(path).token_of("alice").header("Accept", "text/html");
        fixture.send(request).await.assert_fault(404, "itemNotFound");
    }
    let odd_project = "/v1.0/a.b/backups";
    fixture.get(odd_project, "admin").await.assert_fault(404, "itemNotFound");
    fixture.get(odd_project, "").await.assert_fault(401, "unauthorized");
}

#[actix_web::test]
async fn every_answer_has_a_new_request_id() {
    let fixture = Fixture::new();
    let mine = Request::get("/").header("X-Openstack-Request-Id", "req-mine");
    let first = fixture.send(mine).await;
    let second = fixture.get("/nothing", "").await;
    let ids = [first.header("x-openstack-request-id"), second.header("x-openstack-request-id")];
    assert!(ids.iter().all(|id| id.starts_with("req-") && id.len() == 40), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

#[actix_web::test]
async fn head_is_answered_as_get_but_without_a_body() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "it").await;
    for path in [
        "/".to_owned(),
        "/v1.0/project-a/backups".to_owned(),
        format!("/v1.0/project-a/backups/{id}"),
        format!("/v1.0/project-a/backups/{id}/archive"),
        "/v1.0/project-a/backups/unknown".to_owned(),
        "/nothing".to_owned(),
    ] {
        let get = fixture.get(&path, "alice").await;
        let head = fixture.send(Request::new(Method::HEAD, &path).token_of("alice")).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    let none = fixture.send(Request::new(Method::HEAD, "/v1.0/project-a/backups")).await;
    assert_eq!(none.status, 401);
}

#[actix_web::test]
async fn a_path_may_be_percent_encoded() {
    let fixture = Fixture::new();
    assert_eq!(fixture.get("/v1.0/project%2Da/b%61ckups", "alice").await.status, 200);
}

#[actix_web::test]
async fn public_documents_need_no_token() {
    let fixture = Fixture::new();
    for (path, key) in [
        ("/", "versions"),
        ("/v1.0", "version"),
        ("/v1.0/", "version"),
        ("/healthcheck", "status"),
        ("/openapi.json", "openapi"),
    ] {
        let answer = fixture.get(path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.json().get(key).is_some(), "{path}: {answer:?}");
    }
    let health = fixture.get("/healthcheck", "").await.json();
    assert_eq!(health, json!({"status": "ok", "version": "9.9.9", "notices": []}));
}

#[actix_web::test]
async fn a_server_whose_catalog_is_closed_answers_500() {
    let fixture = Fixture::new();
    fixture.catalog.close();
    let body = json!({"backup": {"name": "n", "instance": A1}});
    let answer = fixture.post("/v1.0/project-a/backups", "alice", &body).await;
    answer.assert_fault(500, "instanceFault");
    // The cause is for the log.
    assert!(!answer.message().contains("closed"), "{answer:?}");
}

#[actix_web::test]
async fn answers_are_counted_by_status() {
    let fixture = Fixture::new();
    fixture.get("/", "").await;
    fixture.get("/nothing", "").await;
    fixture.get("/v1.0/project-a/backups", "").await;
    let answer = fixture.get("/metrics", "").await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "coffer_build_info{version=\"9.9.9\"} 1",
        "coffer_http_responses_total{code=\"200\"} 1",
        "coffer_http_responses_total{code=\"401\"} 1",
        "coffer_http_responses_total{code=\"404\"} 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("code=\"500\""), "{text}");
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
}

/// Every `href` in an answer.
fn links(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == "href" => vec![text.clone()],
                other => links(other),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(links).collect(),
        _ => Vec::new(),
    }
}

#[actix_web::test]
async fn links_use_the_clients_host_whatever_the_forwarding_headers_say() {
    let forwarded = [
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "host=evil.test"),
    ];
    for (public, base) in
        [(None, "http://coffer.test/"), (Some("https://db.example/"), "https://db.example/")]
    {
        let fixture = Fixture::with(AuthMode::None, public);
        for path in [
            "/",
            "/v1.0/project-a/instances",
            "/v1.0/project-a/flavors",
            "/v1.0/project-a/datastores",
        ] {
            let mut request = Request::get(path);
            for (name, value) in forwarded {
                request = request.header(name, value);
            }
            let found = links(&fixture.send(request).await.json());
            assert!(!found.is_empty() && found.iter().all(|it| it.starts_with(base)), "{found:?}");
        }
    }
}

/// Every value under this key, anywhere in the document.
fn all<'v>(document: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match document {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

#[actix_web::test]
async fn every_reference_of_the_openapi_document_leads_to_a_schema() {
    let document = Fixture::new().get("/openapi.json", "").await.json();
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[actix_web::test]
async fn operation_ids_are_unique_and_path_parameters_are_described() {
    let document = Fixture::new().get("/openapi.json", "").await.json();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in ["get", "post", "put", "delete"].iter().filter_map(|it| item.get(it)) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{path}");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let described = parameters.filter(|it| it["in"] == "path");
            assert_eq!(described.count(), path.matches('{').count(), "{path}");
        }
    }
    assert!(ids.len() > 20, "{ids:?}");
}
