//! How every refusal looks: `{"itemNotFound": {"code": 404, "message": "…"}}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A refusal: one key, which names the kind of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ErrorBody(BTreeMap<String, ErrorDetail>);

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// The HTTP status.
    pub code: u16,
    /// A sentence for people.
    pub message: String,
}

impl ErrorBody {
    /// A refusal of this kind.
    pub fn new(kind: &str, code: u16, message: String) -> Self {
        Self(BTreeMap::from([(kind.to_owned(), ErrorDetail { code, message })]))
    }

    /// What is wrong; `None` if the object is empty.
    pub fn into_detail(self) -> Option<ErrorDetail> {
        self.0.into_values().next()
    }
}
