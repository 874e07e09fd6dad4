//! Replays half of the 416 cases recorded from a real Trove. The status, the fault's name and the set of
//! keys must be the same, except for the listed differences.

#[path = "../data/trove/differences.rs"]
mod differences;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    A1, A2, Answer, B1, B2, Fixture, Request, UNKNOWN_ID, datastore, fault, project,
};
use actix_web::http::Method;
use coffer::catalog::Admin;
use coffer::domain::{BackupId, QuotaResource};
use coffer::wire::ArchiveUrls as _;
use differences::{DIFFERENCES, EXTENSIONS, Ours};
use serde::Deserialize;
use serde_json::Value;

/// One recorded case.
#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    method: String,
    path: String,
    who: Option<String>,
    body: Option<String>,
    status: u16,
    response: String,
}

const RECORDED: &str = include_str!("../data/trove/recorded.jsonl");
/// The backup that runs during the `running/` cases.
const SLOW: &str = "4a08ee70-0bf4-48cf-8309-1bc071ca1029";
/// The root that has a running child at the end.
const ROOT: &str = "0057cd66-c436-47db-870c-d070b062e1a0";

/// A replay.
struct Replay {
    fixture: Fixture,
    /// Recorded ids, locations and versions, with those used here.
    meaning: BTreeMap<String, String>,
}

impl Replay {
    fn new() -> Self {
        let fixture = Fixture::new();
        let mut meaning = BTreeMap::new();
        let versions =
            [("101", "mysql", "5.7"), ("102", "mysql", "8.0"), ("103", "postgresql", "16")];
        for (end, engine, version) in versions {
            let recorded = format!("00000000-0000-4000-8000-000000000{end}");
            meaning.insert(recorded, datastore(engine, version).version_id());
        }
        for (recorded, name) in [
            ("http://127.0.0.1:8080/v1/AUTH_x/cont/obj.gz", "one"),
            ("http://127.0.0.1:8080/v1/AUTH_x/cont/obj2.gz", "two"),
            ("http://h/v1/A/c/o", "three"),
        ] {
            let location = format!("project-a/{name}.tar.zst");
            fixture.archives.put(&location, b"an archive");
            meaning.insert(recorded.to_owned(), fixture.archives.url(&location.parse().unwrap()));
        }
        Self { fixture, meaning }
    }

