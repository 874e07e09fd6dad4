//! Which part of an archive a request is for, by its headers (RFC 9110, sections 13 and 14).

use actix_web::http::header::{HeaderMap, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// Nothing: the client has it already.
    NotModified,
    /// All of it.
    All,
    /// These bytes.
    Part { first: u64, last: u64 },
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

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const TAG: &str = "\"blake3:ab\"";

    fn asked(headers: &[(HeaderName, &'static str)], length: u64) -> Selection {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        select(&map, TAG, length)
    }

    #[test]
    fn a_range_is_cut_to_the_length() {
        for (header, expected) in [
            ("bytes=0-", Selection::Part { first: 0, last: 99 }),
            ("bytes=10-19", Selection::Part { first: 10, last: 19 }),
            ("Bytes = 10-500", Selection::Part { first: 10, last: 99 }),
            ("bytes=99-99", Selection::Part { first: 99, last: 99 }),
            ("bytes=-5", Selection::Part { first: 95, last: 99 }),
            ("bytes=-500", Selection::Part { first: 0, last: 99 }),
            ("bytes=0-99999999999999999999999", Selection::Part { first: 0, last: 99 }),
            ("bytes=100-", Selection::OutOfRange),
            ("bytes=99999999999999999999999-", Selection::OutOfRange),
            ("bytes=-0", Selection::OutOfRange),
        ] {
            assert_eq!(asked(&[(RANGE, header)], 100), expected, "{header}");
        }
        assert_eq!(asked(&[(RANGE, "bytes=0-")], 0), Selection::OutOfRange);
    }

    #[test]
    fn a_range_that_cannot_be_read_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-1",
            "bytes=a-b",
            "lines=1-2",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            assert_eq!(asked(&[(RANGE, header)], 100), Selection::All, "{header}");
        }
    }

    #[test]
    fn conditions_are_compared_with_the_tag() {
        let range = (RANGE, "bytes=0-1");
        let part = Selection::Part { first: 0, last: 1 };
        assert_eq!(asked(&[range.clone(), (IF_RANGE, TAG)], 100), part);
        assert_eq!(asked(&[range.clone(), (IF_RANGE, "\"other\"")], 100), Selection::All);
        assert_eq!(asked(&[range.clone(), (IF_RANGE, "W/\"blake3:ab\"")], 100), Selection::All);
        for known in [TAG, "*", "\"x\", \"blake3:ab\"", "W/\"blake3:ab\""] {
            assert_eq!(
                asked(&[range.clone(), (IF_NONE_MATCH, known)], 100),
                Selection::NotModified
            );
        }
        assert_eq!(asked(&[range, (IF_NONE_MATCH, "\"x\"")], 100), part);
    }
}
