//! What is taken out of a request before a handler sees it: who asks, where, and what they sent.

mod body;
mod caller;
mod fields;
mod filters;
mod ids;
mod marker;
mod paging;
mod scope;

pub(super) use body::JsonBody;
pub(super) use caller::authenticate;
pub(super) use fields::{Checker, Object, Presence};
pub(super) use filters::Filters;
pub(super) use ids::{backup_id, instance_id, segment};
pub(super) use marker::Marker;
pub(super) use paging::{Query, limit};
