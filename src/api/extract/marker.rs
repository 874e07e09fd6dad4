//! The marker of a page: where the next one starts, and what was being listed.
//!
//! It carries the filters, because the OpenStack client forgets them after the first page. It gives no
//! rights: the filters in it are checked like those of a query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::api::error::ApiError;
use crate::domain::{BackupId, Position, Timestamp};

use super::filters::Filters;

/// Increase it when the meaning of a marker changes.
const VERSION: u8 = 1;
/// The longest text that can be a marker.
const LONGEST: usize = 2048;

/// A marker, decoded. Field names are short because each makes URLs longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Marker {
    v: u8,
    at: i64,
    id: BackupId,
    #[serde(rename = "f")]
    filters: Filters,
}

impl Marker {
    /// The marker of this position in the list with these filters.
    pub(in crate::api) fn new(position: Position, filters: Filters) -> Self {
        Self { v: VERSION, at: position.created.as_micros(), id: position.id, filters }
    }

    /// Where the page starts, and what was being listed.
    pub(in crate::api) fn into_parts(self) -> (Position, Filters) {
        (Position { created: Timestamp::from_micros(self.at), id: self.id }, self.filters)
    }

    /// The text that goes into a URL.
    pub(in crate::api) fn encode(&self) -> Result<String, ApiError> {
        let json = serde_json::to_vec(self)
            .map_err(|error| ApiError::Fault(format!("a marker cannot be written: {error}")))?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    /// The marker that this text encodes; `None` if this server did not make it.
    pub(in crate::api) fn decode(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice::<Self>(&json).ok().filter(|marker| marker.v == VERSION)
    }
}
