//! Where the heads and the bodies of requests end, in the bytes of a connection.
//!
//! The HTTP library parses all heads that it has received, and keeps each of them, some kilobytes, until those
//! before it are answered. Whoever sends many small requests at once would take the memory: so the library gets one
//! request after the other. The forms of bodies are those of RFC 9112, section 6.

use crate::api::RequestBody;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// A head, or what follows the last chunk of a body, which may be headers too: both end with an empty line.
    Lines { is_head: bool, is_empty: bool },
    /// So many bytes of a body.
    Sized(u64),
    /// So many bytes of a chunk and of the end of its line.
    Chunk(u64),
    /// The line with the size of a chunk, of which so much was read. An extension may follow the size.
    Size { size: u64, is_over: bool },
}

const HEAD: Part = Part::Lines { is_head: true, is_empty: true };
const TRAILER: Part = Part::Lines { is_head: false, is_empty: true };
const CHUNK_SIZE: Part = Part::Size { size: 0, is_over: false };

/// The position of a connection among the parts of its requests.
#[derive(Debug)]
pub(super) struct Boundaries(Part);

impl Boundaries {
    pub(super) const fn new() -> Self {
        Self(HEAD)
    }

    /// Whether the next byte belongs to a head.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.0, Part::Lines { is_head: true, .. })
    }

    /// The head of a request ended, and this body follows.
    pub(super) const fn begin_body(&mut self, body: RequestBody) {
        self.0 = match body {
            RequestBody::Sized(0) => HEAD,
            RequestBody::Sized(bytes) => Part::Sized(bytes),
            RequestBody::Chunked => CHUNK_SIZE,
        };
    }

    /// Passes the bytes up to the end of a head or a body. Returns how many those are, and whether it was reached.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let (count, is_end) = self.step(first, rest.len());
            rest = rest.get(count..).unwrap_or_default();
            if is_end {
                return (bytes.len().saturating_sub(rest.len()), true);
            }
        }
        (bytes.len(), false)
    }

    /// Passes the next byte, or all `left` ones as far as they belong to the same data. Returns how many it were, and
    /// whether a head or a body ended with them.
    fn step(&mut self, byte: u8, left: usize) -> (usize, bool) {
        let (count, next, is_end) = match self.0 {
            Part::Lines { is_empty: true, .. } if byte == b'\n' => (1, HEAD, true),
            Part::Lines { is_head, is_empty } => {
                let is_empty = byte == b'\n' || byte == b'\r' && is_empty;
                (1, Part::Lines { is_head, is_empty }, false)
            }
            Part::Sized(bytes) => match data(bytes, left) {
                (count, 0) => (count, HEAD, true),
                (count, more) => (count, Part::Sized(more), false),
            },
            Part::Chunk(bytes) => match data(bytes, left) {
                (count, 0) => (count, CHUNK_SIZE, false),
                (count, more) => (count, Part::Chunk(more), false),
            },
            Part::Size { size: 0, .. } if byte == b'\n' => (1, TRAILER, false),
            Part::Size { size, .. } if byte == b'\n' => {
                (1, Part::Chunk(size.saturating_add(2)), false)
            }
            Part::Size { size, is_over } => {
                let digit = char::from(byte).to_digit(16).filter(|_digit| !is_over);
                let next = digit.map_or(Part::Size { size, is_over: true }, |digit| {
                    let size = size.saturating_mul(16).saturating_add(digit.into());
                    Part::Size { size, is_over }
                });
                (1, next, false)
            }
        };
        self.0 = next;
        (count, is_end)
    }
}

/// How many of the `left` bytes belong to data of so many bytes, and how many of it are still to come.
fn data(bytes: u64, left: usize) -> (usize, u64) {
    let count = usize::try_from(bytes).map_or(left, |bytes| bytes.min(left));
    let more = u64::try_from(count).map_or(0, |count| bytes.saturating_sub(count));
    (count, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of this text, if each head is followed by the next of these bodies, and if so many bytes arrive at once.
    fn parts(text: &str, bodies: &[RequestBody], at_once: usize) -> Vec<String> {
        let mut boundaries = Boundaries::new();
        let (mut parts, mut part) = (Vec::new(), String::new());
        let mut bodies = bodies.iter();
        for mut bytes in text.as_bytes().chunks(at_once) {
            while !bytes.is_empty() {
                let is_head = part.is_empty() && boundaries.is_in_head();
                let (count, is_end) = boundaries.pass(bytes);
                part.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                bytes = &bytes[count..];
                if is_end {
                    if is_head || part.starts_with("GET") || part.starts_with("POST") {
                        boundaries.begin_body(*bodies.next().unwrap());
                    }
                    parts.push(std::mem::take(&mut part));
                }
            }
        }
        assert_eq!(part, "", "a part has no end");
        parts
    }

    #[test]
    fn every_head_and_every_body_is_a_part_however_the_bytes_arrive() {
        let get = "GET /a HTTP/1.1\r\nHost: b\r\n\r\n";
        let post = "POST /a HTTP/1.1\nHost: b\n\n";
        let sized = "{\r\n\r\nGET";
        let chunked =
            "5;name=12\r\n\r\n\r\n1\r\n0b\r\n\r\n\r\nGET /a\r\n\r\n0\r\nTrailer: c\r\n\r\n";
        let bodies = [
            RequestBody::Sized(0),
            RequestBody::Sized(8),
            RequestBody::Chunked,
            RequestBody::Sized(0),
        ];
        let text = [get, post, sized, post, chunked, get].concat();
        for at_once in 1..=text.len() {
            let parts = parts(&text, &bodies, at_once);
            assert_eq!(parts, [get, post, sized, post, chunked, get], "{at_once}");
        }
    }

    #[test]
    fn what_follows_the_last_chunk_belongs_to_the_body() {
        let mut boundaries = Boundaries::new();
        boundaries.begin_body(RequestBody::Chunked);
        for byte in b"1\r\nx\r\n0\r\nTrailer: c\r\n\r" {
            assert_eq!(boundaries.pass(&[*byte]), (1, false));
            assert!(!boundaries.is_in_head());
        }
        assert_eq!(boundaries.pass(b"\n"), (1, true));
        assert!(boundaries.is_in_head());
    }

    #[test]
    fn a_size_without_bounds_is_a_body_without_end() {
        let mut boundaries = Boundaries::new();
        boundaries.begin_body(RequestBody::Chunked);
        let text = format!("{}\r\n0\r\n\r\n", "f".repeat(40));
        assert_eq!(boundaries.pass(text.as_bytes()), (text.len(), false));
        assert!(!boundaries.is_in_head());
    }
}
