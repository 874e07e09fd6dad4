//! What one client may take: bodies, downloads, restores, and whose names links carry.

use actix_web::http::Method;
use actix_web::{App, test};
use coffer::api;
use coffer::domain::{CheckLevel, Instance, InstanceOrigin, InstanceStatus, Source, Verify};
use serde_json::{Value, json};

use crate::support::{
    A1, B1, Fixture, LIMITS, Request, START, UNKNOWN_ID, blocking, datastore, project,
};

const BACKUPS: &str = "/v1.0/project-a/backups";

fn create(body: String) -> Request {
    Request::post(BACKUPS)
        .token_of("alice")
        .header("Content-Type", "application/json")
        .header("Content-Length", &body.len().to_string())
        .body(body)
}

#[actix_web::test]
async fn a_body_has_64_kib_at_most() {
    let fixture = Fixture::new();
    let padded = |length: usize| {
        let body = json!({"backup": {"name": "n", "instance": UNKNOWN_ID}}).to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    fixture.send(create(padded(64 << 10))).await.assert_fault(404, "itemNotFound");
    fixture.send(create(padded((64 << 10) + 1))).await.assert_fault(413, "overLimit");
    // Nothing of it is read if its length says enough already.
    let refused = Request::post(BACKUPS).token_of("alice").header("Content-Length", "1048576");
    fixture.send(refused).await.assert_fault(413, "overLimit");
}

#[actix_web::test]
async fn a_body_that_would_take_many_times_its_length_is_refused_before_it_is_parsed() {
    let fixture = Fixture::new();
    for value in [format!("[{}1]", "[],".repeat(20_000)), "[".repeat(60_000)] {
        let answer = fixture.send(create(value)).await;
        answer.assert_fault(400, "badRequest");
        let message = answer.message();
        assert!(message.contains("values") || message.contains("nested deeper"), "{message}");
    }
}

#[actix_web::test]
async fn a_head_has_32_kib_and_a_query_100_parameters_at_most() {
    let fixture = Fixture::new();
    let get = async |query: &str, field: usize| {
        let request = Request::get(&format!("{BACKUPS}?{query}")).token_of("alice");
        fixture.send(request.header("X-Long", &"x".repeat(field))).await
    };
    assert_eq!(get("a=b", 31 << 10).await.status, 200);
    get("a=b", 33 << 10).await.assert_fault(413, "overLimit");
    get(&"a".repeat(33 << 10), 0).await.assert_fault(413, "overLimit");
    assert_eq!(get(&vec!["a=b"; 100].join("&"), 0).await.status, 200);
    get(&vec!["a=b"; 101].join("&"), 0).await.assert_fault(400, "badRequest");
}

#[actix_web::test]
async fn downloads_have_a_limit_for_each_token_and_for_all() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "it").await;
    let app = App::new().wrap(api::request_id()).configure(api::routes(fixture.state.clone()));
    let service = test::init_service(app).await;
    let begin = async |who: &str| {
        let request = Request::get(&format!("{BACKUPS}/{id}/archive")).token_of(who);
        request.into_inner().send_request(&service).await
    };
    let first = begin("reader").await;
    let _second = begin("reader").await;
    let refused = begin("reader").await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.headers().get("retry-after").unwrap(), "1");
    let third = begin("alice").await;
    assert_eq!((third.status().as_u16(), LIMITS.downloads), (200, 3));
    assert_eq!(begin("admin").await.status(), 413, "all together have three");
    drop(first);
    assert_eq!(begin("admin").await.status(), 200);
}

#[actix_web::test]
async fn restores_of_a_project_have_a_limit() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "it").await;
    let restore = async |number: u32| {
        let instance = json!({"name": format!("r{number}"), "restorePoint": {"backupRef": id}});
        fixture.post("/v1.0/project-a/instances", "alice", &json!({"instance": instance})).await
    };
    for number in 0..5 {
        assert_eq!(restore(number).await.status, 200);
    }
    let refused = restore(5).await;
    refused.assert_fault(413, "overLimit");
    assert_eq!(refused.header("retry-after"), "60");
    assert!(refused.message().contains("5 restores"), "{refused:?}");
    fixture.run_jobs(b"");
    assert_eq!(restore(6).await.status, 200);
}

