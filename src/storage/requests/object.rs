//! An object that is read by ranges.

use std::fmt;
use std::io::{self, Read as _};
use std::sync::Arc;

use parking_lot::Mutex;
use ureq::Body;
use ureq::http::Response;

use crate::domain::ReadAt;
use crate::domain::num::{saturating_usize, to_u64};
use crate::storage::StorageError;

use super::refusal::Refusal;

/// The status of an answer that is a range.
const PARTIAL: u16 = 206;
/// The least that is fetched at once: the end of an archive, from which everything else is found, is rarely longer.
const LEAST: u64 = 128 << 10;
/// The most that is fetched at once, when an object is read from front to back.
const MOST: u64 = 1 << 20;

/// A store whose objects can be read by ranges.
pub(in crate::storage) trait Ranges: Send + Sync {
    /// Asks for a range of an object, by what its `Range` is to say. `read` takes the answer.
    fn read_range(
        &self,
        key: &str,
        range: String,
        read: &mut dyn FnMut(Response<Body>) -> io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>, StorageError>;
}

pub(in crate::storage) struct Object<S> {
    store: Arc<S>,
    key: String,
    bytes: u64,
    /// What was fetched last, and where it begins.
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    start: u64,
    bytes: Arc<Vec<u8>>,
    /// Where the last read ended.
    read_to: u64,
}

impl<S> fmt::Debug for Object<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Object")
            .field("key", &self.key)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl<S: Ranges> Object<S> {
    pub(in crate::storage) fn new(store: Arc<S>, key: String, bytes: u64) -> Self {
        Self { store, key, bytes, window: Mutex::default() }
    }

    fn fetch(&self, start: u64, length: u64) -> Result<Vec<u8>, StorageError> {
        let end = start.saturating_add(length).saturating_sub(1);
        let whole = start == 0 && length == self.bytes;
        let mut read = |mut response: Response<Body>| {
            if response.status().as_u16() != PARTIAL && !whole {
                return Err(io::Error::other(
                    "the store does not answer with the range that was asked for",
                ));
            }
            // An answer to another request, which something on the way repeats, may be as long.
            let says = response.headers().get("content-range").and_then(|it| it.to_str().ok());
            let right = format!("bytes {start}-{end}/");
            if says.is_some_and(|says| !says.starts_with(&right)) {
                return Err(io::Error::other("the store answers with another range"));
            }
            let mut bytes = vec![0; saturating_usize(length)];
            response.body_mut().as_reader().read_exact(&mut bytes)?;
            Ok(bytes)
        };
        self.store.read_range(&self.key, format!("bytes={start}-{end}"), &mut read)
    }
}

/// Copies from `start` on, if all of it is in the window.
fn copy(window: &Window, buffer: &mut [u8], start: u64) -> bool {
    let Some(skip) = start.checked_sub(window.start) else { return false };
    let skip = saturating_usize(skip);
    let found = window.bytes.get(skip..skip.saturating_add(buffer.len()));
    found.map(|found| buffer.copy_from_slice(found)).is_some()
}

impl<S: Ranges> ReadAt for Object<S> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let length = to_u64(buffer.len());
        let end = offset.checked_add(length).filter(|end| *end <= self.bytes);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if length == 0 {
            return Ok(());
        }
        let in_order = {
            let mut window = self.window.lock();
            let in_order = window.read_to == offset;
            window.read_to = end;
            if copy(&window, buffer, offset) {
                return Ok(());
            }
            in_order
        };
        // Of what is read from the end backwards, what is before is wanted next.
        let wanted = length.max(if in_order { MOST } else { LEAST });
        let start = if in_order { offset } else { offset.min(self.bytes.saturating_sub(wanted)) };
        let wanted = wanted.min(self.bytes - start);
        let bytes = Arc::new(self.fetch(start, wanted).map_err(to_io)?);
        let fetched = Window { start, bytes, read_to: end };
        if !copy(&fetched, buffer, offset) {
            return Err(io::Error::other("the store did not answer with what was asked for"));
        }
        if length < MOST {
            *self.window.lock() = fetched;
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.bytes
    }
}

fn to_io(error: StorageError) -> io::Error {
    let kind = match &error {
        StorageError::NotFound { .. } => io::ErrorKind::NotFound,
        StorageError::Refused { refusal: Refusal::Incomplete, .. } => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
