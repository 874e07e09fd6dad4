//! The tour's HTTP client: what any client of the API would send.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

use crate::cli::error::{CommandError, failed};

use super::workspace::PROJECT;

/// No request takes long: long work goes on behind it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A backup, as the API tells it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct BackupView {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) kind: Option<String>,
    pub(super) size_bytes: Option<u64>,
    pub(super) source_bytes: Option<u64>,
    #[serde(rename = "locationRef")]
    pub(super) location: Option<String>,
    pub(super) failure: Option<FailureView>,
}

/// An instance, as the API tells it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct InstanceView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) fault: Option<FailureView>,
}

/// Why something failed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct FailureView {
    pub(super) message: String,
}

/// The API of one project.
#[derive(Debug)]
pub(super) struct Api {
    agent: Agent,
    base: String,
    token: String,
}

impl Api {
    /// The API at `url`, for whoever has this token.
    pub(super) fn new(url: &str, token: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWERS_WITHIN))
            .proxy(None)
            .build()
            .into();
        Self { agent, base: format!("{url}/v1.0/{PROJECT}"), token: token.to_owned() }
    }

    /// The id of the instance with this name.
    pub(super) fn instance_named(&self, name: &str) -> Result<String, CommandError> {
        let all: Vec<InstanceView> = self.get("instances", "instances")?;
        all.into_iter()
            .find(|instance| instance.name == name)
            .map(|instance| instance.id)
            .ok_or_else(|| {
                CommandError::Failed(format!("the server does not list the instance {name}"))
            })
    }

    /// Asks for a backup.
    pub(super) fn back_up(
        &self,
        instance: &str,
        name: &str,
        incremental: bool,
    ) -> Result<BackupView, CommandError> {
        let body = json!({
            "backup": {"name": name, "instance": instance, "incremental": i32::from(incremental)}
        });
        self.post("backups", &body, "backup")
    }

    /// A backup.
    pub(super) fn backup(&self, id: &str) -> Result<BackupView, CommandError> {
        self.get(&format!("backups/{id}"), "backup")
    }

    /// Asks for a restore into a new instance.
    pub(super) fn restore(&self, backup: &str, name: &str) -> Result<InstanceView, CommandError> {
        let body = json!({
            "instance": {
                "name": name,
                "flavorRef": 1,
                "volume": {"size": 1},
                "restorePoint": {"backupRef": backup},
            }
        });
        self.post("instances", &body, "instance")
    }

    /// An instance.
    pub(super) fn instance(&self, id: &str) -> Result<InstanceView, CommandError> {
        self.get(&format!("instances/{id}"), "instance")
    }

    fn get<T: DeserializeOwned>(&self, path: &str, key: &str) -> Result<T, CommandError> {
        let what = format!("GET {path}");
        let request = self.agent.get(format!("{}/{path}", self.base));
        let answer = request.header("X-Auth-Token", &self.token).call();
        taken(&what, answer.map_err(failed(&what))?, key)
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Result<T, CommandError> {
        let what = format!("POST {path}");
        let request = self.agent.post(format!("{}/{path}", self.base));
        let answer = request.header("X-Auth-Token", &self.token).send_json(body);
        taken(&what, answer.map_err(failed(&what))?, key)
    }
}

/// What stands under `key` in a good answer; a refusal's own words otherwise.
fn taken<T: DeserializeOwned>(
    what: &str,
    mut answer: Response<ureq::Body>,
    key: &str,
) -> Result<T, CommandError> {
    let status = answer.status();
    let mut body: Value = answer.body_mut().read_json().map_err(failed(what))?;
    if !status.is_success() {
        return Err(CommandError::Failed(format!("{what}: {status}: {body}")));
    }
    let inner = body.get_mut(key).map(Value::take).unwrap_or_default();
    serde_json::from_value(inner).map_err(failed(format!("{what}: the answer's {key}")))
}
