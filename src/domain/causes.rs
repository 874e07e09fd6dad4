//! An error together with what caused it.

use std::error::Error;

/// The error and its causes in one line, from the outermost inwards. A cause whose text the line has
/// already is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        cause: Option<Box<Layer>>,
    }

    #[test]
    fn each_cause_is_named_once() {
        let layer = |text, cause: Option<Layer>| Layer { text, cause: cause.map(Box::new) };
        let disk = layer("the disk is full", None);
        let write = layer("cannot write x: the disk is full", Some(disk));
        let backup = layer("the backup failed", Some(write));
        assert_eq!(with_causes(&backup), "the backup failed: cannot write x: the disk is full");
    }
}
