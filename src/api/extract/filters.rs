//! What a list of backups is narrowed to, from the query or from the marker of the page before.

use serde::{Deserialize, Serialize};

use crate::api::error::ApiError;
use crate::domain::{ProjectId, Status};

use super::paging::{Query, truthy};

/// The longest value of a filter that is looked at.
const LONGEST: usize = 255;

/// The filters of a list. Field names are short because markers, which carry them, go into URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Filters {
    /// Whether every project was asked for, if anything was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) all: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) instance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::api) engine: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "status_word")]
    pub(in crate::api) status: Option<Status>,
}

impl Filters {
    /// The filters that a query spells out.
    pub(in crate::api) fn of(query: &Query) -> Result<Self, ApiError> {
        Ok(Self {
            all: query.filter("all_projects")?.map(truthy),
            project: query.filter("project_id")?.map(project).transpose()?,
            instance: short(query, "instance_id")?,
            engine: short(query, "datastore")?,
            status: query.filter("status")?.map(status).transpose()?,
        })
    }

    /// These filters beside those a marker carries. The marker's apply; what is spelled out as well
    /// has to be the same, because a page of another list is not what anybody wants.
    pub(in crate::api) fn beside(self, carried: Self) -> Result<Self, ApiError> {
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
        let known: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        ApiError::BadRequest(format!(
            "The value of 'status' has to be one of {}.",
            known.join(", ")
        ))
    })
}

/// A status as its word.
mod status_word {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::domain::Status;

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        status: &Option<Status>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match status {
            Some(status) => to.serialize_str(status.as_str()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Status>, D::Error> {
        let word = String::deserialize(from)?;
        word.parse().map(Some).map_err(|()| de::Error::custom("no such status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_markers_filters_apply_and_may_be_repeated_but_not_changed() {
        let carried = Filters { instance: Some("i".to_owned()), ..Filters::default() };
        let same = carried.clone();
        let other = Filters { instance: Some("j".to_owned()), ..Filters::default() };
        let more = Filters { status: Some(Status::Failed), ..carried.clone() };
        let all = Filters { all: Some(true), ..Filters::default() };
        let not_all = Filters { all: Some(false), ..Filters::default() };
        assert_eq!(Filters::default().beside(carried.clone()).unwrap(), carried);
        assert_eq!(same.beside(carried.clone()).unwrap(), carried);
        assert_eq!(not_all.beside(carried.clone()).unwrap(), carried);
        for conflicting in [other, more, all] {
            assert!(conflicting.clone().beside(carried.clone()).is_err(), "{conflicting:?}");
        }
    }
}
