//! Backups, restores, quotas, strategies and datastores as a client sees them.

use crate::support::{A1, A2, B1, Fixture, UNKNOWN_ID, VERTICA};
use coffer::domain::Datastore;
use serde_json::{Value, json};

const BACKUPS: &str = "/v1.0/project-a/backups";
const INSTANCES: &str = "/v1.0/project-a/instances";

async fn shown(fixture: &Fixture, path: &str) -> Value {
    let answer = fixture.get(path, "alice").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[actix_web::test]
async fn a_new_backup_has_every_key_with_null_for_unknown_values() {
    let fixture = Fixture::new();
    let body = json!({"backup": {"name": "n", "instance": A1, "incremental": 1}});
    let answer = fixture.post(BACKUPS, "alice", &body).await;
    assert_eq!(answer.status, 202);
    let mut backup = answer.json()["backup"].clone();
    let id = backup["id"].take();
    assert_eq!(id.as_str().unwrap().len(), 36);
    let datastore = Datastore { engine: "mysql".to_owned(), version: "5.7".to_owned() };
    let created = backup["created"].clone();
    assert_eq!(
        backup,
        json!({
            "id": null, "name": "n", "description": null, "instance_id": A1, "parent_id": null,
            "project_id": "project-a", "locationRef": null, "size": null, "status": "NEW",
            "created": created, "updated": created, "storage_driver": "local",
            "datastore": {"type": "mysql", "version": "5.7", "version_id": datastore.version_id()},
            "size_bytes": null, "source_bytes": null, "checksum": null, "kind": "full",
            "progress": 0.0, "failure": null, "verified_at": null,
            "verify_level": null, "drill": null, "next_drill": null, "pinned_at": null,
            "copies": [], "left_out": [],
        })
    );
    assert_eq!(created.as_str().unwrap().len(), "2026-11-23T19:00:00".len());
}

#[actix_web::test]
async fn a_completed_backup_shows_its_archive() {
    let fixture = Fixture::new();
    let archive = vec![7_u8; 40_000];
    let id = fixture.create_backup("alice", "project-a", A1, "n").await;
    fixture.run_jobs(&archive);
    let backup = shown(&fixture, &format!("{BACKUPS}/{id}")).await["backup"].clone();
    let location = format!("file:///archives/project-a/{id}.tar.zst");
    assert_eq!(backup["status"], "COMPLETED");
    assert_eq!(backup["locationRef"], location);
    assert_eq!(backup["size_bytes"], 40_000);
    assert_eq!(backup["source_bytes"], 4096);
    let size = backup["size"].as_f64().unwrap();
    assert!((size * 1_073_741_824.0 - 40_000.0).abs() < 1e-6, "{size}");
    assert_eq!(backup["checksum"], format!("blake3:{}", blake3::hash(&archive)));
    assert_eq!(backup["verified_at"], "2026-11-23T19:00:00");
    assert_eq!((&backup["verify_level"], &backup["drill"]), (&json!("bytes"), &Value::Null));
    assert_eq!(backup["progress"], 1.0);
}

#[actix_web::test]
async fn a_drill_can_be_requested_and_its_result_is_shown() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "n").await;
    let path = format!("{BACKUPS}/{id}/drill");
    for _ in 0..2 {
        let answer = fixture.post(&path, "alice", &json!({})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let backup = &answer.json()["backup"];
        assert_eq!((&backup["drill"], &backup["next_drill"]), (&Value::Null, &json!("waiting")));
    }
    fixture.run_jobs(b"");
    let mut drill = json!({
        "status": "passed", "at": "2026-11-23T19:00:00", "seconds": 1.5, "tables": 1, "rows": 42,
        "check": "CHECK TABLE", "version": "5.7", "failure": null,
    });
    let list = shown(&fixture, BACKUPS).await;
    assert_eq!(list["backups"][0]["drill"], drill);
    assert_eq!(list["backups"][0]["next_drill"], Value::Null);
    let again = fixture.post(&path, "alice", &json!({})).await.json();
    assert_eq!(again["backup"]["drill"], drill, "the last drill that ended");
    assert_eq!(again["backup"]["next_drill"], "waiting");
    fixture.run_jobs(b"");
    drill["rows_by_table"] = json!({"shop.orders": 42});
    let backup = shown(&fixture, &format!("{BACKUPS}/{id}")).await;
    assert_eq!(backup["backup"]["drill"], drill);
    assert_eq!(backup["backup"]["verify_level"], "restored");

    assert_eq!(fixture.post(&path, "reader", &json!({})).await.status, 403);
    let running = fixture.create_backup("alice", "project-a", A1, "n").await;
    let refused = fixture.post(&format!("{BACKUPS}/{running}/drill"), "alice", &json!({})).await;
    assert_eq!(refused.status, 422);
}

