//! Answers as JSON, written straight into the bytes that are sent.

use std::convert::Infallible;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::Timestamp;

/// Where one backup fits in, so that the bytes of most answers are never moved while they grow.
const USUAL: usize = 1024;

/// The answer with these bytes, which are JSON, as its body.
pub(super) fn answer(mut response: HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(body)
}

/// An object that is about `rows` backups long.
pub(super) fn object(rows: u32, fill: impl FnOnce(&mut Fields<'_>)) -> Vec<u8> {
    let Ok(out) = try_object::<Infallible>(rows, |fields| {
        fill(fields);
        Ok(())
    });
    out
}

/// The same of something that may not be there after all.
pub(super) fn try_object<E>(
    rows: u32,
    fill: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let rows = usize::try_from(rows.clamp(1, 64)).unwrap_or(1);
    let mut out = Vec::with_capacity(USUAL.saturating_mul(rows));
    braced(&mut out, fill)?;
    Ok(out)
}

/// A key as it is written: `,"key":`. Made by [`key`], of our own words, in which nothing is to be escaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(pub(super) &'static str);

/// The key of this word, put together before the program runs.
macro_rules! key {
    ($word:literal) => {
        $crate::api::json::Key(concat!(",\"", $word, "\":"))
    };
}
pub(super) use key;

/// The fields of one object, as they are written. For what lists are made of: serde would look at every
/// byte of every key, id and time for something to escape, which took longer than finding the rows.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Fields<'_> {
    /// A text, or null.
    pub(super) fn text<'t>(&mut self, key: Key, text: impl Into<Option<&'t str>>) {
        match text.into() {
            Some(text) => self.joined(key, ["", text]),
            None => self.null(key),
        }
    }

    /// Two texts as one.
    pub(super) fn joined(&mut self, key: Key, [start, end]: [&str; 2]) {
        if needs_escape(start) || needs_escape(end) {
            return self.value(key, &format!("{start}{end}"));
        }
        self.plain(key, [start, end]);
    }

    /// A word of our own, or null.
    pub(super) fn word(&mut self, key: Key, word: impl Into<Option<&'static str>>) {
        match word.into() {
            Some(word) => self.plain(key, [word, ""]),
            None => self.null(key),
        }
    }

    /// An id, or null.
    pub(super) fn id(&mut self, key: Key, id: impl Into<Option<Uuid>>) {
        let mut text = Uuid::encode_buffer();
        match id.into() {
            Some(id) => self.plain(key, [id.as_hyphenated().encode_lower(&mut text), ""]),
            None => self.null(key),
        }
    }

    /// A time, or null.
    pub(super) fn time(&mut self, key: Key, time: impl Into<Option<Timestamp>>) {
        match time.into() {
            Some(time) => self.plain(key, [time.to_wire().as_str(), ""]),
            None => self.null(key),
        }
    }

    /// Text in which nothing is to be escaped.
    fn plain(&mut self, key: Key, [start, end]: [&str; 2]) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(start.as_bytes());
        self.out.extend_from_slice(end.as_bytes());
        self.out.push(b'"');
    }

    /// Whatever serde can write: what is rare, and numbers.
    pub(super) fn value(&mut self, key: Key, value: &impl Serialize) {
        self.key(key);
        serde_json::to_writer(&mut *self.out, value)
            .expect("memory takes everything, and every map here has text for keys");
    }

    /// An object below this one.
    pub(super) fn object(&mut self, key: Key, fill: impl FnOnce(&mut Fields<'_>)) {
        self.key(key);
        braced(self.out, fill);
    }

    /// A list of objects.
    pub(super) fn list<T>(&mut self, key: Key, fill: impl FnOnce(&mut Rows<'_>) -> T) -> T {
        self.key(key);
        self.out.push(b'[');
        let filled = fill(&mut Rows { out: self.out, empty: true });
        self.out.push(b']');
        filled
    }

    fn null(&mut self, key: Key) {
        self.key(key);
        self.out.extend_from_slice(b"null");
    }

    fn key(&mut self, Key(text): Key) {
        // The comma is for all but the first.
        let from = usize::from(self.empty);
        self.out.extend_from_slice(text.as_bytes().get(from..).unwrap_or_default());
        self.empty = false;
    }
}

/// The objects of a list, as they are written.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Rows<'_> {
    /// One more.
    pub(super) fn row(&mut self, fill: impl FnOnce(&mut Fields<'_>)) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        braced(self.out, fill);
    }
}

fn braced<T>(out: &mut Vec<u8>, fill: impl FnOnce(&mut Fields<'_>) -> T) -> T {
    out.push(b'{');
    let filled = fill(&mut Fields { out, empty: true });
    out.push(b'}');
    filled
}

/// Without a way out of the loop, so that the machine looks at many bytes at once.
fn needs_escape(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found || byte < b' ' || byte == b'"' || byte == b'\\')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn any_text_reads_back_as_what_it_was() {
        for odd in ["", "a\"b", "a\\", "\u{0}\u{1f}\n", "резерв ☃ \u{7f}\u{2028}", "'</script>"]
        {
            let bytes = object(1, |fields| {
                fields.text(key!("text"), odd);
                fields.joined(key!("joined"), ["x:", odd]);
            });
            let read: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read, json!({"text": odd, "joined": format!("x:{odd}")}));
        }
    }

    #[test]
    fn what_is_written_by_hand_is_what_serde_would_write() {
        let id = Uuid::from_u128(0x018b_cfed_0d08_7765_81a3_7552_98ff_ed45);
        let bytes = object(2, |fields| {
            fields.id(key!("id"), id);
            fields.id(key!("parent"), None);
            fields.text(key!("description"), None);
            fields.value(key!("size"), &0.5);
            fields.object(key!("empty"), |_none| {});
            fields.list(key!("rows"), |rows| {
                rows.row(|fields| fields.value(key!("number"), &1));
                rows.row(|fields| fields.value(key!("number"), &2));
            });
            fields.list(key!("none"), |_rows| {});
        });
        assert_eq!(
            str::from_utf8(&bytes).unwrap(),
            "{\"id\":\"018bcfed-0d08-7765-81a3-755298ffed45\",\"parent\":null,\"description\":null,\
             \"size\":0.5,\"empty\":{},\"rows\":[{\"number\":1},{\"number\":2}],\"none\":[]}"
        );
    }
}