    fn ours(&self, recorded: &str) -> String {
        // Longer ones first, as one may begin with another.
        let mut pairs: Vec<_> = self.meaning.iter().collect();
        pairs.sort_by_key(|(from, _to)| std::cmp::Reverse(from.len()));
        pairs.into_iter().fold(recorded.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Makes what Trove had before this case and earlier cases have not made here.
    async fn prepare(&mut self, case: &str) {
        let fixture = &self.fixture;
        match case {
            "create/parent-id" => {
                fixture.import_backup(
                    "e037af4e-f50e-4150-af41-7ae00af9a835",
                    A1,
                    None,
                    "create-minimal",
                );
            }
            "show/incremental" => {
                let root = "afe5ad5c-465e-4395-806b-7b7d6efae24e";
                fixture.import_backup(root, A1, None, "create-incremental-root");
                let id = "ed5e72b1-b3b2-4144-a7be-773f9ab8aacb";
                fixture.import_backup(id, A1, Some(root), "create-incremental-1");
            }
            "show/cinder" => {
                fixture.import_backup("36d0cdc2-8427-4243-9ce1-bdd3a031f757", A1, None, "cinder");
            }
            "delete/ok" => {
                fixture.import_backup("353bc192-861e-42b7-89b7-6085d775ca5b", A2, None, "doomed");
            }
            "create/bob-resizing" => {
                fixture.create_backup("bob", "project-b", B2, "keeps it busy").await;
                fixture.claim_backup();
            }
            "running/show" => {
                let id = fixture.create_backup("alice", "project-a", A1, "slow4-a").await;
                fixture.claim_backup();
                self.meaning.insert(SLOW.to_owned(), id.to_string());
            }
            "show/ok" => {
                let id: BackupId = self.ours(SLOW).parse().unwrap();
                let backup = fixture.catalog.find(id).unwrap();
                fixture.complete(&backup, b"late");
            }
            "list/limit-2" => {
                // Trove's list had a second page by then.
                fixture.completed_backup("bob", "project-b", B1, "page").await;
            }
            _ => self.prepare_later(case).await,
        }
    }

    /// The same for the strategy cases and later ones.
    async fn prepare_later(&self, case: &str) {
        let fixture = &self.fixture;
        match case {
            "strategy/list-instance" => {
                let body = serde_json::json!(
                    {"backup_strategy": {"instance_id": A1, "swift_container": "inst_container"}}
                );
                let answer =
                    fixture.post("/v1.0/project-a/backup_strategies", "alice", &body).await;
                assert_eq!(answer.status, 202);
            }
            "strategy/list-after" => {
                for instance in [B1, UNKNOWN_ID] {
                    let path = format!("/v1.0/project-a/backup_strategies?instance_id={instance}");
                    assert_eq!(fixture.delete(&path, "alice").await.status, 202);
                }
            }
            "quota/create-over" => {
                let project = project("project-a");
                let used = fixture.catalog.quotas(&crate::support::admin(), &project).unwrap();
                let used = used.iter().find(|it| it.resource == QuotaResource::Backups).unwrap();
                let limits = vec![(QuotaResource::Backups, used.in_use)];
                let scope = crate::support::admin::<Admin>();
                let reply = fixture.catalog.set_quotas(&scope, &project, limits);
                reply.done().await.unwrap();
            }
            "delete/parent-of-running-child-sibling-after" => {
                let path = format!("/v1.0/project-a/backups/{}", self.ours(ROOT));
                fixture.delete(&path, "alice").await.assert_fault(422, "unprocessableEntity");
            }
            _ => {}
        }
    }

    async fn play(&mut self, case: &Case) -> Answer {
        self.prepare(&case.name).await;
        let method: Method = case.method.parse().unwrap();
        let mut request = Request::new(method, &self.ours(&case.path))
            .token_of(case.who.as_deref().unwrap_or(""));
        for (name, value) in headers(case) {
            request = request.header(name, value);
        }
        if let Some(body) = &case.body {
            request = request.body(self.ours(&full_body(case, body)));
        }
        let answer = self.fixture.send(request).await;
        if case.method == "POST" && answer.status == 202 && answer.json().get("backup").is_some() {
            self.settle(case, &answer);
        }
        answer
    }

    /// Does what Trove's agents had done by the next case.
    fn settle(&mut self, case: &Case, answer: &Answer) {
        let created = answer.json()["backup"].clone();
        if let Ok(recorded) = serde_json::from_str::<Value>(&case.response)
            && let Some(id) = recorded["backup"]["id"].as_str()
        {
            self.meaning.insert(id.to_owned(), created["id"].as_str().unwrap().to_owned());
        }
        match created["name"].as_str().unwrap() {
            name if name.starts_with("fail") => self.fixture.fail_next(),
            name if name.starts_with("slow") => drop(self.fixture.claim_backup()),
            _ => self.fixture.run_jobs(b"an archive"),
        }
    }
}

/// The body of a case; the recording cuts the longest one.
fn full_body(case: &Case, body: &str) -> String {
    if case.name == "create-bad/big-body" { format!("{body}\"}}}}") } else { body.to_owned() }
}

/// The headers of a case, which the recording tells only by its name.
fn headers(case: &Case) -> Vec<(&'static str, &'static str)> {
    let mut headers = match case.name.as_str() {
        "auth/bearer" => vec![("Authorization", "Bearer alice-secret")],
        "accept/text" => vec![("Accept", "text/plain")],
        "accept/html-403" => vec![("Accept", "text/html")],
        "accept-gzip" => vec![("Accept-Encoding", "gzip")],
        "header/request-id-echo" => vec![("X-Openstack-Request-Id", "req-mine")],
        "list/link-forwarded" => vec![("X-Forwarded-Host", "evil"), ("X-Forwarded-Proto", "https")],
        name if name.starts_with("accept-star") => vec![("Accept", "*/*")],
        name if name.contains("json") => vec![("Accept", "application/json")],
        _ => Vec::new(),
    };
    let media_type = match case.name.as_str() {
        "create-bad/ctype-missing" => return headers,
        "create-bad/ctype-text" | "accept-json/415" | "accept-star/415" => "text/plain",
        "create-bad/ctype-form" => "application/x-www-form-urlencoded",
        "create-bad/ctype-upper" => "APPLICATION/JSON",
        _ => "application/json",
    };
    headers.extend(case.body.as_ref().map(|_body| ("Content-Type", media_type)));
    headers
}

/// Adds the path of every key; all items of an array share one, but for the rows of quotas and limits.
fn keys(value: &Value, place: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let place = format!("{place}.{key}");
                keys(value, &place, into);
                into.insert(place);
            }
        }
        Value::Array(items) => {
            for item in items {
                let row = item["resource"].as_str().or_else(|| item["verb"].as_str());
                keys(item, &format!("{place}[{}]", row.unwrap_or_default()), into);
            }
        }
        _ => {}
    }
}

