//! Schedules and retention that are set through the API.

use std::sync::Arc;

use crate::support::{A1, A2, Answer, Fixture, Request, blocking};
use actix_web::http::Method;
use coffer::catalog::PolicySource;
use coffer::config::Config;
use coffer::server::configured_policies;
use serde_json::{Value, json};

const PROJECT: &str = "/v1.0/project-a";

/// The instance A1 has a window of its own, A2 only what the defaults say.
fn policies() -> Arc<dyn PolicySource> {
    let text = format!(
        "[catalog]\nbackup = false\n[defaults]\ntimezone = \"UTC\"\nkeep = {{ daily = 7 }}\n\
         [[instances]]\nid = \"{A1}\"\nname = \"a1\"\nproject_id = \"project-a\"\nengine = \"sqlite\"\n\
         source = {{ path = \"/a1\" }}\nwindow = \"01:00-05:00\"\n\
         [[instances]]\nid = \"{A2}\"\nname = \"a2\"\nproject_id = \"project-a\"\nengine = \"sqlite\"\n\
         source = {{ path = \"/a2\" }}\n"
    );
    configured_policies(&Config::from_toml(&text, "test").unwrap())
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    blocking(|| fixture.catalog.set_policy_source(policies())).unwrap();
    fixture
}

async fn put(fixture: &Fixture, id: &str, who: &str, keys: Value) -> Answer {
    let request = Request::new(Method::PUT, &format!("{PROJECT}/backup_schedules/{id}"));
    fixture.send(request.token_of(who).json(&json!({"backup_schedule": keys}))).await
}

async fn schedules(fixture: &Fixture) -> Vec<Value> {
    let answer = fixture.get(&format!("{PROJECT}/backup_schedules"), "reader").await;
    answer.json()["backup_schedules"].as_array().unwrap().clone()
}

async fn kept(fixture: &Fixture, id: &str) -> Value {
    let answer = fixture.get(&format!("{PROJECT}/instances/{id}/retention"), "reader").await;
    answer.json()["retention"]["keep"].clone()
}

#[actix_web::test]
async fn a_member_sets_a_schedule_which_wins_over_the_defaults_until_it_is_unset() {
    let fixture = fixture();
    assert_eq!(
        (schedules(&fixture).await.len(), kept(&fixture, A2).await),
        (0, json!({"daily": 7}))
    );
    let wanted = json!({"instance_id": A2, "schedule": "daily 02:30", "keep": {"last": 2, "max_size": "5 GiB"}});
    let body = json!({"backup_schedule": wanted});
    let answer = fixture.post(&format!("{PROJECT}/backup_schedules"), "alice", &body).await;
    assert_eq!((answer.status, answer.json()), (202, body));
    let [listed] = schedules(&fixture).await.try_into().unwrap();
    assert_eq!(
        (
            &listed["instance_id"],
            &listed["schedule"],
            &listed["timezone"],
            &listed["set_through_api"]
        ),
        (&json!(A2), &json!("daily 02:30"), &json!("UTC"), &json!(true))
    );
    assert_eq!(kept(&fixture, A2).await, json!({"last": 2}));
    let one = fixture.get(&format!("{PROJECT}/backup_schedules/{A2}"), "reader").await;
    assert_eq!(one.json()["backup_schedule"], listed);
    // What is set replaces what was set before.
    let answer = put(&fixture, A2, "alice", json!({"schedule": "hourly"})).await;
    assert_eq!(
        (answer.status, schedules(&fixture).await[0]["schedule"].clone()),
        (200, json!("hourly"))
    );
    assert_eq!(kept(&fixture, A2).await, json!({"daily": 7}));
    let told = fixture.get(&format!("{PROJECT}/events?object_id={A2}"), "alice").await.json();
    assert_eq!(told["events"][0]["action"], "schedule_set");
    assert_eq!(told["events"][0]["detail"], r#"{"schedule":"hourly"}"#);
    for _again in 0..2 {
        let unset = fixture.delete(&format!("{PROJECT}/backup_schedules/{A2}"), "alice").await;
        assert_eq!((unset.status, schedules(&fixture).await.len()), (202, 0));
    }
    let gone = fixture.get(&format!("{PROJECT}/backup_schedules/{A2}"), "reader").await;
    assert_eq!(gone.status, 404);
}

#[actix_web::test]
async fn what_the_configuration_says_of_an_instance_is_not_set_through_the_api() {
    let fixture = fixture();
    let refused =
        put(&fixture, A1, "alice", json!({"schedule": "hourly", "window": "22:00-06:00"})).await;
    refused.assert_fault(422, "unprocessableEntity");
    assert!(refused.message().starts_with("Window of instance"), "{}", refused.message());
    assert_eq!(put(&fixture, A1, "alice", json!({"schedule": "hourly"})).await.status, 200);
    let [listed] = schedules(&fixture).await.try_into().unwrap();
    assert_eq!((&listed["schedule"], &listed["window"]), (&json!("hourly"), &json!("01:00-05:00")));
}

#[actix_web::test]
async fn what_makes_no_sense_is_refused_with_the_sentence_of_the_configuration() {
    let fixture = fixture();
    for (keys, why) in [
        (json!({"schedule": "dayly 02:30"}), "schedule \"dayly 02:30\" is not a schedule"),
        (
            json!({"schedule": "hourly", "timezone": "Berlin"}),
            "timezone is \"Berlin\"; use a name such as",
        ),
        (
            json!({"schedule": "hourly", "keep": {"min_age": "3 days"}}),
            "keep.min_age alone lets nothing go",
        ),
        (json!({"schedule": "hourly", "keep": {"dayly": 3}}), "dayly"),
        (json!({"schedule": "hourly", "retries": 101}), "greater than the maximum of 100"),
        (json!({"shedule": "hourly"}), "'schedule' is a required property"),
        (
            json!({"schedule": "hourly", "instance_id": A1}),
            "another instance than that of the path",
        ),
    ] {
        let refused = put(&fixture, A2, "alice", keys.clone()).await;
        refused.assert_fault(400, "badRequest");
        assert!(refused.message().contains(why), "{keys}: {}", refused.message());
    }
    assert_eq!(schedules(&fixture).await, Vec::<Value>::new());
    let never = put(&fixture, A2, "alice", json!({"schedule": ""})).await;
    assert_eq!(
        (never.status, schedules(&fixture).await.len()),
        (200, 0),
        "never is a schedule, too"
    );
}
