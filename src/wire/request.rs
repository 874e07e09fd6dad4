//! Ids in request bodies, which Trove reads more generously than others do.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize as _, Deserializer, de};

/// A hyphenated UUID in upper or lower case. Like Trove's pattern, it may end with one line end.
pub(super) fn id<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(from)?;
    text.strip_suffix('\n').unwrap_or(&text).parse().map_err(de::Error::custom)
}

/// The same of a field that may be left out.
pub(super) fn optional_id<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    id(from).map(Some)
}
