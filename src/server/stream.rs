//! A client's connection, with bounds: it ends if the client sends no request, takes no answer, or sends more
//! than there is room for. The HTTP library gets one request after the other.

use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::boundaries::Boundaries;
use super::gate::Place;

/// How often the times are checked.
const TICK: Duration = Duration::from_secs(1);
/// Bytes that a client may send ahead: the longest body, and the longest head of the next request.
const AHEAD: usize = 192 << 10;
/// Bytes that the buffers of all connections may have, also of those at the socket, beyond what is fair. The HTTP library
/// takes twice as much for them at most.
pub(super) const ALL_HELD: usize = 3 << 20;
/// Bytes that a connection's buffer may have in any case.
pub(super) const FAIR: usize = 8 << 10;
/// Bytes that are read before they are parsed. The HTTP library would fill a buffer of 128 KiB, also
/// with what it throws away.
const BURST: usize = 8 << 10;

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long the head of a request may take.
    pub(super) request: Duration,
    /// How long a client may take nothing of its answer.
    pub(super) send: Duration,
}

/// A stream of a client.
#[derive(Debug)]
pub(super) struct ClientStream<S> {
    io: S,
    place: Rc<Place>,
    times: Times,
    tick: Pin<Box<Sleep>>,
    /// Bytes received since the last request began.
    waiting: usize,
    /// The most that was received for a request so far: the buffer of a head is never made smaller.
    longest: usize,
    /// What of the two is counted with the gate.
    held: usize,
    /// The requests that had begun then.
    requests: u64,
    boundaries: Boundaries,
    /// Bytes that were received behind the end of a request, at most [`BURST`].
    ahead: Vec<u8>,
    /// Bytes that the HTTP library got since it parsed what it had.
    burst: usize,
    /// Whether those end a head or a body: it gets no more before it has parsed them.
    is_end: bool,
    /// Since when a head has been arriving.
    head_since: Option<Instant>,
    /// Since when the client takes nothing.
    full_since: Option<Instant>,
    /// Whether reading waits for the answer to go on.
    read_waits: bool,
}

impl<S> ClientStream<S> {
    pub(super) fn new(io: S, place: Rc<Place>, times: Times) -> Self {
        Self {
            io,
            place,
            // A second more than the HTTP library waits, which says so to the client.
            times: Times { request: times.request.saturating_add(TICK), ..times },
            tick: Box::pin(sleep(TICK)),
            waiting: 0,
            longest: 0,
            held: 0,
            boundaries: Boundaries::new(),
            ahead: Vec::new(),
            burst: 0,
            is_end: false,
            requests: 0,
            head_since: None,
            full_since: None,
            read_waits: false,
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// An error if the connection has to end. Otherwise it is checked again within a second.
    fn check(&mut self, context: &mut Context<'_>, waits_for_head: bool) -> io::Result<()> {
        self.place.member.on_end(context.waker());
        if self.place.member.must_end() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        while self.tick.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            self.tick.as_mut().reset(now.checked_add(TICK).unwrap_or(now).into());
            let is_over = |since: Option<Instant>, most: Duration| {
                since.is_some_and(|it| now.saturating_duration_since(it) >= most)
            };
            if is_over(self.full_since, self.times.send)
                || waits_for_head && is_over(self.head_since, self.times.request)
            {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// A request began. What is received of its body is its own, and bounded by other limits.
    fn settle(&mut self) {
        let connection = &self.place.member.connection;
        let requests = connection.requests();
        if requests != self.requests {
            self.requests = requests;
            self.boundaries.begin_body(connection.body());
            let left = self.ahead.len();
            self.longest = self.longest.max(self.waiting.saturating_sub(left).min(AHEAD));
            self.waiting = left;
            self.head_since = None;
            if self.count_held() > ALL_HELD / 2 && self.held > FAIR {
                // Others need the room.
                self.place.member.connection.end_with_answer();
            }
        }
    }

    /// Counts the bytes that the buffers of this connection hold. Returns those of all connections.
    fn count_held(&mut self) -> usize {
        let before = mem::replace(&mut self.held, self.waiting.max(self.longest));
        self.place.change_held(before, self.held)
    }

    /// Whether the connection is read again only when its answer is sent, or taken: what a client sends ahead would wait in
    /// memory.
    fn answers_first(&self) -> bool {
        let connection = &self.place.member.connection;
        let is_next = self.boundaries.is_in_head() || self.waiting >= AHEAD;
        self.full_since.is_some() || connection.sends_long() || connection.is_busy() && is_next
    }

    /// Something of an answer was sent: if reading waited for that, it is tried again.
    fn read_again(&mut self, context: &Context<'_>) {
        if self.read_waits && !self.answers_first() {
            self.read_waits = false;
            context.waker().wake_by_ref();
        }
    }

    /// Counts what was received.
    fn received(&mut self, bytes: usize) -> io::Result<()> {
        self.place.progress();
        self.waiting = self.waiting.saturating_add(bytes);
        if self.count_held() > ALL_HELD && self.held > FAIR {
            return Err(ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// Gives the HTTP library these bytes, but not beyond the end of a head or a body. Returns how many.
    fn give(&mut self, bytes: &[u8], buffer: &mut ReadBuf<'_>) -> usize {
        let most = bytes.len().min(buffer.remaining());
        let (count, is_end) = self.boundaries.pass(bytes.get(..most).unwrap_or_default());
        buffer.put_slice(bytes.get(..count).unwrap_or_default());
        self.is_end = is_end;
        self.burst = self.burst.saturating_add(count);
        if !self.place.member.connection.is_busy() {
            self.head_since.get_or_insert_with(Instant::now);
        }
        count
    }
}

impl<S> Drop for ClientStream<S> {
    fn drop(&mut self) {
        self.place.change_held(self.held, 0);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let busy = this.place.member.connection.is_busy();
        this.settle();
        this.check(context, !busy)?;
        if this.answers_first() {
            this.read_waits = true;
            return Poll::Pending;
        }
        if mem::take(&mut this.is_end) || this.burst >= BURST {
            this.burst = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !this.ahead.is_empty() {
            let mut ahead = mem::take(&mut this.ahead);
            let given = this.give(&ahead, buffer);
            this.ahead = ahead.split_off(given);
            return Poll::Ready(Ok(()));
        }
        let mut space = [MaybeUninit::uninit(); BURST];
        let mut received = ReadBuf::uninit(&mut space);
        let read = Pin::new(&mut this.io).poll_read(context, &mut received);
        if read.is_pending() {
            this.burst = 0;
        }
        ready!(read)?;
        let received = received.filled();
        if !received.is_empty() {
            this.received(received.len())?;
            let given = this.give(received, buffer);
            this.ahead = received.get(given..).unwrap_or_default().to_vec();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // What is written may be the very answer that says that the head took too long.
        this.check(context, false)?;
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        if written.is_pending() {
            this.full_since.get_or_insert_with(Instant::now);
        } else {
            this.place.progress();
            this.full_since = None;
            this.read_again(context);
            // The next request may arrive while an answer is sent, and can begin only after it.
            this.head_since = this.head_since.map(|_since| Instant::now());
        }
        this.place.member.set_full(this.full_since.is_some());
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        // With TLS, the end of an answer may be written and not sent.
        if flushed.is_pending() {
            this.check(context, false)?;
            this.full_since.get_or_insert_with(Instant::now);
        } else {
            if this.full_since.take().is_some() {
                this.place.progress();
            }
            this.read_again(context);
        }
        this.place.member.set_full(this.full_since.is_some());
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