#[actix_web::test]
async fn a_verification_can_be_requested_and_its_result_is_shown() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "n").await;
    let path = format!("{BACKUPS}/{id}/verify");
    let mut wanted = json!({"verification": {
        "backup_id": id, "status": null, "asked": null, "ended": null, "failure": null,
    }});
    assert_eq!(shown(&fixture, &path).await, wanted);
    for _ in 0..2 {
        let answer = fixture.post(&path, "alice", &json!({})).await;
        let status = &answer.json()["verification"]["status"];
        assert_eq!((answer.status, status), (202, &json!("waiting")), "{answer:?}");
    }
    fixture.run_jobs(b"");
    let found = shown(&fixture, &path).await;
    wanted["verification"]["status"] = json!("passed");
    wanted["verification"]["asked"] = found["verification"]["asked"].clone();
    wanted["verification"]["ended"] = json!("2026-11-23T19:00:00");
    assert_eq!(found, wanted);
    let events = shown(&fixture, "/v1.0/project-a/events").await;
    let asked = events["events"].as_array().unwrap().iter();
    assert_eq!(asked.filter(|it| it["action"] == "backup_verify").count(), 1, "{events:#}");
    assert_eq!(fixture.post(&path, "reader", &json!({})).await.status, 403);
    let running = fixture.create_backup("alice", "project-a", A1, "n").await;
    let refused = fixture.post(&format!("{BACKUPS}/{running}/verify"), "alice", &json!({})).await;
    assert_eq!(refused.status, 422);
}

#[actix_web::test]
async fn more_verifications_than_may_wait_are_refused_for_now() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "n").await;
    let open = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
         INSERT INTO runs (id, kind, project, backup, asked)
         SELECT '01a21c3c-c8a3-7543-b60a-b9e95cc32' || i, 'verify', 'project-a',
             '01a21c3c-c8a3-7543-b60a-b9e95cc33' || i, 1 FROM n";
    rusqlite::Connection::open(fixture.catalog_file()).unwrap().execute(open, []).unwrap();
    let path = format!("{BACKUPS}/{id}/verify");
    let answer = fixture.post(&path, "alice", &json!({})).await;
    assert_eq!((answer.status, answer.header("retry-after")), (413, "60"), "{answer:?}");
    let message = answer.json()["overLimit"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("100 verifications of the project wait or run"), "{message}");
    fixture.run_jobs(b"");
    assert_eq!(fixture.post(&path, "alice", &json!({})).await.status, 202);
}

