//! The HTTP server: its connections, and the application behind them. It speaks HTTP/1.1, also by TLS; HTTP/2 belongs to a
//! proxy before it.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_server::GracefulShutdownSignal;
use actix_service::boxed::{BoxService, service};
use actix_service::{
    IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service,
};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, Error};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Reached;
use crate::api::{self, Connection, Entrance, State};
use crate::config::ServerConfig;
use crate::console::{self, Console};

use super::gate::{Client, Gate, GateSettings, HeldBytes};
use super::port_stream::PortStream;
use super::stream::{ClientStream, Times};
use super::tls::Tls;

/// Seconds that requests in flight get when the server stops.
pub(super) const REQUEST_GRACE_S: u64 = 10;
/// How long a client that was refused may go on sending, so that it reads why.
const REFUSED: Duration = Duration::from_secs(1);
/// Bytes of an answer that may wait for its client; beyond, the next piece of it is not made yet.
const WRITE_BUFFER: usize = 8 << 10;

/// Bytes of an answer that may wait in the kernel until they can be sent. It would take some megabytes for each client that
/// reads nothing, and as much work.
const UNSENT: u32 = 64 << 10;

type Accepted<S> = Result<(ClientStream<S>, Option<SocketAddr>), DispatchError>;

/// A server on the port, and what answers its requests. It answers once it is awaited.
pub(super) fn server(
    config: &ServerConfig,
    (state, console): (&Data<State>, Option<&Data<Console>>),
    (port, tls): (TcpListener, Option<Arc<Tls>>),
) -> io::Result<(Server, Application)> {
    let times = Times { request: config.request_timeout(), send: config.send_timeout() };
    let settings = GateSettings {
        entrance: Entrance::Port,
        most: config.max_connections,
        per_address: config.max_connections_per_address,
        is_tls: tls.is_some(),
    };
    let held_bytes = HeldBytes::default();
    let open = Gate::new(settings, HeldBytes::clone(&held_bytes));
    let mut builder = Server::build()
        .workers(config.worker_count())
        .worker_max_blocking_threads(4)
        // The gate counts: this library would for each worker alone, and let nobody in beyond.
        .max_concurrent_connections(usize::MAX >> 8)
        .shutdown_timeout(REQUEST_GRACE_S)
        .disable_signals();
    let application = Application {
        state: Data::clone(state),
        console: console.cloned(),
        times,
        keep_alive: config.keep_alive(),
        held_bytes,
        stopping: builder.graceful_shutdown_signal(),
    };
    let at_port = application.clone();
    builder = builder.listen("port", port, move || {
        let (gate, tls) = (Arc::clone(&open), tls.clone());
        fn_service(move |io: TcpStream| accept_tcp(io, Arc::clone(&gate), times, tls.clone()))
            .and_then(at_port.service())
    })?;
    Ok((builder.run(), application))
}

async fn accept_tcp(
    io: TcpStream,
    gate: Arc<Gate>,
    times: Times,
    tls: Option<Arc<Tls>>,
) -> Accepted<PortStream> {
    let (peer, local) = (io.peer_addr()?, io.local_addr()?);
    // Without a place it is closed.
    let place = gate.wait_to_enter(Some(Client::at(peer.ip())), Some(local)).await;
    let place = place.ok_or_else(|| DispatchError::Io(io::ErrorKind::ConnectionRefused.into()))?;
    let place = Rc::new(place);
    // The end of an answer is not held back until the client has acknowledged the rest.
    io.set_nodelay(true)?;
    SockRef::from(&io).set_tcp_notsent_lowat(UNSENT)?;
    let io = match tls {
        None => PortStream::Plain(io),
        Some(tls) => {
            // A place of its own in memory: most of what this future is would wait for it, also without TLS.
            let begun = Box::pin(tls.accept(io, &place, times.request)).await;
            PortStream::Tls(begun.map_err(|error| {
                log::debug!("TLS with {peer} did not begin: {error}");
                DispatchError::Io(error)
            })?)
        }
    };
    Ok((ClientStream::new(io, place, times), Some(peer)))
}

/// What answers requests.
#[derive(Clone)]
pub(super) struct Application {
    state: Data<State>,
    console: Option<Data<Console>>,
    pub(super) times: Times,
    keep_alive: Duration,
    pub(super) held_bytes: HeldBytes,
    stopping: GracefulShutdownSignal,
}

impl Application {
    /// The service for streams of one kind.
    pub(super) fn service<S: AsyncRead + AsyncWrite + Unpin + 'static>(
        &self,
    ) -> impl ServiceFactory<
        (ClientStream<S>, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<S> {
        let state = Data::clone(&self.state);
        let console = self.console.clone();
        let answers = fn_factory(move || answers(Data::clone(&state), console.clone()));
        let stopping = self.stopping.clone();
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(self.keep_alive)
            .client_request_timeout(self.times.request)
            .client_disconnect_timeout(REFUSED)
            .h1_write_buffer_size(WRITE_BUFFER)
            .on_connect_ext(|io: &ClientStream<S>, data| {
                let connection = &io.place().member.connection;
                data.insert::<Reached>(connection.reached());
                data.insert(Arc::<Connection>::clone(connection));
            })
            .h1(answers)
    }
}

/// What answers the requests of one thread.
type Answers = BoxService<Request, ServiceResponse<BoxBody>, Error>;

thread_local! {
    static ANSWERS: RefCell<Weak<Answers>> = const { RefCell::new(Weak::new()) };
}

/// One for each thread: each has the patterns of all paths in memory.
async fn answers(state: Data<State>, console: Option<Data<Console>>) -> Result<Rc<Answers>, ()> {
    if let Some(known) = ANSWERS.with_borrow(Weak::upgrade) {
        return Ok(known);
    }
    let pages = |config: &mut ServiceConfig| {
        if let Some(console) = console {
            console::routes(console)(config);
        }
    };
    let application =
        App::new().wrap(api::request_id()).configure(pages).configure(api::routes(state));
    let made = application.into_factory().new_service(AppConfig::default()).await?;
    let made = Rc::new(service(made));
    ANSWERS.set(Rc::downgrade(&made));
    Ok(made)
}
