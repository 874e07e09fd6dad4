//! What a list of backups is narrowed to, from the query or from the marker of the page before.

use serde::{Deserialize, Serialize};

use crate::api::error::ApiError;
use crate::domain::{ProjectId, Status};

use super::paging::{Query, truthy};

/// No value of a filter may be longer.
const LONGEST: usize = 255;

/// The filters of a list. Field names are short because markers, which carry them, go into URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Filters {
    /// `all_projects`, if it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) all: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) instance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) status: Option<Status>,
}

impl Filters {
    pub(in crate::api) fn from_query(query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            all: query.filter("all_projects")?.map(truthy),
            project: query.filter("project_id")?.map(project).transpose()?,
            instance: short(query, "instance_id")?,
            engine: short(query, "datastore")?,
            status: query.filter("status")?.map(status).transpose()?,
        })
    }

    /// The filters of a marker, which apply. Those in the query beside it must be the same, or the page
    /// would be one of another list.
    pub(in crate::api) fn with_marker(self, carried: Self) -> Result<Self, ApiError> {
        let conflict = self.all.is_some_and(|all| all != carried.all.unwrap_or(false))
            || differs(self.project.as_ref(), carried.project.as_ref())
            || differs(self.instance.as_ref(), carried.instance.as_ref())
            || differs(self.engine.as_ref(), carried.engine.as_ref())
            || differs(self.status.as_ref(), carried.status.as_ref());
        if conflict {
            let why = "The filters are not those of the list that the marker belongs to.";
            return Err(ApiError::BadRequest(why.to_owned()));
        }
        Ok(carried)
    }
}

fn differs<T: PartialEq>(asked: Option<&T>, carried: Option<&T>) -> bool {
    asked.is_some() && asked != carried
}

fn short(query: &Query, name: &str) -> Result<Option<String>, ApiError> {
    match query.filter(name)? {
        Some(value) if value.len() > LONGEST => Err(ApiError::BadRequest(format!(
            "The value of '{name}' is longer than {LONGEST} bytes."
        ))),
        value => Ok(value.map(str::to_owned)),
    }
}

fn project(text: &str) -> Result<ProjectId, ApiError> {
    text.parse().map_err(|error| ApiError::BadRequest(format!("project_id: {error}")))
}

fn status(text: &str) -> Result<Status, ApiError> {
    text.parse().map_err(|()| {
        let known: Vec<&str> = Status::ALL.iter().map(|it| it.as_str()).collect();
        ApiError::BadRequest(format!(
            "The value of 'status' has to be one of {}.",
            known.join(", ")
        ))
    })
}
