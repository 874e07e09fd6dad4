//! A client of the API, for the command line and for tests.

mod connection;
mod error;
mod pinned;
mod socket;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Body;
use ureq::http::Response;

use crate::domain::{BackupId, InstanceId, ProjectId};
use crate::wire::{
    AlertList, BackupAnswer, BackupList, BackupView, ChannelTest, ConsolidationAnswer,
    ConsolidationView, CreateBackup, CreateBackupBody, CreateInstance, CreateInstanceBody,
    ErrorBody, EventList, EventView, FleetInstanceView, FleetList, Health, HealthAnswer,
    HealthView, InstanceAnswer, InstanceList, InstanceView, Link, RetentionAnswer, RetentionView,
    ScheduleBody, ScheduleList, ScheduleView, TestAlerts, TestAlertsBody, TestList, WantedSchedule,
};

pub use connection::{Connection, is_somebody_else};
pub use error::ClientError;

/// What every path of the API begins with.
const VERSION: &str = "/v1.0/";

/// The largest answer that is read: the health of a hundred thousand instances.
const LARGEST_ANSWER: u64 = 256 << 20;

/// The API of one project.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    project: ProjectId,
}

impl Client {
    pub fn new(connection: Connection, project: ProjectId) -> Self {
        Self { connection, project }
    }

    /// The same server and token, and another project.
    #[must_use]
    pub fn of_project(&self, project: ProjectId) -> Self {
        Self { connection: self.connection.clone(), project }
    }

    pub const fn project(&self) -> &ProjectId {
        &self.project
    }

    /// What the server says of itself.
    pub fn health(&self) -> Result<Health, ClientError> {
        self.get("/healthcheck")
    }

    /// Every instance of the project.
    pub fn instances(&self) -> Result<Vec<InstanceView>, ClientError> {
        self.pages("instances", |page: InstanceList| (page.instances, page.links))
    }

    pub fn instance(&self, id: InstanceId) -> Result<InstanceView, ClientError> {
        let answer: InstanceAnswer = self.get(&self.path(&format!("instances/{id}")))?;
        Ok(answer.instance)
    }

    pub fn restore_to_new_instance(
        &self,
        instance: CreateInstance,
    ) -> Result<InstanceView, ClientError> {
        let body = CreateInstanceBody { instance };
        let answer: InstanceAnswer = self.post(&self.path("instances"), &body)?;
        Ok(answer.instance)
    }

    /// The instances of every project, which only administrators may list.
    pub fn instances_of_every_project(&self) -> Result<Vec<InstanceView>, ClientError> {
        self.pages("mgmt/instances", |page: InstanceList| (page.instances, page.links))
    }

    /// Every backup of the project, or of every project, or of one instance; newest first.
    pub fn backups(
        &self,
        instance: Option<InstanceId>,
        every_project: bool,
    ) -> Result<Vec<BackupView>, ClientError> {
        let instance = instance.map(|id| format!("&instance_id={id}")).unwrap_or_default();
        let all = if every_project { "&all_projects=true" } else { "" };
        let first = format!("backups?limit=1000{instance}{all}");
        self.pages(&first, |page: BackupList| (page.backups, page.links))
    }

    pub fn backup(&self, id: BackupId) -> Result<BackupView, ClientError> {
        let answer: BackupAnswer = self.get(&self.path(&format!("backups/{id}")))?;
        Ok(answer.backup)
    }

    /// Asks for a backup, or for the registration of an archive.
    pub fn create_backup(&self, backup: CreateBackup) -> Result<BackupView, ClientError> {
        let body = CreateBackupBody { backup };
        let answer: BackupAnswer = self.post(&self.path("backups"), &body)?;
        Ok(answer.backup)
    }

    /// Deletes a backup and those that are built on it.
    pub fn delete_backup(&self, id: BackupId) -> Result<(), ClientError> {
        self.send("DELETE", &self.path(&format!("backups/{id}")), None).map(drop)
    }

    /// Keeps a backup whatever the retention says, or no longer.
    pub fn pin_backup(&self, id: BackupId, pinned: bool) -> Result<BackupView, ClientError> {
        let method = if pinned { "PUT" } else { "DELETE" };
        let path = self.path(&format!("backups/{id}/pin"));
        let answer: BackupAnswer = self.exchange(method, &path, None)?;
        Ok(answer.backup)
    }

    /// Asks for a full backup of the same moment as this incremental one.
    pub fn consolidate_backup(&self, id: BackupId) -> Result<ConsolidationView, ClientError> {
        let path = self.path(&format!("backups/{id}/consolidate"));
        let answer: ConsolidationAnswer = self.exchange("POST", &path, None)?;
        Ok(answer.consolidation)
    }

    /// How far that is.
    pub fn consolidation(&self, id: BackupId) -> Result<ConsolidationView, ClientError> {
        let answer: ConsolidationAnswer =
            self.get(&self.path(&format!("backups/{id}/consolidate")))?;
        Ok(answer.consolidation)
    }

    /// The schedules of the project, or of every project.
    pub fn schedules(&self, every_project: bool) -> Result<Vec<ScheduleView>, ClientError> {
        let all = if every_project { "?all_projects=true" } else { "" };
        let list: ScheduleList = self.get(&self.path(&format!("backup_schedules{all}")))?;
        Ok(list.backup_schedules)
    }