#[actix_web::test]
async fn an_incremental_backup_becomes_a_full_one_of_the_same_moment() {
    let fixture = Fixture::new();
    let root = fixture.completed_backup("alice", "project-a", A1, "n").await;
    let body = json!({"backup": {"name": "n", "instance": A1, "parent_id": root}});
    let made = fixture.post(BACKUPS, "alice", &body).await.json();
    fixture.run_jobs(b"bytes of it");
    let id = made["backup"]["id"].as_str().unwrap();
    let path = format!("{BACKUPS}/{id}/consolidate");
    let mut wanted = json!({"consolidation": {
        "backup_id": id, "status": null, "full_id": null, "asked": null, "ended": null, "failure": null,
    }});
    assert_eq!(shown(&fixture, &path).await, wanted);
    for _ in 0..2 {
        let answer = fixture.post(&path, "alice", &json!({})).await;
        assert_eq!(
            (answer.status, &answer.json()["consolidation"]["status"]),
            (202, &json!("waiting"))
        );
    }
    fixture.run_jobs(b"bytes of the full one");
    let found = shown(&fixture, &path).await;
    let full = found["consolidation"]["full_id"].as_str().unwrap().to_owned();
    wanted["consolidation"]["status"] = json!("done");
    for key in ["full_id", "asked", "ended"] {
        wanted["consolidation"][key] = found["consolidation"][key].clone();
        assert!(found["consolidation"][key].is_string(), "{found}");
    }
    assert_eq!(found, wanted);
    let full = shown(&fixture, &format!("{BACKUPS}/{full}")).await["backup"].take();
    assert_eq!((&full["kind"], &full["created"]), (&json!("full"), &made["backup"]["created"]));
    assert_eq!(fixture.post(&path, "alice", &json!({})).await.status, 422);
}

#[actix_web::test]
async fn progress_is_shown_while_a_backup_runs() {
    let fixture = Fixture::new();
    let id = fixture.create_backup("alice", "project-a", A1, "n").await;
    fixture.claim_backup();
    fixture.catalog.progress(id, 0.25);
    let body = shown(&fixture, &format!("{BACKUPS}/{id}")).await;
    assert_eq!(body["backup"]["status"], "BUILDING");
    assert_eq!(body["backup"]["progress"], 0.25);
    assert_eq!(shown(&fixture, &format!("{INSTANCES}/{A1}")).await["instance"]["status"], "BACKUP");
    fixture
        .delete(&format!("{BACKUPS}/{id}"), "alice")
        .await
        .assert_fault(422, "unprocessableEntity");
}

#[actix_web::test]
async fn an_incremental_names_its_parent_and_refusals_have_their_status_codes() {
    let fixture = Fixture::new();
    let root = fixture.completed_backup("alice", "project-a", A1, "root").await.to_string();
    let create =
        async |backup: Value| fixture.post(BACKUPS, "alice", &json!({"backup": backup})).await;
    let child = create(json!({"name": "n", "instance": A1, "incremental": 1})).await;
    assert_eq!(child.json()["backup"]["parent_id"], root.as_str());
    assert_eq!(child.json()["backup"]["kind"], "incremental");
    let running = child.json()["backup"]["id"].clone();
    let name = "n";
    create(json!({"name": name, "instance": A1})).await.assert_fault(422, "unprocessableEntity");
    let busy_parent = create(json!({"name": name, "instance": A2, "parent_id": running})).await;
    assert!([400, 422].contains(&busy_parent.status));
    create(json!({"name": name, "instance": A2, "parent_id": root}))
        .await
        .assert_fault(400, "badRequest");
    create(json!({"name": name, "instance": A2, "parent_id": UNKNOWN_ID}))
        .await
        .assert_fault(404, "itemNotFound");
    create(json!({"name": name, "instance": B1})).await.assert_fault(404, "itemNotFound");
    let unsupported = create(json!({"name": name, "instance": VERTICA})).await;
    unsupported.assert_fault(501, "notImplemented");
    assert!(unsupported.message().contains("vertica"), "{unsupported:?}");
}

