//! An object that is read by ranges. Whoever reads in order gets longer and longer answers, each of them read no faster
//! than it is used: a request costs a store as much as a good part of a MiB.

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use ureq::Body;
use ureq::http::Response;

use crate::domain::ReadAt;
use crate::domain::num::to_u64;
use crate::storage::StorageError;

use super::in_order::{AHEAD, InOrder, PIECE, Rest, copy};
use super::refusal::Refusal;

/// The status of an answer that is a range.
const PARTIAL: u16 = 206;
/// The least that is fetched here and there: the end of an archive, from which everything else is found, is rarely longer.
const LEAST: u64 = 128 << 10;
/// The first request of those that read in order asks for this much.
const FIRST: u64 = 1 << 20;
/// How many times as much the next one asks for, and the most that one does: a store may end an answer that is read
/// slowly, and what is on its way when nobody reads on is in vain.
const GROWTH: u64 = 8;
const LONGEST_ANSWER: u64 = 64 << 20;
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
    read: Mutex<Read>,
}

/// What was read last.
#[derive(Default)]
struct Read {
    /// Where the last read ended.
    to: u64,
    in_order: InOrder,
    aside: Aside,
}

/// What was fetched from elsewhere.
#[derive(Default)]
struct Aside {
    start: u64,
    bytes: Vec<u8>,
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
        Self { store, key, bytes, read: Mutex::default() }
    }

    /// Asks for `asked` bytes from `start` on, and reads `length` of them.
    fn fetch(
        &self,
        start: u64,
        (length, asked): (u64, u64),
    ) -> Result<(Vec<u8>, Option<Rest>), StorageError> {
        let end = start.saturating_add(asked).saturating_sub(1);
        let whole = start == 0 && asked == self.bytes;
        let mut rest = None;
        let mut read = |response: Response<Body>| {
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
            let answer = Rest { bytes: asked, body: response.into_body().into_reader() };
            let mut bytes = Vec::new();
            rest = answer.read_on(&mut bytes, length)?;
            Ok(bytes)
        };
        let bytes = self.store.read_range(&self.key, format!("bytes={start}-{end}"), &mut read)?;
        Ok((bytes, rest))
    }

    /// Receives further until `end`. An answer that breaks off is asked for again from there on.
    fn receive(&self, reading: &mut InOrder, end: u64) -> Result<(), StorageError> {
        while reading.next() < end {
            let wanted = end.saturating_sub(reading.next()).max(PIECE);
            if let Some(rest) = reading.rest.take()
                && let Ok(rest) = rest.read_on(&mut reading.kept, wanted)
            {
                reading.rest = rest;
                continue;
            }
            let left = self.bytes.saturating_sub(reading.next());
            let most = reading.asked.saturating_mul(GROWTH).clamp(FIRST, LONGEST_ANSWER);
            let (wanted, asked) = (wanted.min(left), most.max(wanted).min(left));
            let (bytes, rest) = self.fetch(reading.next(), (wanted, asked))?;
            reading.kept.extend_from_slice(&bytes);
            (reading.asked, reading.rest) = (asked, rest);
        }
        Ok(())
    }

    /// Fetches what reaches from `start` to `end`. Of what is read from the end backwards, what is before is wanted next.
    fn fetch_around(&self, start: u64, end: u64) -> Result<Aside, StorageError> {
        let length = end.saturating_sub(start).max(LEAST);
        let start = start.min(self.bytes.saturating_sub(length));
        let length = length.min(self.bytes.saturating_sub(start));
        let (bytes, _none) = self.fetch(start, (length, length))?;
        Ok(Aside { start, bytes })
    }

    fn read(&self, read: &mut Read, buffer: &mut [u8], offset: u64, end: u64) -> io::Result<()> {
        let last = mem::replace(&mut read.to, end);
        if read.in_order.take(buffer, offset)
            || copy(&read.aside.bytes, read.aside.start, buffer, offset)
        {
            return Ok(());
        }
        let follows = offset == last || last > 0 && offset.wrapping_sub(last) <= AHEAD;
        if !read.in_order.comes_to(offset) && follows {
            read.in_order.begin(offset);
        }
        let found = if follows || read.in_order.comes_to(offset) {
            self.receive(&mut read.in_order, end).map_err(to_io)?;
            read.in_order.take(buffer, offset)
        } else {
            read.aside = Aside::default();
            let fetched = self.fetch_around(offset, end).map_err(to_io)?;
            let found = copy(&fetched.bytes, fetched.start, buffer, offset);
            if to_u64(fetched.bytes.len()) <= LEAST {
                read.aside = fetched;
            }
            found
        };
        let missing = || io::Error::other("the store did not answer with what was asked for");
        found.then_some(()).ok_or_else(missing)
    }
}

