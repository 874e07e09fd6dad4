//! TLS at the port: which certificate new connections get, and how they begin.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::rt::spawn;
use actix_web::rt::time::sleep;
use parking_lot::RwLock;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::catalog::{Catalog, Notice};
use crate::config::{Config, TlsConfig};
use crate::domain::Clock;
use crate::tls::{Certificate, Pair, TlsError};

use super::gate::Place;
use super::port_stream::Encrypted;

/// The first byte of a connection by TLS: its record is part of a handshake.
const HANDSHAKE: u8 = 0x16;
/// Bytes that may be encrypted before the client has taken those before.
const UNSENT: usize = 8 << 10;
/// What a client gets that does not speak TLS.
const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 84\r\n\
    Connection: close\r\n\r\n\
    {\"badRequest\": {\"code\": 400, \"message\": \"This port speaks TLS only: use https://.\"}}";
/// How often it is looked whether the certificate ends.
const LOOK: Duration = Duration::from_secs(3600);
/// Bytes of a request without TLS that are thrown away, so that its client reads the answer.
const PLAIN_REQUEST: usize = 64 << 10;

/// What new connections begin with.
#[derive(Debug)]
pub(super) struct Tls(RwLock<Current>);

#[derive(Debug)]
struct Current {
    accepting: Arc<ServerConfig>,
    certificate: Certificate,
}

impl From<&Pair> for Current {
    fn from(pair: &Pair) -> Self {
        Self { accepting: pair.accepting(), certificate: pair.certificate().clone() }
    }
}

impl Tls {
    /// With the files of the configuration; `None`: without TLS. A certificate that has ended is used, with a warning: backups go on,
    /// and clients say what is wrong.
    pub(super) fn of(config: &Config, clock: &dyn Clock) -> Result<Option<Arc<Self>>, TlsError> {
        let Some(files) = config.server.tls() else { return Ok(None) };
        let pair = read(files)?;
        if pair.certificate().require_holds(clock.now()).is_ok() {
            note(&pair, clock);
        }
        Ok(Some(Arc::new(Self(RwLock::new(Current::from(&pair))))))
    }

    /// Takes over the files of the configuration for new connections. What is wrong with them leaves the old ones in use.
    pub(super) fn reload(&self, files: &TlsConfig, clock: &dyn Clock) -> Result<(), TlsError> {
        let pair = read(files)?;
        pair.certificate().require_holds(clock.now())?;
        *self.0.write() = Current::from(&pair);
        note(&pair, clock);
        Ok(())
    }

    /// Says in the log and in the health of the server that the certificate ends soon, or has ended. Once a day in the log: the
    /// days that are left are a part of it.
    pub(super) fn say_when_it_ends(&self, catalog: &Catalog, clock: &dyn Clock) {
        let why = self.0.read().certificate.why_renew(clock.now());
        if let Some(why) = why.as_ref().filter(|why| !catalog.notices().contains(why)) {
            log::warn!("{why}");
        }
        catalog.set_notice(Notice::CertificateEnds, why);
    }

    /// Begins to say so, on this thread.
    pub(super) fn watch(self: &Arc<Self>, catalog: &Arc<Catalog>, clock: &Arc<dyn Clock>) {
        let (tls, catalog, clock) = (Arc::clone(self), Arc::clone(catalog), Arc::clone(clock));
        drop(spawn(async move {
            loop {
                tls.say_when_it_ends(&catalog, &*clock);
                sleep(LOOK).await;
            }
        }));
    }

    /// Begins TLS with a client, which may take so long.
    pub(super) async fn accept(
        &self,
        io: TcpStream,
        place: &Rc<Place>,
        longest: Duration,
    ) -> io::Result<Box<TlsStream<Encrypted>>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0.read().accepting));
        let begun = async move {
            let mut first = [0];
            if io.peek(&mut first).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if first != [HANDSHAKE] {
                refuse(&io).await?;
                return Err(ErrorKind::InvalidData.into());
            }
            let io = Encrypted::new(io, Rc::clone(place));
            acceptor.accept_with(io, |session| session.set_buffer_limit(Some(UNSENT))).await
        };
        within(place, longest, begun).await.map(Box::new)
    }
}

fn read(files: &TlsConfig) -> Result<Pair, TlsError> {
    Pair::read(&files.certificate, &files.private_key)
}

fn note(pair: &Pair, clock: &dyn Clock) {
    let certificate = pair.certificate();
    log::info!(
        "TLS: the certificate {} ends in {} days, on {} UTC",
        certificate.path().display(),
        certificate.days_left(clock.now()),
        certificate.not_after().to_wire()
    );
}

/// Says that TLS is wanted here, and reads what the client sends: otherwise it might not read the answer.
async fn refuse(io: &TcpStream) -> io::Result<()> {
    let mut answer = PLAIN_ANSWER.as_bytes();
    while !answer.is_empty() {
        io.writable().await?;
        match io.try_write(answer) {
            Ok(sent) => answer = answer.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    socket2::SockRef::from(io).shutdown(std::net::Shutdown::Write)?;
    let (mut left, mut request) = (PLAIN_REQUEST, [0; 1024]);
    while left > 0 {
        io.readable().await?;
        match io.try_read(&mut request) {
            Ok(0) => break,
            Ok(bytes) => left = left.saturating_sub(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What comes of `work`, if it is done in time, and before others need the place.
async fn within<T>(
    place: &Place,
    longest: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let (mut work, mut end) = (pin!(work), pin!(sleep(longest)));
    poll_fn(|context| {
        place.member.on_end(context.waker());
        if place.member.must_end() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        work.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_without_tls_has_the_length_that_it_says() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
