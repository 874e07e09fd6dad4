//! Events: what was done, by whom and from where.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Action, Outcome, ProjectId, Recorded};

use super::{Link, UtcTime};

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its number. They have no gaps, over all projects.
    pub id: u64,
    /// When.
    pub created: UtcTime,
    /// In which project; null for what belongs to none.
    #[schema(required)]
    pub project_id: Option<ProjectId>,
    /// The name of the token, or what acts by itself: `schedule`, `retention`, `server`, `command line`.
    pub who: String,
    /// An address, `socket`, `command line`, or `server`; null for others than administrators.
    #[schema(required)]
    pub origin: Option<String>,
    /// What was done.
    pub action: Action,
    /// The id of the backup or instance, or the name of the user, that it was done to.
    #[schema(required)]
    pub object_id: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// More about it.
    pub detail: String,
    /// The hash over all of this and over the hash of the event before, in hex; null for others than administrators.
    #[schema(required)]
    pub hash: Option<String>,
}

/// A page of events, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    /// The page.
    pub events: Vec<EventView>,
    /// The next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Vec<Link>>,
}

impl EventView {
    /// An event as an administrator sees it, or anybody else.
    pub fn new(recorded: Recorded, for_admin: bool) -> Self {
        let Recorded { number, event, hash } = recorded;
        Self {
            id: number,
            created: event.at.into(),
            project_id: event.project,
            who: event.who,
            origin: for_admin.then_some(event.origin),
            action: event.action,
            object_id: event.object,
            outcome: event.outcome,
            detail: event.detail,
            hash: for_admin.then(|| hex::encode(hash)),
        }
    }
}
