//! Signing in as OpenStack's clients do, and what the tokens that come of it allow.

use std::time::Duration;

use coffer::domain::Role;
use serde_json::{Value, json};

use crate::support::{A1, Answer, Fixture, Request};

const TOKENS: &str = "/identity/v3/auth/tokens";

/// Asks for a token; `scope` is null for none.
fn by_password(user: &str, password: &str, scope: &Value) -> Value {
    let user = json!({"name": user, "domain": {"name": "Default"}, "password": password});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    if scope.is_null() {
        return json!({"auth": {"identity": identity}});
    }
    json!({"auth": {"identity": identity, "scope": scope}})
}

fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"id": "default"}}})
}

/// A server with a member `mia`, who has a credential, and an administrator `ada`.
struct Cloud {
    server: Fixture,
    credential: Value,
    credential_id: String,
}

impl Cloud {
    fn new() -> Self {
        let server = Fixture::new();
        server.people.add("mia", "project-a", Role::Member);
        server.people.add("ada", "p-admin", Role::Admin);
        let (id, secret) = server.people.add_credential("mia", Some(Role::Reader));
        let proof = json!({"id": id, "secret": secret.reveal()});
        let methods = ["application_credential"];
        let identity = json!({"methods": methods, "application_credential": proof});
        let credential = json!({"auth": {"identity": identity}});
        Self { server, credential, credential_id: id }
    }

    async fn ask(&self, body: &Value) -> Answer {
        self.server.post(TOKENS, "", body).await
    }

    /// The token that comes of it.
    async fn token(&self, body: &Value) -> String {
        let answer = self.ask(body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.header("x-subject-token").to_owned()
    }

    async fn token_of(&self, user: &str) -> String {
        self.token(&by_password(user, &format!("{user}-password"), &Value::Null)).await
    }

    async fn with(&self, token: &str, request: Request) -> Answer {
        self.server.send(request.header("X-Auth-Token", token)).await
    }

    async fn list(&self, token: &str, project: &str) -> u16 {
        self.with(token, Request::get(&format!("/v1.0/{project}/backups"))).await.status
    }
}

/// A refusal as Keystone makes it.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, title: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!((&body["error"]["code"], &body["error"]["title"]), (&json!(status), &json!(title)));
    assert!(body["error"]["message"].as_str().is_some_and(|it| !it.is_empty()), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    assert_eq!(answer.header("x-subject-token"), "");
}

#[actix_web::test]
async fn a_password_gives_a_token_of_the_project_with_a_catalog_that_leads_here() {
    let cloud = Cloud::new();
    for scope in [Value::Null, project("project-a"), json!({"project": {"id": "project-a"}})] {
        let answer = cloud.ask(&by_password("mia", "mia-password", &scope)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let token = &answer.json()["token"];
        assert_eq!(token["methods"], json!(["password"]));
        assert_eq!(token["user"]["name"], "mia");
        assert_eq!(token["project"]["name"], "project-a");
        assert_eq!(
            token["roles"],
            json!([{"id": "member", "name": "member"}, {"id": "reader", "name": "reader"}])
        );
        assert_eq!(token["expires_at"], "2026-11-23T20:00:00.000000Z");
        let database = &token["catalog"][0];
        assert_eq!(database["type"], "database");
        assert_eq!(database["endpoints"][0]["url"], "http://coffer.test/v1.0/project-a");
        let identity = &token["catalog"][1]["endpoints"][0]["url"];
        assert_eq!(identity, "http://coffer.test/identity/v3");
        assert_eq!(cloud.list(answer.header("x-subject-token"), "project-a").await, 200);
    }
    let proxied = Fixture::with(coffer::api::AuthMode::Token, Some("https://backup.example.org"));
    proxied.people.add("mia", "project-a", Role::Member);
    let body = by_password("mia", "mia-password", &Value::Null);
    let answer = proxied.post("/v3/auth/tokens", "", &body).await;
    let url = &answer.json()["token"]["catalog"][0]["endpoints"][0]["url"];
    assert_eq!(url, "https://backup.example.org/v1.0/project-a");
}

#[actix_web::test]
async fn a_token_allows_what_its_user_may_and_a_credential_no_more_than_it_says() {
    let cloud = Cloud::new();
    let member = cloud.token_of("mia").await;
    let body = json!({"backup": {"name": "b", "instance": A1}});
    let create = |project: &str| Request::post(&format!("/v1.0/{project}/backups")).json(&body);
    assert_eq!(cloud.with(&member, create("project-a")).await.status, 202);
    assert_eq!(cloud.with(&member, create("project-b")).await.status, 403);
    let answer = cloud.ask(&cloud.credential).await;
    let shown = &answer.json()["token"];
    assert_eq!(shown["application_credential"]["id"], cloud.credential_id.as_str());
    assert_eq!(shown["roles"], json!([{"id": "reader", "name": "reader"}]));
    let reader = answer.header("x-subject-token");
    assert_eq!(cloud.list(reader, "project-a").await, 200);
    assert_eq!(cloud.with(reader, create("project-a")).await.status, 403);
    // An administrator may name any project; the token is then of that one.
    let scoped = by_password("ada", "ada-password", &project("project-b"));
    let admin = cloud.token(&scoped).await;
    assert_eq!(cloud.list(&admin, "project-b").await, 200);
    let basic = Request::get("/v1.0/project-a/backups")
        .header("Authorization", &format!("Bearer {member}"));
    assert_eq!(cloud.server.send(basic).await.status, 200);
}

#[actix_web::test]
async fn whatever_is_wrong_is_one_and_the_same_refusal() {
    let cloud = Cloud::new();
    let other_domain = json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
        {"name": "mia", "domain": {"name": "Elsewhere"}, "password": "mia-password"}}}}});
    let wrong_secret = json!({"auth": {"identity": {"methods": ["application_credential"],
        "application_credential": {"id": cloud.credential_id, "secret": "guessed"}}}});
    let mut answers = Vec::new();
    for body in [
        by_password("mia", "wrong-password", &Value::Null),
        by_password("nobody", "mia-password", &Value::Null),
        by_password("mia", "mia-password", &project("project-b")),
        other_domain,
        wrong_secret,
    ] {
        let answer = cloud.ask(&body).await;
        assert_refused(&answer, 401, "Unauthorized");
        answers.push(answer.json());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // The sixth has to wait, also with the right password.
    let answer = cloud.ask(&by_password("mia", "mia-password", &Value::Null)).await;
    assert_refused(&answer, 429, "Too Many Requests");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

#[actix_web::test]
async fn a_body_that_makes_no_sense_is_refused_in_keystones_form() {
    let cloud = Cloud::new();
    let no_password = json!({"auth": {"identity": {"methods": ["password"]}}});
    let no_user = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}});
    let scope = by_password("mia", "mia-password", &json!(7));
    for body in [json!({}), json!({"auth": {}}), json!([]), no_password, no_user, scope] {
        assert_refused(&cloud.ask(&body).await, 400, "Bad Request");
    }
    assert_refused(&cloud.server.get("/v3/users", "admin").await, 404, "Not Found");
    let answer = cloud.server.delete("/v3/projects", "admin").await;
    assert_refused(&answer, 405, "Method Not Allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD");
}

