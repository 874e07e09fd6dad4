//! A stream at the port: plain, or by TLS. What TLS holds in its buffers counts with what the HTTP library holds.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::gate::Place;
use super::stream::{ALL_HELD, FAIR};

/// Bytes that TLS may hold of what a client sent: a record, and a part of the next one. The first ones of a client have to
/// fit, too, and are far shorter.
const MOST_HELD: usize = 32 << 10;

/// A stream at the port.
#[derive(Debug)]
pub(super) enum PortStream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Encrypted>>),
}

/// What arrives by TLS, before it is decrypted: counted from when it is received until it is handed on.
#[derive(Debug)]
pub(super) struct Encrypted {
    io: TcpStream,
    place: Rc<Place>,
    held: usize,
}

impl Encrypted {
    pub(super) fn new(io: TcpStream, place: Rc<Place>) -> Self {
        Self { io, place, held: 0 }
    }

    fn received(&mut self, bytes: usize) -> io::Result<()> {
        self.place.progress();
        let held = self.held.saturating_add(bytes);
        let all = self.place.change_held(self.held, held);
        self.held = held;
        if held > MOST_HELD || all > ALL_HELD && held > FAIR {
            return Err(ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// All of it was handed on.
    fn handed_on(&mut self) {
        self.place.change_held(self.held, 0);
        self.held = 0;
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        self.handed_on();
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let bytes = buffer.filled().len().saturating_sub(before);
        Poll::Ready(if bytes > 0 { this.received(bytes) } else { Ok(()) })
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

/// Reads what is decrypted. A client that ends its connection without saying so by TLS has ended it: what it sent has a length.
fn read_decrypted(
    stream: &mut TlsStream<Encrypted>,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let read = match ready!(Pin::new(&mut *stream).poll_read(context, buffer)) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        read => read,
    };
    let (io, session) = stream.get_mut();
    if session.wants_read() {
        io.handed_on();
    }
    Poll::Ready(read)
}

impl AsyncRead for PortStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Self::Tls(stream) => read_decrypted(stream, context, buffer),
        }
    }
}

impl AsyncWrite for PortStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