#[actix_web::test]
async fn over_quota_is_413_and_only_an_administrator_sets_quotas() {
    let fixture = Fixture::new();
    let quota = "/v1.0/p-admin/mgmt/quotas/project-a";
    let set = |limit: i64| json!({"quotas": {"backups": limit}});
    fixture.completed_backup("alice", "project-a", A1, "one").await;
    let put = async |body: &Value, who: &str, path: &str| {
        let request = crate::support::Request::new(actix_web::http::Method::PUT, path);
        fixture.send(request.token_of(who).json(body)).await
    };
    let own = "/v1.0/project-a/mgmt/quotas/project-a";
    put(&set(9), "alice", own).await.assert_fault(403, "forbidden");
    assert_eq!(put(&set(1), "admin", quota).await.json(), set(1));
    let body = json!({"backup": {"name": "n", "instance": A2}});
    fixture.post(BACKUPS, "alice", &body).await.assert_fault(413, "overLimit");
    let rows = fixture.get(own, "alice").await.json();
    let rows = rows["quotas"].as_array().unwrap();
    let row = json!({"resource": "backups", "in_use": 1, "reserved": 0, "limit": 1});
    assert!(rows.contains(&row), "{rows:?}");
    let limits = shown(&fixture, "/v1.0/project-a/limits").await;
    assert_eq!(limits["limits"][0]["verb"], "ABSOLUTE");
    assert_eq!(limits["limits"][0]["max_backups"], 1);
    assert_eq!(put(&set(-1), "admin", quota).await.status, 200);
    assert_eq!(fixture.post(BACKUPS, "alice", &body).await.status, 202);
    let unknown = put(&json!({"quotas": {"ponies": 2}}), "admin", quota).await;
    unknown.assert_fault(404, "itemNotFound");
    put(&json!({"quotas": {}}), "admin", quota).await.assert_fault(400, "badRequest");
    for resource in ["ram", "volumes"] {
        let row = json!({"resource": resource, "in_use": 0, "reserved": 0, "limit": -1});
        assert!(rows.contains(&row), "{rows:?}");
        let none = json!({"quotas": {resource: -1}});
        assert_eq!(put(&none, "admin", quota).await.json(), none);
        let some = json!({"quotas": {resource: 40}});
        put(&some, "admin", quota).await.assert_fault(400, "badRequest");
    }
}