impl<S: Ranges> ReadAt for Object<S> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let length = to_u64(buffer.len());
        let end = offset.checked_add(length).filter(|end| *end <= self.bytes);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if length == 0 {
            return Ok(());
        }
        let mut read = self.read.lock();
        let done = self.read(&mut read, buffer, offset, end);
        // In the order in which they came: that is nearly the one of the bytes.
        MutexGuard::unlock_fair(read);
        done
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

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use crate::domain::num::saturating_usize;

    use super::*;

    /// A store with one object, of which answers break off after so many bytes.
    struct Breaking {
        object: Vec<u8>,
        breaks_after: usize,
        asked: Mutex<Vec<String>>,
    }

    impl Ranges for Breaking {
        fn read_range(
            &self,
            _key: &str,
            range: String,
            read: &mut dyn FnMut(Response<Body>) -> io::Result<Vec<u8>>,
        ) -> Result<Vec<u8>, StorageError> {
            let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let (start, end) = (start.parse::<usize>().unwrap(), end.parse::<usize>().unwrap());
            let sent =
                self.object[start..=end.min(start.saturating_add(self.breaks_after - 1))].to_vec();
            let body = Body::builder().reader(io::Cursor::new(sent));
            let says = format!("bytes {start}-{end}/{}", self.object.len());
            let answer = Response::builder().status(PARTIAL).header("content-range", says);
            self.asked.lock().push(range);
            Ok(read(answer.body(body).unwrap()).unwrap())
        }
    }

    fn object_of(mib: usize, breaks_after: usize) -> Object<Breaking> {
        let mut object = vec![0; mib << 20];
        Rng::with_seed(1).fill(&mut object);
        let (bytes, asked) = (to_u64(object.len()), Mutex::default());
        let store = Breaking { object, breaks_after, asked };
        Object::new(Arc::new(store), "archive".to_owned(), bytes)
    }

    /// Reads in pieces of these lengths in turn, and compares. Returns how many requests it took.
    fn read_in_order(object: &Object<Breaking>, lengths: &[usize]) -> usize {
        let (mut at, all) = (0, &object.store.object);
        for length in lengths.iter().cycle() {
            let mut buffer = vec![0; (*length).min(all.len() - at)];
            object.read_exact_at(&mut buffer, to_u64(at)).unwrap();
            assert!(buffer == all[at..at + buffer.len()], "{length} bytes from {at}");
            at += buffer.len();
            if at == all.len() {
                break;
            }
        }
        object.store.asked.lock().len()
    }

    #[test]
    fn an_object_read_in_order_takes_few_requests_however_it_is_cut() {
        for lengths in [&[65_536][..], &[100_000, 7], &[3_000_000], &[1 << 20, 4096], &[1_048_577]]
        {
            assert_eq!(read_in_order(&object_of(30, usize::MAX), lengths), 3, "{lengths:?}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_asked_for_again_from_where_it_did() {
        let object = object_of(30, (1 << 20) + 4_000_000);
        assert_eq!(read_in_order(&object, &[65_536, 9]), 8);
        let asked = object.store.asked.lock();
        assert!(asked.iter().all(|it| !it.starts_with("bytes=0-31457279")), "{asked:?}");
    }

    #[test]
    fn what_is_read_here_and_there_takes_short_answers_and_little_memory() {
        let object = object_of(30, usize::MAX);
        for at in [31_457_000, 31_400_000, 9, 20_000_000, 5_000_000] {
            let mut buffer = [0; 100];
            object.read_exact_at(&mut buffer, at).unwrap();
            let at = saturating_usize(at);
            assert_eq!(buffer, object.store.object[at..at + 100]);
        }
        assert_eq!(object.store.asked.lock().len(), 4, "the second is in the answer to the first");
        let mut most = vec![0; 20 << 20];
        object.read_exact_at(&mut most, 5_000_100).unwrap();
        assert!(most == object.store.object[5_000_100..5_000_100 + (20 << 20)]);
        let read = object.read.lock();
        assert!(read.in_order.kept.capacity() <= 1 << 20);
    }

    #[test]
    fn pieces_that_threads_read_nearly_in_order_come_from_the_same_answers() {
        let object = object_of(30, usize::MAX);
        let piece = 700_000;
        let starts: Vec<usize> = (0..object.store.object.len() - piece).step_by(piece).collect();
        let mut late: Vec<&usize> = Vec::new();
        for (number, group) in starts.chunks(3).enumerate() {
            // The first of every other three is read last.
            let order = if number % 2 == 0 { [1, 2, 0] } else { [0, 1, 2] };
            late.extend(order.into_iter().filter_map(|it| group.get(it)));
        }
        for at in late {
            let mut buffer = vec![0; piece];
            object.read_exact_at(&mut buffer, to_u64(*at)).unwrap();
            assert!(buffer == object.store.object[*at..at + piece], "{at}");
            assert!(object.read.lock().in_order.kept.len() <= 5 << 20);
        }
        assert!(object.store.asked.lock().len() <= 5, "{:?}", object.store.asked.lock());
    }
}
