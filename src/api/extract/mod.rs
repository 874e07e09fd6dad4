//! Reads a request before its handler runs: the caller, the ids, the query, the body.

mod body;
mod call;
mod caller;
mod check;
mod filters;
mod marker;
mod paging;
mod shape;

pub(super) use body::Body;
pub(super) use call::Call;
pub(super) use caller::{authenticate, caller_if_any};
pub(super) use filters::Filters;
pub(super) use marker::Marker;
pub(super) use paging::{PageParameters, Query, limit, truthy};