#[actix_web::test]
async fn a_restore_creates_an_instance_that_can_be_deleted() {
    let fixture = Fixture::new();
    let id = fixture.completed_backup("alice", "project-a", A1, "n").await.to_string();
    let restore = |datastore: Value| {
        json!({"instance": {"name": "copy", "flavorRef": "1", "volume": {"size": 1, "type": null},
            "restorePoint": {"backupRef": id}, "datastore": datastore, "access": {"is_public": false}}})
    };
    for wrong in [json!({"type": "postgresql"}), json!({"type": "mysql", "version": "8.0"})] {
        let answer = fixture.post(INSTANCES, "alice", &restore(wrong)).await;
        answer.assert_fault(400, "badRequest");
    }
    let engine = json!({"type": Datastore::datastore_id("mysql"), "version": "5.7"});
    let answer = fixture.post(INSTANCES, "alice", &restore(engine)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let made = answer.json()["instance"].clone();
    assert_eq!((&made["status"], &made["flavor"]["id"]), (&json!("BUILD"), &json!("1")));
    assert_eq!((&made["restored_from"], &made["restored_to"]), (&json!(id), &Value::Null));
    let path = format!("{INSTANCES}/{}", made["id"].as_str().unwrap());
    fixture.delete(&path, "alice").await.assert_fault(422, "unprocessableEntity");
    fixture.run_jobs(b"");
    let ready = shown(&fixture, &path).await["instance"].clone();
    assert_eq!(
        (&ready["status"], &ready["restored_to"]),
        (&json!("ACTIVE"), &json!("/restored/it"))
    );
    let deleted = fixture.delete(&path, "alice").await;
    assert_eq!((deleted.status, deleted.body.len()), (202, 0));
    fixture.run_jobs(b"");
    fixture.get(&path, "alice").await.assert_fault(404, "itemNotFound");
}

#[actix_web::test]
async fn an_archive_in_the_store_can_be_registered() {
    let fixture = Fixture::new();
    fixture.archives.put("project-a/found.tar.zst", b"found");
    let version = crate::support::datastore("mysql", "5.7").version_id();
    let body = |location: &str, version: &str| {
        json!({"backup": {"name": "found", "restore_from": {"remote_location": location,
            "local_datastore_version_id": version, "size": 0.1}}})
    };
    let url = "file:///archives/project-a/found.tar.zst";
    let outside = fixture.post(BACKUPS, "alice", &body("file:///etc/passwd", &version)).await;
    outside.assert_fault(400, "badRequest");
    let missing = "file:///archives/project-a/missing.tar.zst";
    let refused = fixture.post(BACKUPS, "alice", &body(missing, &version)).await;
    refused.assert_fault(400, "badRequest");
    assert!(refused.message().contains("does not exist"), "{refused:?}");
    // Alike whether another project has such a file or not.
    fixture.archives.put("project-b/found.tar.zst", b"found");
    let [has, has_not] =
        ["found", "missing"].map(|it| format!("file:///archives/project-b/{it}.tar.zst"));
    let has = fixture.post(BACKUPS, "alice", &body(&has, &version)).await;
    let has_not = fixture.post(BACKUPS, "alice", &body(&has_not, &version)).await;
    has.assert_fault(400, "badRequest");
    assert_eq!(has.message(), has_not.message());
    fixture.post(BACKUPS, "alice", &body(url, UNKNOWN_ID)).await.assert_fault(400, "badRequest");
    let answer = fixture.post(BACKUPS, "alice", &body(url, &version)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["backup"]["instance_id"], Value::Null);
    fixture.run_jobs(b"found");
    let id = answer.json()["backup"]["id"].as_str().unwrap().to_owned();
    let backup = shown(&fixture, &format!("{BACKUPS}/{id}")).await["backup"].clone();
    assert_eq!((&backup["status"], &backup["locationRef"]), (&json!("RESTORED"), &json!(url)));
}

#[actix_web::test]
async fn a_strategy_can_be_replaced_listed_and_deleted() {
    let fixture = Fixture::new();
    let path = "/v1.0/project-a/backup_strategies";
    let put = async |strategy: Value| {
        fixture.post(path, "alice", &json!({"backup_strategy": strategy})).await
    };
    for container in ["first", "second"] {
        assert_eq!(put(json!({"swift_container": container})).await.status, 202);
    }
    assert_eq!(put(json!({"instance_id": A1, "swift_container": "own"})).await.status, 202);
    let rows = shown(&fixture, path).await["backup_strategies"].clone();
    let row = |instance: &str, container: &str| {
        json!({"project_id": "project-a", "instance_id": instance, "backend": "local",
            "swift_container": container})
    };
    assert_eq!(rows, json!([row("", "second"), row(A1, "own")]));
    for query in ["", "", "?instance_id=abc"] {
        assert_eq!(fixture.delete(&format!("{path}{query}"), "alice").await.status, 202, "{query}");
    }
    assert_eq!(shown(&fixture, path).await["backup_strategies"], json!([row(A1, "own")]));
}

#[actix_web::test]
async fn datastores_are_found_by_name_and_by_id() {
    let fixture = Fixture::new();
    let list = shown(&fixture, "/v1.0/project-a/datastores").await;
    let mysql =
        list["datastores"].as_array().unwrap().iter().find(|it| it["name"] == "mysql").unwrap();
    let versions = mysql["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().any(|it| it["id"] == mysql["default_version"]));
    let id = mysql["id"].as_str().unwrap();
    let version = versions[0]["id"].as_str().unwrap();
    for place in ["mysql", id] {
        let one = shown(&fixture, &format!("/v1.0/project-a/datastores/{place}")).await;
        assert_eq!(one["datastore"], *mysql);
        for wanted in ["5.7", version] {
            let path = format!("/v1.0/project-a/datastores/{place}/versions/{wanted}");
            let found = shown(&fixture, &path).await["version"].clone();
            assert_eq!((&found["version"], &found["datastore"]), (&json!("5.7"), &json!(id)));
        }
    }
    let alone = shown(&fixture, &format!("/v1.0/project-a/datastores/versions/{version}")).await;
    assert_eq!(alone["version"]["name"], "5.7");
    fixture
        .get("/v1.0/project-a/datastores/oracle", "alice")
        .await
        .assert_fault(404, "itemNotFound");
    let unknown = fixture.get("/v1.0/project-a/datastores/mysql/versions/9", "alice").await;
    unknown.assert_fault(400, "badRequest");
}