fn keys_of(text: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Ok(value) = serde_json::from_slice(text) {
        keys(&value, "", &mut found);
    }
    found
}

/// How the answer differs from the recording, if it does.
fn difference(case: &Case, answer: &Answer) -> Option<String> {
    let recorded: Option<Value> = serde_json::from_str(&case.response).ok();
    if recorded.is_none() && case.response.starts_with(['{', '[']) {
        return Some("unknown: the recording cut Trove's answer".to_owned());
    }
    let theirs = recorded.as_ref().and_then(fault);
    let ours = answer.fault();
    if answer.status != case.status || (theirs.is_some() && theirs != ours) {
        return Some(format!("{} {}", answer.status, ours.unwrap_or_default()).trim().to_owned());
    }
    if case.status >= 400 {
        return None;
    }
    let (theirs, ours) = (keys_of(case.response.as_bytes()), keys_of(&answer.body));
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    let added: Vec<&String> = ours
        .difference(&theirs)
        .filter(|key| !EXTENSIONS.iter().any(|extension| key.contains(extension)))
        .collect();
    if answer.ids_if_list().is_some_and(|ids| ids.is_empty()) && !missing.is_empty() {
        return Some("no rows".to_owned());
    }
    (!missing.is_empty() || !added.is_empty())
        .then(|| format!("lacks {missing:?} adds {added:?}").replace('"', ""))
}

#[actix_web::test]
async fn every_recorded_case_is_answered_as_trove_did_except_for_the_listed_differences() {
    let mut replay = Replay::new();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for line in RECORDED.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let answer = replay.play(&case).await;
        let found = difference(&case, &answer);
        let row = DIFFERENCES.iter().find(|row| row.cases.contains(&case.name.as_str()));
        let expected = row.map(|row| match row.ours {
            Ours::Answers(status, "") => status.to_string(),
            Ours::Answers(status, fault) => format!("{status} {fault}"),
            Ours::Keys(keys) => keys.to_owned(),
        });
        if found == expected {
            used.extend(row.map(|_row| case.name.clone()));
        } else {
            let recorded: String = case.response.chars().take(200).collect();
            let body = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
            wrong.push(format!(
                "{}: {found:?}, expected {expected:?}\n  Trove {} {recorded}\n  here  {} {body}",
                case.name, case.status, answer.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    let unused: Vec<&&str> = DIFFERENCES
        .iter()
        .flat_map(|row| row.cases)
        .filter(|case| !used.contains(**case))
        .collect();
    assert!(unused.is_empty(), "the table has rows for nothing: {unused:?}");
    assert!(DIFFERENCES.iter().all(|row| !row.why.is_empty()));
}
