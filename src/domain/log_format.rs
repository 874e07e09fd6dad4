//! How log lines look.

use super::words::words;

words! {
    /// The format of the log.
    pub enum LogFormat {
        /// For people, and the journal.
        Text = "text",
        /// A JSON object a line.
        Json = "json",
    }
}
