//! Pages, compressed where the browser takes that.
//!
//! How long a compressed page is says how much in it is repeated. Somebody who made a browser load pages with guesses in
//! their query, and saw how long the answers are, could find out by and by what else is in them. This does not work here:
//!
//! * What another site asks for carries no cookie, which is `SameSite=Strict`, and so gets no page.
//! * Another service of the same host is the same site for a cookie. What it begins, the browser names in
//!   `Sec-Fetch-Site`, and that is answered uncompressed. A browser that names nothing reached this server without TLS, and
//!   whoever can see lengths there can see the pages.
//! * The token of the forms, which lets one change something, is written differently in every page.

use std::io::Write as _;
use std::sync::LazyLock;

use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter texts fit into a packet or two either way.
const SMALLEST: usize = 1024;

pub(super) const STYLE: &str = include_str!("assets/console.css");
pub(super) const SCRIPT: &str = include_str!("assets/console.js");
pub(super) static PACKED_STYLE: LazyLock<Option<Vec<u8>>> =
    LazyLock::new(|| compressed(STYLE.as_bytes()));
pub(super) static PACKED_SCRIPT: LazyLock<Option<Vec<u8>>> =
    LazyLock::new(|| compressed(SCRIPT.as_bytes()));

/// A text as it is sent.
#[derive(Debug)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    is_gzip: bool,
}

impl Packed {
    /// Takes some milliseconds for a long text: not for an event loop.
    pub(super) fn new(text: String, gzip: bool) -> Self {
        if gzip
            && text.len() >= SMALLEST
            && let Some(bytes) = compressed(text.as_bytes())
        {
            return Self { bytes, is_gzip: true };
        }
        Self { bytes: text.into_bytes(), is_gzip: false }
    }

    pub(super) fn answer(self, content_type: &'static str) -> HttpResponse {
        let mut answer = HttpResponse::Ok();
        answer.content_type(content_type);
        if self.is_gzip {
            answer.insert_header((CONTENT_ENCODING, "gzip"));
        }
        answer.body(self.bytes)
    }
}

fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(5));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Whether the answer may be compressed.
pub(super) fn takes_gzip(request: &HttpRequest) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
    let is_ours = header("sec-fetch-site").is_none_or(|it| it == "same-origin" || it == "none");
    is_ours && header(ACCEPT_ENCODING.as_str()).is_some_and(names_gzip)
}

fn names_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|it| {
        let (name, rest) = it.split_once(';').unwrap_or((it, ""));
        let weight = rest.trim().strip_prefix("q=").and_then(|it| it.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_none_or(|it| it > 0.0)
    })
}

/// The style and the script, which are the same in every answer, are compressed once.
pub(super) fn asset(
    gzip: bool,
    content_type: &'static str,
    text: &'static str,
    packed: &'static LazyLock<Option<Vec<u8>>>,
) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.content_type(content_type);
    match &**packed {
        Some(bytes) if gzip => {
            answer.insert_header((CONTENT_ENCODING, "gzip")).body(bytes.as_slice())
        }
        _ => answer.body(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for accepted in ["gzip", "br, GZIP;q=0.5", "deflate, gzip ; q=1"] {
            assert!(names_gzip(accepted), "{accepted}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip; q=0.0, br", "xgzip"] {
            assert!(!names_gzip(refused), "{refused}");
        }
    }
}
