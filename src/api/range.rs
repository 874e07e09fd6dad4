//! Which part of an archive a request is for, by its headers (RFC 9110, sections 13 and 14).

use actix_web::http::header::{HeaderMap, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// Nothing: the client has it already.
    NotModified,
    All,
    Part {
        first: u64,
        last: u64,
    },
    /// Nothing: the range begins after the end.
    OutOfRange,
}

/// What these headers select of an archive of this length with this (strong) tag.
pub(super) fn select(headers: &HeaderMap, tag: &str, length: u64) -> Selection {
    if let Some(known) = text(headers, &IF_NONE_MATCH)
        && known.split(',').map(str::trim).any(|it| it == "*" || it.trim_start_matches("W/") == tag)
    {
        return Selection::NotModified;
    }
    let Some(range) = text(headers, &RANGE) else { return Selection::All };
    // The client has a part of some version already, and the range must be of the same. A date cannot tell.
    if headers.contains_key(IF_RANGE) && text(headers, &IF_RANGE).map(str::trim) != Some(tag) {
        return Selection::All;
    }
    part(range, length).unwrap_or(Selection::All)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The only range of a `Range` header. `None` if it cannot be read or has several: then it is ignored.
fn part(header: &str, length: u64) -> Option<Selection> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let end = length.checked_sub(1);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(match end {
            Some(end) if suffix > 0 => {
                Selection::Part { first: length.saturating_sub(suffix), last: end }
            }
            _ => Selection::OutOfRange,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(match end {
        Some(end) if first <= end => Selection::Part { first, last: last.min(end) },
        _ => Selection::OutOfRange,
    })
}

/// Digits only. A number that does not fit is beyond any length.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}
