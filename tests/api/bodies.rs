//! The rules for bodies, in Trove's words. Nothing that these bodies name exists: a sound one is a 404.

use crate::support::{Fixture, UNKNOWN_ID};
use serde_json::{Value, json};

const UUID_PATTERN: &str =
    "'^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'";

/// What is wrong with the body; empty if nothing is.
async fn problems(fixture: &Fixture, resource: &str, body: &Value) -> String {
    let answer = fixture.post(&format!("/v1.0/project-a/{resource}"), "alice", body).await;
    assert!([400, 404].contains(&answer.status), "{answer:?}");
    if answer.status == 400 { answer.message() } else { String::new() }
}

/// What is wrong with the body of a backup that has these fields besides its instance.
async fn problems_of_backup(fixture: &Fixture, fields: Value) -> String {
    let mut body = json!({"backup": {"instance": UNKNOWN_ID}});
    let backup = body["backup"].as_object_mut().unwrap();
    backup.extend(fields.as_object().unwrap().clone());
    problems(fixture, "backups", &body).await
}

#[actix_web::test]
async fn every_problem_is_reported_at_once_in_troves_words() {
    let fixture = Fixture::new();
    let backup = json!({"name": true, "instance": "abc", "incremental": 7, "restore_from": {}});
    assert_eq!(
        problems(&fixture, "backups", &json!({"backup": backup})).await,
        format!(
            "Validation error: backup['name'] True is not of type 'string'; \
             backup['instance'] 'abc' does not match {UUID_PATTERN}; \
             backup['incremental'] 7 is greater than the maximum of 1; \
             backup['restore_from'] 'remote_location' is a required property; \
             backup['restore_from'] 'local_datastore_version_id' is a required property; \
             backup['restore_from'] 'size' is a required property"
        )
    );
}

#[actix_web::test]
async fn the_object_under_the_root_key_is_required() {
    let fixture = Fixture::new();
    for (body, problem) in [
        (json!([]), "[] is not of type 'object'"),
        (json!({}), "'backup' is a required property"),
        (json!({"backup": "x"}), "backup 'x' is not of type 'object'"),
        (json!({"backup": {}}), "backup 'name' is a required property"),
    ] {
        let expected = format!("Validation error: {problem}");
        assert_eq!(problems(&fixture, "backups", &body).await, expected);
    }
}

#[actix_web::test]
async fn a_name_may_be_in_any_script_but_has_one_line_and_more_than_punctuation() {
    let fixture = Fixture::new();
    for good in ["a", "резерв ☃", "数据库", "a\u{0}b", "end\n", &"é".repeat(255)] {
        let found = problems_of_backup(&fixture, json!({"name": good})).await;
        assert_eq!(found, "", "{good}");
    }
    for bad in ["", "...", "\nb", "a\nb", "☃", &"x".repeat(256)] {
        let found = problems_of_backup(&fixture, json!({"name": bad})).await;
        assert!(found.starts_with("Validation error: backup['name'] '"), "{bad}: {found}");
    }
}

#[actix_web::test]
async fn only_real_integers_count() {
    let fixture = Fixture::new();
    for bad in [json!(true), json!("1"), json!(1.0), json!(2), json!(-1), json!(null)] {
        let found = problems_of_backup(&fixture, json!({"name": "n", "incremental": bad})).await;
        assert!(found.contains("backup['incremental']"), "{bad}: {found}");
    }
}

#[actix_web::test]
async fn null_stands_for_a_missing_value_only_where_trove_allows_it() {
    let fixture = Fixture::new();
    for (field, allowed) in [
        ("description", true),
        ("storage_driver", true),
        ("instance", false),
        ("parent_id", false),
        ("swift_container", false),
        ("restore_from", false),
    ] {
        let found = problems_of_backup(&fixture, json!({"name": "n", field: null})).await;
        assert_eq!(found.is_empty(), allowed, "{field}: {found}");
    }
    let mut body = json!({"instance": {
        "name": "n", "restorePoint": {"backupRef": UNKNOWN_ID}, "volume": null, "datastore": null
    }});
    assert_eq!(problems(&fixture, "instances", &body).await, "");
    body["instance"]["flavorRef"] = json!("2");
    assert!(problems(&fixture, "instances", &body).await.contains("there is only 1"));
}

#[actix_web::test]
async fn a_field_that_a_strategy_does_not_have_is_refused() {
    let body = json!({"backup_strategy": {"swift_container": "c", "foo": 1}});
    assert_eq!(
        problems(&Fixture::new(), "backup_strategies", &body).await,
        "Validation error: backup_strategy Additional properties are not allowed \
         ('foo' was unexpected)"
    );
}

#[actix_web::test]
async fn a_message_never_repeats_a_huge_value() {
    let name = json!({"name": ["x".repeat(50_000)]});
    let found = problems_of_backup(&Fixture::new(), name).await;
    assert!(found.len() < 500, "{}", found.len());
}
