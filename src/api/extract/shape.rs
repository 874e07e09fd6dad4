//! How deep and how large a JSON value may be. A value in memory takes up to fifty times the bytes of its text,
//! so this is found out from the text.

use crate::api::error::ApiError;

/// Objects and lists in one another. Those of this API have four.
const DEEPEST: usize = 32;
/// Values of a body. Those of this API have two dozen.
const MOST_VALUES: usize = 4096;

/// Refuses a text whose value would be deeper or have more parts than any that makes sense.
pub(super) fn ensure_shape(json: &[u8]) -> Result<(), ApiError> {
    let (mut depth, mut values, mut in_string) = (0_usize, 1_usize, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            // What it escapes, such as a quotation mark.
            b'\\' if in_string => {
                bytes.next();
            }
            _ if in_string => {}
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                values = values.saturating_add(1);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values = values.saturating_add(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(ApiError::malformed(&format!("it is nested deeper than {DEEPEST} levels")));
        }
        if values > MOST_VALUES {
            return Err(ApiError::malformed(&format!("it has more than {MOST_VALUES} values")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(json: &str) -> bool {
        ensure_shape(json.as_bytes()).is_ok()
    }

    #[test]
    fn depth_and_number_of_values_are_limited() {
        assert!(fits(&("[".repeat(DEEPEST) + &"]".repeat(DEEPEST))));
        assert!(!fits(&("{\"a\":".repeat(DEEPEST + 1))));
        assert!(fits(&"[],".repeat(MOST_VALUES / 2 - 1)));
        assert!(!fits(&"[],".repeat(MOST_VALUES / 2)));
        assert!(!fits(&"1,".repeat(MOST_VALUES)));
    }

    #[test]
    fn what_a_string_holds_does_not_count() {
        let many = "[{,".repeat(MOST_VALUES);
        assert!(fits(&format!("{{\"name\": \"{many}\"}}")));
        assert!(fits(&format!("{{\"name\": \"\\\"{many}\\\\\"}}")));
        assert!(!fits(&format!("{{\"name\": \"\\\\\"{many}")));
    }
}
