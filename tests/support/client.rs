//! A client of the server under test.

use std::path::PathBuf;

use coffer::client::Connection;
use coffer::domain::{InstanceId, ProjectId};
use serde_json::{Value, json};
use ureq::http::HeaderMap;

use super::{files_below, wait_until};

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; fails the test if it is something else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|reason| {
            panic!("status {}, not JSON ({reason}): {}", self.status, self.text())
        })
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The same answer; fails the test unless it has this status.
    #[track_caller]
    pub(crate) fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The fault's name and message; fails the test unless it is an error of this status in Trove's
    /// envelope.
    #[track_caller]
    pub(crate) fn fault(self, status: u16) -> (String, String) {
        let answer = self.with_status(status);
        let Value::Object(envelope) = answer.json() else { panic!("{}", answer.text()) };
        assert_eq!(envelope.len(), 1, "{envelope:?}");
        let (name, fault) = envelope.into_iter().next().unwrap();
        assert_eq!(fault["code"], status, "{name}: {fault}");
        (name, fault["message"].as_str().unwrap().to_owned())
    }
}

/// A client with or without a token, in one project.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    connection: Connection,
    base: String,
    project: String,
    archives: Option<PathBuf>,
}

impl Client {
    /// A client of the server at `base`, like `http://127.0.0.1:1234`, without a token.
    pub(crate) fn new(base: &str, project: &str) -> Self {
        Self::over(Connection::new(base), base, project)
    }

    /// The same, over this connection to it.
    pub(crate) fn over(connection: Connection, base: &str, project: &str) -> Self {
        let (base, project) = (base.to_owned(), project.to_owned());
        Self { connection, base, project, archives: None }
    }

    /// The same, which knows where the server keeps its archives.
    pub(crate) fn with_archives(self, archives: PathBuf) -> Self {
        Self { archives: Some(archives), ..self }
    }

    /// The same, with this token.
    pub(crate) fn with_token(self, secret: &str) -> Self {
        Self { connection: self.connection.with_token(secret), ..self }
    }

    /// The same, with one more header on every request.
    pub(crate) fn with_header(self, name: &str, value: &str) -> Self {
        Self { connection: self.connection.with_header(name, value), ..self }
    }

    /// The same, in another project's part of the API.
    pub(crate) fn in_project(mut self, project: &str) -> Self {
        project.clone_into(&mut self.project);
        self
    }

    /// The URL of a path below the project. A path that begins with a slash is one of the server; a
    /// URL, as in a `next` link, stays as it is.
    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with("http://") || path.starts_with("https://") {
            path.to_owned()
        } else if path.starts_with('/') {
            format!("{}{path}", self.base)
        } else {
            format!("{}/v1.0/{}/{path}", self.base, self.project)
        }
    }

    /// Sends any request.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|lost| panic!("{method} {path}: {lost}"))
    }

    /// The same, to a server that may die before it answers.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut answer = self.connection.send(method, &self.url(path), body)?;
        let bytes = answer.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), bytes })
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body.to_string().as_bytes()))
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, Some(body.to_string().as_bytes()))
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None)
    }

    /// The id of the configured instance with this name.
    pub(crate) fn instance_id(&self, name: &str) -> String {
        let project: ProjectId = self.project.parse().unwrap();
        InstanceId::derived(&project, name).to_string()
    }

    /// Asks for a backup of the instance with this name. `more` is added to the body.
    #[track_caller]
    pub(crate) fn create_backup(&self, instance: &str, more: &Value) -> Answer {
        let mut body = json!({"name": "test", "instance": self.instance_id(instance)});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post("backups", &json!({ "backup": body }))
    }

    /// Makes a full backup and waits until it is COMPLETED.
    #[track_caller]
    pub(crate) fn full(&self, instance: &str) -> Value {
        self.completed(&self.create_backup(instance, &json!({})))
    }

    /// Makes an incremental backup on the newest one and waits until it is COMPLETED.
    #[track_caller]
    pub(crate) fn incremental(&self, instance: &str) -> Value {
        self.completed(&self.create_backup(instance, &json!({"incremental": 1})))
    }

    /// Waits until an accepted backup is COMPLETED; fails the test if it becomes FAILED.
    #[track_caller]
    pub(crate) fn completed(&self, accepted: &Answer) -> Value {
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        let id = accepted.json()["backup"]["id"].as_str().unwrap().to_owned();
        let row = self.wait_for(&id, &["COMPLETED", "FAILED"]);
        assert_eq!(row["status"], "COMPLETED", "{row:#}");
        row
    }

    /// Makes a full backup that has to fail, and gives `code` and `message` of the failure.
    #[track_caller]
    pub(crate) fn failed(&self, instance: &str) -> (String, String) {
        let accepted = self.create_backup(instance, &json!({})).with_status(202).json();
        let id = accepted["backup"]["id"].as_str().unwrap().to_owned();
        let row = self.wait_for(&id, &["COMPLETED", "FAILED"]);
        assert_eq!(row["status"], "FAILED", "{row:#}");
        let word = |key: &str| row["failure"][key].as_str().unwrap().to_owned();
        (word("code"), word("message"))
    }

    /// The backup as the API shows it.
    #[track_caller]
    pub(crate) fn backup(&self, id: &str) -> Value {
        self.get(&format!("backups/{id}")).with_status(200).json()["backup"].take()
    }

    /// Waits until the backup has one of these statuses.
    #[track_caller]
    pub(crate) fn wait_for(&self, id: &str, statuses: &[&str]) -> Value {
        wait_until(&format!("backup {id} to become one of {statuses:?}"), || {
            let row = self.backup(id);
            statuses.contains(&row["status"].as_str().unwrap()).then_some(row)
        })
    }

    /// Waits until the archive of a deleted backup is gone; nobody is shown the backup any more.
    #[track_caller]
    pub(crate) fn wait_until_gone(&self, id: &str) {
        self.get(&format!("backups/{id}")).with_status(404);
        let Some(archives) = &self.archives else { return };
        wait_until(&format!("the archive of backup {id} to be gone"), || {
            let files = files_below(archives);
            let found = files.iter().any(|file| file.to_string_lossy().contains(id));
            (!found).then_some(())
        });
    }

    /// Waits until the instance has one of these statuses.
    #[track_caller]
    pub(crate) fn wait_for_instance(&self, id: &str, statuses: &[&str]) -> Value {
        wait_until(&format!("instance {id} to become one of {statuses:?}"), || {
            let row =
                self.get(&format!("instances/{id}")).with_status(200).json()["instance"].take();
            statuses.contains(&row["status"].as_str().unwrap()).then_some(row)
        })
    }

    /// Every row of a list, over all pages. `path` is that of the first page, `rows` the key of the list.
    #[track_caller]
    pub(crate) fn all(&self, path: &str, rows: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let mut page = self.get(&path).with_status(200).json();
            found.extend(page[rows].take().as_array().unwrap().iter().cloned());
            next = page["links"][0]["href"].as_str().map(str::to_owned);
        }
        found
    }
}