    /// Sets when an instance is backed up, and what is kept.
    pub fn set_schedule(
        &self,
        id: InstanceId,
        wanted: WantedSchedule,
    ) -> Result<WantedSchedule, ClientError> {
        let body = ScheduleBody { backup_schedule: wanted };
        let body = serde_json::to_vec(&body).expect("every key of a body is a text");
        let path = self.path(&format!("backup_schedules/{id}"));
        let answer: ScheduleBody = self.exchange("PUT", &path, Some(&body))?;
        Ok(answer.backup_schedule)
    }

    /// The instance is backed up as the configuration says again.
    pub fn unset_schedule(&self, id: InstanceId) -> Result<(), ClientError> {
        self.send("DELETE", &self.path(&format!("backup_schedules/{id}")), None).map(drop)
    }

    /// How everything of the project is, or of every project.
    pub fn project_health(&self, every_project: bool) -> Result<HealthView, ClientError> {
        let all = if every_project { "?all_projects=true" } else { "" };
        let answer: HealthAnswer = self.get(&self.path(&format!("health{all}")))?;
        Ok(answer.health)
    }

    /// What retention would do with the backups of an instance.
    pub fn retention(&self, id: InstanceId) -> Result<RetentionView, ClientError> {
        let answer: RetentionAnswer = self.get(&self.path(&format!("instances/{id}/retention")))?;
        Ok(answer.retention)
    }

    /// The alerts of the project; or of every project and the server, with the messages that wait.
    pub fn alerts(&self, every_project: bool) -> Result<AlertList, ClientError> {
        let all = if every_project { "?all_projects=true" } else { "" };
        self.get(&self.path(&format!("alerts{all}")))
    }

    /// Has a test message sent through a channel, or through each.
    pub fn test_alerts(&self, channel: Option<String>) -> Result<Vec<ChannelTest>, ClientError> {
        let body = TestAlertsBody { test: TestAlerts { channel } };
        let answer: TestList = self.post(&self.path("alerts/test"), &body)?;
        Ok(answer.tests)
    }

    /// The newest events of the project, or of every project, narrowed by these parameters of the query.
    pub fn events(
        &self,
        narrowed_to: &[(&str, &str)],
        limit: u32,
        every_project: bool,
    ) -> Result<Vec<EventView>, ClientError> {
        let mut first = format!("events?limit={}", limit.clamp(1, 1000));
        for (name, value) in narrowed_to {
            first.extend(["&", name, "="]);
            first.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        if every_project {
            first.push_str("&all_projects=true");
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found =
            self.first_rows(&first, most, |page: EventList| (page.events, page.links))?;
        found.truncate(most);
        Ok(found)
    }

    /// The instances of the devices of all fleets, or only those that are silent.
    pub fn fleet(&self, silent: bool, limit: u32) -> Result<Vec<FleetInstanceView>, ClientError> {
        let only = if silent { "&silent=true" } else { "" };
        let first = format!("fleet?limit={}{only}", limit.clamp(1, 1000));
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found =
            self.first_rows(&first, most, |page: FleetList| (page.fleet, page.links))?;
        found.truncate(most);
        Ok(found)
    }

    fn path(&self, below: &str) -> String {
        format!("{VERSION}{}/{below}", self.project)
    }

    /// The rows of all pages, from this one on; `parts` are the rows of a page and its links.
    fn pages<P: DeserializeOwned, T>(
        &self,
        first: &str,
        parts: impl Fn(P) -> (Vec<T>, Option<Vec<Link>>),
    ) -> Result<Vec<T>, ClientError> {
        self.first_rows(first, usize::MAX, parts)
    }

    /// The same, but not much more than so many rows.
    fn first_rows<P: DeserializeOwned, T>(
        &self,
        first: &str,
        most: usize,
        parts: impl Fn(P) -> (Vec<T>, Option<Vec<Link>>),
    ) -> Result<Vec<T>, ClientError> {
        let (mut rows, mut next) = (Vec::new(), Some(self.path(first)));
        while let Some(path) = next.filter(|_| rows.len() < most) {
            let (mut page, links) = parts(self.get(&path)?);
            rows.append(&mut page);
            let link = links.into_iter().flatten().find(|it| it.rel == "next");
            // By the way this request came, which need not be the server's public URL.
            next = link.and_then(|it| Some(it.href.get(it.href.find(VERSION)?..)?.to_owned()));
        }
        Ok(rows)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange("GET", path, None)
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("every key of a body is a text");
        self.exchange("POST", path, Some(&body))
    }

    fn exchange<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<T, ClientError> {
        let mut answer = self.send(method, path, body)?;
        let body = answer.body_mut().with_config().limit(LARGEST_ANSWER);
        body.read_json().map_err(|cause| {
            let request = format!("{method} {path}");
            ClientError::Unreadable { request, cause }
        })
    }

    /// The answer to a request, unless it is a refusal.
    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Response<Body>, ClientError> {
        let request = || format!("{method} {path}");
        let answer = self
            .connection
            .send(method, path, body)
            .map_err(|cause| ClientError::NoAnswer { request: request(), cause })?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(request(), answer)) }
    }
}

/// The error for an answer that is a refusal.
fn refused(request: String, mut answer: Response<Body>) -> ClientError {
    let detail = answer.body_mut().read_json::<ErrorBody>().ok().and_then(ErrorBody::into_detail);
    let mut message = detail.map_or_else(|| "refused".to_owned(), |detail| detail.message);
    if answer.status() == 401 {
        message.push_str(" The token that was sent is not one of this server's.");
    }
    ClientError::Refused { request, status: answer.status().as_u16(), message }
}
