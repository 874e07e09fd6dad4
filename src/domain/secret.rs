//! A text that is shown nowhere.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A password, a token, or a URL that holds one. `Debug`, errors and reports do not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What is shown in its place.
const HIDDEN: &str = "[secret]";

impl Secret {
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for whoever is to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// This text without the secret.
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, HIDDEN) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_and_is_taken_out_of_texts() {
        let secret = Secret::new("hunter2".to_owned());
        let shown = format!("{secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert_eq!(shown, "[secret] \"[secret]\"");
        assert_eq!(secret.redact("the answer names hunter2"), "the answer names [secret]");
        assert_eq!(Secret::new(String::new()).redact("as it is"), "as it is");
    }
}