#[actix_web::test]
async fn a_token_is_shown_to_its_user_and_to_administrators_and_ended_by_them() {
    let cloud = Cloud::new();
    let (mia, ada) = (cloud.token_of("mia").await, cloud.token_of("ada").await);
    let about = |request: Request, token: &str| request.header("X-Subject-Token", token);
    for (asker, subject, status) in
        [(&mia, &mia, 200), (&ada, &mia, 200), (&mia, &ada, 403), (&ada, &"none".to_owned(), 404)]
    {
        let answer = cloud.with(asker, about(Request::get(TOKENS), subject)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 200 {
            assert_eq!(answer.json()["token"]["user"]["name"], "mia");
        }
    }
    let brief = about(Request::get(&format!("{TOKENS}?nocatalog")), &mia);
    assert!(cloud.with(&mia, brief).await.json()["token"].get("catalog").is_none());
    let ends = about(Request::new(actix_web::http::Method::DELETE, TOKENS), &mia);
    assert_eq!(cloud.with(&mia, ends).await.status, 204);
    assert_eq!(cloud.list(&mia, "project-a").await, 401);
    assert_refused(&cloud.with(&mia, about(Request::get(TOKENS), &mia)).await, 401, "Unauthorized");
    assert_refused(&cloud.with(&ada, about(Request::get(TOKENS), &mia)).await, 404, "Not Found");
}

#[actix_web::test]
async fn a_token_ends_with_its_time_its_password_its_credential_and_its_user() {
    let cloud = Cloud::new();
    let (first, by_credential) =
        (cloud.token_of("mia").await, cloud.token(&cloud.credential).await);
    cloud.server.people.change(|it| it.remove_credential(&cloud.credential_id));
    assert_eq!(cloud.list(&by_credential, "project-a").await, 401);
    assert_eq!(cloud.list(&first, "project-a").await, 200);
    let other = coffer::users::PasswordHash::of("another-password").unwrap();
    cloud.server.people.change(|it| it.set_password("mia", other));
    assert_eq!(cloud.list(&first, "project-a").await, 401);
    let second = cloud.token(&by_password("mia", "another-password", &Value::Null)).await;
    cloud.server.people.wait(Duration::from_secs(3599));
    assert_eq!(cloud.list(&second, "project-a").await, 200);
    cloud.server.people.wait(Duration::from_secs(1));
    assert_eq!(cloud.list(&second, "project-a").await, 401);
    let third = cloud.token(&by_password("mia", "another-password", &Value::Null)).await;
    cloud.server.people.change(|it| it.remove("mia"));
    assert_eq!(cloud.list(&third, "project-a").await, 401);
}

#[actix_web::test]
async fn an_unscoped_token_is_only_good_for_one_of_a_project_which_ends_no_later() {
    let cloud = Cloud::new();
    let unscoped = cloud.token(&by_password("mia", "mia-password", &json!("unscoped"))).await;
    assert_eq!(cloud.list(&unscoped, "project-a").await, 401);
    let projects = cloud.with(&unscoped, Request::get("/v3/auth/projects")).await.json();
    assert_eq!(projects["projects"][0]["id"], "project-a");
    let catalog = cloud.with(&unscoped, Request::get("/v3/auth/catalog")).await;
    assert_refused(&catalog, 403, "Forbidden");
    cloud.server.people.wait(Duration::from_secs(1800));
    let exchange = |scope: Value| json!({"auth": {"identity": {"methods": ["token"], "token": {"id": unscoped}}, "scope": scope}});
    let answer = cloud.ask(&exchange(project("project-a"))).await;
    assert_eq!(answer.json()["token"]["expires_at"], "2026-11-23T20:00:00.000000Z");
    assert_eq!(answer.json()["token"]["methods"], json!(["password", "token"]));
    assert_eq!(cloud.list(answer.header("x-subject-token"), "project-a").await, 200);
    assert_refused(&cloud.ask(&exchange(project("project-b"))).await, 401, "Unauthorized");
}

#[actix_web::test]
async fn clients_find_the_version_and_the_projects() {
    let cloud = Cloud::new();
    for path in ["/identity", "/identity/"] {
        let answer = cloud.server.get(path, "").await;
        let version = &answer.json()["versions"]["values"][0];
        assert_eq!((answer.status, &version["id"]), (300, &json!("v3.14")));
        assert_eq!(version["links"][0]["href"], "http://coffer.test/identity/v3/");
    }
    let root = cloud.server.get("/", "").await.json();
    assert_eq!(root["versions"][0]["id"], "v1.0");
    assert_eq!(root["versions"][1]["links"][0]["href"], "http://coffer.test/identity/v3/");
    for path in ["/identity/v3", "/identity/v3/", "/v3", "/v3/"] {
        let answer = cloud.server.get(path, "").await;
        assert_eq!((answer.status, &answer.json()["version"]["status"]), (200, &json!("stable")));
    }
    let (mia, ada) = (cloud.token_of("mia").await, cloud.token_of("ada").await);
    for (token, path, count) in [
        (&mia, "/v3/projects?name=project-a", 1),
        (&mia, "/v3/projects?name=project-b", 0),
        (&ada, "/v3/projects?name=project-b", 1),
        (&mia, "/v3/projects", 1),
    ] {
        let found = cloud.with(token, Request::get(path)).await.json();
        assert_eq!(found["projects"].as_array().unwrap().len(), count, "{path}");
    }
    let other = cloud.with(&mia, Request::get("/v3/projects/project-b")).await;
    assert_refused(&other, 404, "Not Found");
    let own = cloud.with(&mia, Request::get("/v3/projects/project-a")).await.json();
    assert_eq!(own["project"]["name"], "project-a");
    // A token of the configuration is asked for its project, too.
    let own = cloud.server.get("/v3/auth/projects", "alice").await.json();
    assert_eq!(own["projects"][0]["id"], "project-a");
    assert_refused(&cloud.server.get("/v3/auth/projects", "").await, 401, "Unauthorized");
}
