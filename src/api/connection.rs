//! What a request knows of the connection that it came over.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::access::Reached;

/// Where a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// The address of the server.
    Port,
    /// Either of them, when as many connections as may be were open and busy: it gets one answer of the health check,
    /// or waits for a place among the others.
    Reserve,
    /// The Unix socket, which only users of this machine reach.
    Socket,
}

/// What follows the head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// So many bytes.
    Sized(u64),
    /// Chunks, of which the last one is empty.
    Chunked,
}

/// The connections over the limit.
pub trait Reserve: Debug + Send + Sync {
    /// Waits, but not for long, for a place among the others for the connection with this number. Returns whether
    /// there was one.
    fn leave(&self, number: u64) -> Pin<Box<dyn Future<Output = bool> + '_>>;
}

/// Stands for the length of a body in chunks.
const CHUNKED: u64 = u64::MAX;

/// A client's connection. The stream and the requests of a connection share one.
#[derive(Debug)]
pub struct Connection {
    /// Those that came later have higher ones.
    number: u64,
    entrance: Entrance,
    /// Where it waits, if it came into the reserve.
    reserve: Option<Arc<dyn Reserve>>,
    has_place: AtomicBool,
    /// The address that the client connected to.
    local: Option<SocketAddr>,
    is_tls: bool,
    begun: AtomicU64,
    /// The length of the body of the request that began last, or that it is sent in chunks.
    body: AtomicU64,
    ended: AtomicU64,
    sends_long: AtomicBool,
    is_last: AtomicBool,
}

impl Connection {
    /// A connection at `entrance`, or in the `reserve` of it.
    pub fn new(
        number: u64,
        entrance: Entrance,
        reserve: Option<Arc<dyn Reserve>>,
        local: Option<SocketAddr>,
    ) -> Self {
        let has_place = AtomicBool::new(reserve.is_none());
        let (begun, body, ended) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (sends_long, is_last) = (AtomicBool::new(false), AtomicBool::new(false));
        Self {
            number,
            entrance,
            reserve,
            has_place,
            local,
            is_tls: false,
            begun,
            body,
            ended,
            sends_long,
            is_last,
        }
    }

    /// The same, by TLS or not.
    #[must_use]
    pub fn by_tls(mut self, is_tls: bool) -> Self {
        self.is_tls = is_tls;
        self
    }

    /// How its client reached this server.
    pub const fn reached(&self) -> Reached {
        Reached { local: self.local, is_tls: self.is_tls }
    }

    pub const fn number(&self) -> u64 {
        self.number
    }

    pub fn entrance(&self) -> Entrance {
        if self.has_place.load(Ordering::Acquire) { self.entrance } else { Entrance::Reserve }
    }

    /// A place became free, and is this one's.
    pub fn take_place(&self) {
        self.has_place.store(true, Ordering::Release);
    }

    /// Waits, but not for long, for a place among the others. Returns whether it has one.
    pub async fn wait_for_place(&self) -> bool {
        match &self.reserve {
            Some(reserve) if self.entrance() == Entrance::Reserve => {
                reserve.leave(self.number).await
            }
            _ => true,
        }
    }

    /// How many requests had a complete head so far.
    pub fn requests(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// What follows the head of the request that began last.
    pub fn body(&self) -> RequestBody {
        match self.body.load(Ordering::Acquire) {
            CHUNKED => RequestBody::Chunked,
            bytes => RequestBody::Sized(bytes),
        }
    }

    /// Whether a request has no answer yet. The body of an answer may still be on its way.
    pub fn is_busy(&self) -> bool {
        self.requests() != self.ended.load(Ordering::Acquire)
    }

    /// Whether a long answer is on its way, after which only the next request is of use.
    pub fn sends_long(&self) -> bool {
        self.sends_long.load(Ordering::Acquire)
    }

    /// Another client waits for this one's place: the connection is to end with its next answer.
    pub fn end_with_answer(&self) {
        self.is_last.store(true, Ordering::Release);
    }

    /// Whether the next answer is the last one.
    pub fn ends_with_answer(&self) -> bool {
        self.is_last.load(Ordering::Acquire) || self.entrance() == Entrance::Reserve
    }

    /// The body of a long answer begins, and ends when the result is dropped.
    pub fn begin_long_body(self: Arc<Self>) -> LongBody {
        self.sends_long.store(true, Ordering::Release);
        LongBody(self)
    }

    /// A request with this body begins, and ends when the result is dropped.
    pub fn begin(self: Arc<Self>, body: RequestBody) -> OpenRequest {
        let body = match body {
            RequestBody::Sized(bytes) => bytes.min(CHUNKED.saturating_sub(1)),
            RequestBody::Chunked => CHUNKED,
        };
        self.body.store(body, Ordering::Release);
        self.begun.fetch_add(1, Ordering::AcqRel);
        OpenRequest(self)
    }
}

/// A request that has no answer yet.
#[derive(Debug)]
pub struct OpenRequest(Arc<Connection>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// The body of an answer that is sent in pieces. A connection has one at a time.
#[derive(Debug)]
pub struct LongBody(Arc<Connection>);

impl Drop for LongBody {
    fn drop(&mut self) {
        self.0.sends_long.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_busy_while_a_request_has_no_answer() {
        let connection = Arc::new(Connection::new(0, Entrance::Port, None, None));
        assert!(!connection.is_busy());
        let request = Arc::clone(&connection).begin(RequestBody::Chunked);
        assert!(connection.is_busy());
        assert_eq!(connection.body(), RequestBody::Chunked);
        drop(request);
        assert!(!connection.is_busy());
        assert_eq!(connection.requests(), 1);
    }

    #[test]
    fn a_connection_sends_a_long_answer_until_its_body_is_dropped() {
        let connection = Arc::new(Connection::new(0, Entrance::Port, None, None));
        assert!(!connection.sends_long());
        let body = Arc::clone(&connection).begin_long_body();
        assert!(connection.sends_long());
        drop(body);
        assert!(!connection.sends_long());
    }
}
