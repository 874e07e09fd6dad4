//! Names in SQL. A file of its own, since statements in advice and in programs both need it.

/// A name quoted for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_a_name_are_doubled() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }
}
