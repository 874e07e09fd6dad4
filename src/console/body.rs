//! Forms and queries.

use actix_web::rt::time::timeout;
use actix_web::web::Payload;
use url::form_urlencoded;

use super::error::ConsoleError;
use super::state::Console;

/// The longest form that is read; those of our pages take a few hundred bytes.
const LONGEST: usize = 16 << 10;

/// The fields of a form or a query.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn of_text(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    pub(super) async fn read(console: &Console, payload: Payload) -> Result<Self, ConsoleError> {
        let bytes = timeout(console.settings.body_timeout, payload.to_bytes_limited(LONGEST))
            .await
            .map_err(|_elapsed| ConsoleError::Timeout)?
            .map_err(|_too_long| ConsoleError::TooLong(LONGEST))?
            .map_err(|error| ConsoleError::BadForm(error.to_string()))?;
        Ok(Self::of_text(&bytes))
    }

    /// The value of a field, without space around it; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value as a number; `None` if there is none.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).parse().ok()
    }

    /// A name of 1 to 255 characters with at least one letter or digit, as everywhere else.
    pub(super) fn name(&self, field: &str, what: &str) -> Result<String, ConsoleError> {
        let text = self.text(field);
        let length = text.chars().count();
        if (1..=255).contains(&length) && text.chars().any(char::is_alphanumeric) {
            return Ok(text.to_owned());
        }
        Err(ConsoleError::BadForm(format!(
            "{what} needs 1 to 255 characters, and at least one letter or digit among them"
        )))
    }
}
