//! Which part of an archive a request wants, from its headers (RFC 9110, sections 13 and 14).

use actix_web::http::header::{HeaderMap, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The client has it already.
    Nothing,
    /// All of it.
    Whole,
    /// These bytes.
    Part {
        /// The first.
        first: u64,
        /// The last, which is there.
        last: u64,
    },
    /// Bytes that are not there.
    Beyond,
}

/// What these headers ask of an archive of this length with this (strong) tag.
pub(super) fn wanted(headers: &HeaderMap, tag: &str, length: u64) -> Wanted {
    if let Some(known) = text(headers, &IF_NONE_MATCH)
        && known.split(',').map(str::trim).any(|it| it == "*" || it.trim_start_matches("W/") == tag)
    {
        return Wanted::Nothing;
    }
    let Some(range) = text(headers, &RANGE) else { return Wanted::Whole };
    // A range is of the version that the client has a part of; a date proves nothing here.
    if headers.contains_key(IF_RANGE) && text(headers, &IF_RANGE).map(str::trim) != Some(tag) {
        return Wanted::Whole;
    }
    part(range, length).unwrap_or(Wanted::Whole)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The one range of a `Range` header. `None`: not understood, or several, so it is ignored.
fn part(header: &str, length: u64) -> Option<Wanted> {
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
                Wanted::Part { first: length.saturating_sub(suffix), last: end }
            }
            _ => Wanted::Beyond,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(match end {
        Some(end) if first <= end => Wanted::Part { first, last: last.min(end) },
        _ => Wanted::Beyond,
    })
}

/// Digits only; what does not fit is further than any file reaches.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const TAG: &str = "\"blake3:ab\"";

    fn asked(headers: &[(HeaderName, &'static str)], length: u64) -> Wanted {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        wanted(&map, TAG, length)
    }

    #[test]
    fn one_range_is_cut_to_what_is_there() {
        for (header, expected) in [
            ("bytes=0-", Wanted::Part { first: 0, last: 99 }),
            ("bytes=10-19", Wanted::Part { first: 10, last: 19 }),
            ("Bytes = 10-500", Wanted::Part { first: 10, last: 99 }),
            ("bytes=99-99", Wanted::Part { first: 99, last: 99 }),
            ("bytes=-5", Wanted::Part { first: 95, last: 99 }),
            ("bytes=-500", Wanted::Part { first: 0, last: 99 }),
            ("bytes=0-99999999999999999999999", Wanted::Part { first: 0, last: 99 }),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
        ] {
            assert_eq!(asked(&[(RANGE, header)], 100), expected, "{header}");
        }
        assert_eq!(asked(&[(RANGE, "bytes=0-")], 0), Wanted::Beyond);
    }

    #[test]
    fn a_range_that_is_not_understood_gives_the_whole() {
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
            assert_eq!(asked(&[(RANGE, header)], 100), Wanted::Whole, "{header}");
        }
    }

    #[test]
    fn conditions_hold_against_the_tag() {
        let range = (RANGE, "bytes=0-1");
        let part = Wanted::Part { first: 0, last: 1 };
        assert_eq!(asked(&[range.clone(), (IF_RANGE, TAG)], 100), part);
        assert_eq!(asked(&[range.clone(), (IF_RANGE, "\"other\"")], 100), Wanted::Whole);
        assert_eq!(asked(&[range.clone(), (IF_RANGE, "W/\"blake3:ab\"")], 100), Wanted::Whole);
        for known in [TAG, "*", "\"x\", \"blake3:ab\"", "W/\"blake3:ab\""] {
            assert_eq!(asked(&[range.clone(), (IF_NONE_MATCH, known)], 100), Wanted::Nothing);
        }
        assert_eq!(asked(&[range, (IF_NONE_MATCH, "\"x\"")], 100), part);
    }
}
