//! Reads a request before its handler runs: the caller, the ids, the query, the body.

mod body;
mod caller;
mod check;
mod filters;
mod ids;
mod marker;
mod paging;

pub(super) use body::Body;
pub(super) use caller::authenticate;
pub(super) use filters::Filters;
pub(super) use ids::{id, segment};
pub(super) use marker::Marker;
pub(super) use paging::{PageParameters, Query, limit};