#[actix_web::test]
async fn a_strategy_is_for_an_instance_that_the_project_has() {
    let fixture = Fixture::new();
    let put = async |instance: &str| {
        let strategy = json!({"instance_id": instance, "swift_container": "c"});
        let body = json!({"backup_strategy": strategy});
        fixture.post("/v1.0/project-a/backup_strategies", "alice", &body).await
    };
    for other in [B1, UNKNOWN_ID] {
        put(other).await.assert_fault(404, "itemNotFound");
    }
    assert_eq!(put(A1).await.status, 202);
    let list = fixture.get("/v1.0/project-a/backup_strategies", "alice").await.json();
    assert_eq!(list["backup_strategies"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_host_that_is_not_this_servers_does_not_get_into_links() {
    let fixture = Fixture::new();
    for number in 0..3 {
        fixture.completed_backup("alice", "project-a", A1, &format!("n{number}")).await;
    }
    let next = async |host: &str| {
        let request = Request::with_host(Method::GET, &format!("{BACKUPS}?limit=1"), host);
        let page = fixture.send(request.token_of("alice")).await.json();
        page["links"][0]["href"].as_str().unwrap().to_owned()
    };
    for own in ["127.0.0.1:8779", "localhost", "[::1]:8779", "COFFER.test:81"] {
        let href = next(own).await;
        assert!(href.starts_with(&format!("http://{own}{BACKUPS}?")), "{href}");
    }
    for other in ["evil.example", "127.0.0.1.evil.example", "coffer.test@evil.example"] {
        let href = next(other).await;
        assert!(href.starts_with(&format!("{BACKUPS}?")), "{href}");
        // It leads to the next page all the same.
        assert_eq!(fixture.get(&href, "alice").await.ids().len(), 1);
    }
}

/// Gives the project more instances than are read at once; their names.
fn with_ninety_instances(fixture: &Fixture) -> Vec<String> {
    let names: Vec<String> = (0..90).map(|number| format!("n{number:03}")).collect();
    let instance = |name: &String| Instance {
        id: coffer::domain::InstanceId::generate(),
        project: project("project-a"),
        name: name.clone(),
        datastore: datastore("mysql", "5.7"),
        origin: InstanceOrigin::Configured,
        source: Source::from_path("/srv/it"),
        check: CheckLevel::Quick,
        verify: Verify::Archive,
        status: InstanceStatus::Active,
        used_bytes: 0,
        failure: None,
        created: START,
        updated: START,
    };
    let instances = names.iter().map(instance).collect();
    blocking(|| fixture.catalog.sync_instances(instances).wait().unwrap());
    names
}

#[actix_web::test]
async fn a_long_page_counts_as_a_request_until_it_is_sent() {
    let fixture = Fixture::new();
    with_ninety_instances(&fixture);
    let app = App::new().wrap(api::request_id()).configure(api::routes(fixture.state.clone()));
    let service = test::init_service(app).await;
    let list = async |who: &str| {
        let request = Request::get("/v1.0/project-a/instances").token_of(who);
        request.into_inner().send_request(&service).await
    };
    let mut unread = Vec::new();
    for _request in 0..LIMITS.token_requests {
        let page = list("reader").await;
        assert_eq!(page.status(), 200);
        unread.push(page);
    }
    let refused = list("reader").await;
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.headers().get("retry-after").unwrap(), "1");
    assert_eq!(list("alice").await.status(), 200, "another token has its own");
    test::read_body(unread.pop().unwrap()).await;
    assert_eq!(list("reader").await.status(), 200);
}

#[actix_web::test]
async fn a_long_page_is_complete_and_in_order_and_links_to_the_next() {
    let fixture = Fixture::new();
    let names = with_ninety_instances(&fixture);
    let named = |page: &Value| -> Vec<String> {
        let rows = page["instances"].as_array().unwrap();
        rows.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    for (path, who) in
        [("/v1.0/project-a/instances", "reader"), ("/v1.0/x/mgmt/instances", "admin")]
    {
        let all = fixture.get(path, who).await;
        assert_eq!(named(&all.json()), names, "{path}");
        assert_eq!(all.next(), None, "{path}");
        let first = fixture.get(&format!("{path}?limit=70"), who).await;
        assert_eq!(named(&first.json()), names[..70], "{path}");
        let second = fixture.get(&first.next().unwrap(), who).await;
        assert_eq!(named(&second.json()), names[70..], "{path}");
        assert_eq!(fixture.get(&format!("{path}?marker={UNKNOWN_ID}"), who).await.status, 400);
    }
}
