//! The server that the routes stand on: accepts connections, speaks HTTP/1.1 and HTTP/2, ends in order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;

use super::asker::{self, OwnNames, Peer};
use super::form::{drain, too_large};
use super::listen::listen;
use super::login::{self, Call};
use super::path::{Wanted, page_before_rewrite, wanted};
use super::patience::PatientStream;
use super::places::{Place, Places};
use super::reply::problem;
use super::routes::router;
use super::shared::Api;
use super::tls::{self, Certificates};
use super::token::Gate;
use super::{ApiContext, ApiError, Limits};

/// The API, being served. Dropping it ends it at once.
#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl ApiServer {
    /// Listens at `address` and serves on the current runtime. Port 0 takes a free one; `[::]` is all interfaces, IPv4's as well.
    ///
    /// # Errors
    /// The address cannot be had, or the certificate cannot be used.
    pub fn start(address: SocketAddr, context: ApiContext) -> Result<Self, ApiError> {
        let listener = listen(address).map_err(|source| ApiError::Listen { address, source })?;
        Self::start_on(listener, context)
    }

    /// Serves on the current runtime what comes in at `listener`.
    ///
    /// # Errors
    /// The listener's address cannot be told, or the certificate cannot be used.
    pub fn start_on(listener: TcpListener, context: ApiContext) -> Result<Self, ApiError> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = listener.local_addr().map_err(|source| ApiError::Listen { address: unknown, source })?;
        let certificates = context.access.tls.clone().map(|files| Certificates::follow(files, tls::RELOAD)).transpose()?;
        let is_loopback = address.ip().to_canonical().is_loopback();
        let gate = context.access.token.as_deref().map(|token| Arc::new(Gate::new(token)));
        // A page of another site can have its own name lead to this machine, but not make the browser say another one.
        let own_names = OwnNames((is_loopback && gate.is_none()).then(|| Arc::from(context.access.names.clone())));
        warn_of_openness(is_loopback, gate.is_some(), certificates.is_some());
        let (stop, stopped) = watch::channel(false);
        let api = Arc::new(Api::new(context, is_loopback || gate.is_some(), stopped.clone()));
        let accepting =
            tokio::spawn(accept(listener, Site { router: router(Arc::clone(&api)), api, gate, own_names, certificates }, stopped));
        Ok(Self { address, stop, accepting })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the log's line says it: `*:8089` where it is all interfaces.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.address.ip().is_unspecified() { format!("*:{}", self.address.port()) } else { self.address.to_string() }
    }

    /// Takes no more requests, lets those under way end for a moment, and closes everything.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            log::error!("the web monitor did not end in order: {error}");
        }
    }
}

/// All that a connection needs to answer its requests.
#[derive(Debug, Clone)]
struct Site {
    router: Router,
    api: Arc<Api>,
    gate: Option<Arc<Gate>>,
    own_names: OwnNames,
    certificates: Option<Certificates>,
}

impl Site {
    /// `is_ambiguous`: the request says two ends of its body.
    async fn answer(&self, caller: Caller, is_ambiguous: bool, request: Request<Incoming>) -> Response {
        let Caller { peer, is_secure, is_doorstep } = caller;
        let mut response = if let Some(flaw) = asker::flaw(&request, is_ambiguous) {
            close(problem(StatusCode::BAD_REQUEST, flaw))
        } else if is_doorstep && !login::is_probe(&self.route_of(request.uri())) {
            ([(header::RETRY_AFTER, "5")], problem(StatusCode::SERVICE_UNAVAILABLE, "too many connections")).into_response()
        } else {
            self.route(peer, is_secure, request.map(Body::new)).await
        };
        if is_doorstep {
            response = close(response);
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    /// The route that a request's path leads to, whatever is there.
    fn route_of(&self, uri: &Uri) -> String {
        match wanted(uri.path(), &self.api.context.path_prefix) {
            Wanted::Page(_) => "/".to_owned(),
            Wanted::Route(route) => route,
        }
    }

    async fn route(&self, peer: Peer, is_secure: bool, mut request: Request<Body>) -> Response {
        let limits = &self.api.context.limits;
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limits.body_bytes as u64) {
            drain(request.into_body(), limits.arrival);
            return too_large(limits).into_response();
        }
        let is_visit = matches!(*request.method(), Method::GET | Method::HEAD);
        let route = match wanted(request.uri().path(), &self.api.context.path_prefix) {
            Wanted::Page(page) if is_visit => return redirect(&page),
            Wanted::Page(_) => "/".to_owned(),
            Wanted::Route(route) => route,
        };
        if route == "/"
            && is_visit
            && let Some(page) = asker::value(request.headers(), &ORIGINAL_PATH).and_then(page_before_rewrite)
        {
            return redirect(&page);
        }
        if !login::is_probe(&route)
            && let Some(reason) = self.own_names.refuse(request.headers(), request.uri())
        {
            return problem(StatusCode::FORBIDDEN, &reason);
        }
        if let Some(gate) = &self.gate {
            let call = Call { peer, is_secure, route: &route, limits };
            match login::receive(gate, request, &call).await {
                Ok(response) => return response,
                Err(welcome) => request = welcome,
            }
        }
        let Some(uri) = with_path(request.uri(), &route) else {
            return problem(StatusCode::BAD_REQUEST, "the request's path cannot be read");
        };
        *request.uri_mut() = uri;
        request.extensions_mut().insert(peer);
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The connection ends with this answer. HTTP/2 has another way to say so, and none of its connections ends by one request.
fn close(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// To where the page's relative links hold. The place is relative itself: nobody here knows what a proxy has taken away.
fn redirect(page: &str) -> Response {
    match HeaderValue::from_str(page) {
        Ok(place) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response(),
        Err(_) => problem(StatusCode::BAD_REQUEST, "the request's path cannot be read"),
    }
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let whole = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    if parts.scheme.is_none() {
        parts.authority = None;
    }
    Uri::from_parts(parts).ok()
}

/// Says who can do what, where that is more than one may have meant.
fn warn_of_openness(is_loopback: bool, has_token: bool, has_tls: bool) {
    if !is_loopback && !has_token {
        log::warn!("whoever reaches the web monitor can start and stop load: --web-token-file lets in who knows a token alone");
    } else if !is_loopback && !has_tls {
        log::info!(
            "the web monitor's token travels in the clear unless a proxy before it speaks HTTPS: --web-cert and --web-key encrypt it"
        );
    }
}

/// Accepts until `stopped` turns true, then waits for the connections for a moment.
async fn accept(listener: TcpListener, site: Site, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let places = Places::new(site.api.context.limits.connections);
    let mut turned_away: u64 = 0;
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|&stop| stop) => break,
            Some(ended) = connections.join_next() => {
                on_end(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = places.take(peer.ip());
                if place.is_doorstep() {
                    turned_away += 1;
                    if turned_away.is_power_of_two() {
                        log::warn!("the web monitor has too many connections; without a place so far: {turned_away}");
                    }
                }
                drop(connections.spawn(converse(stream, peer, place, site.clone(), stopped.clone())));
            }
            Err(error) => {
                // Out of descriptors, mostly. The connection waits in the backlog until some other one ends.
                log::warn!("the web monitor cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = async {
        while let Some(ended) = connections.join_next().await {
            on_end(ended);
        }
    };
    if tokio::time::timeout(FAREWELL, all).await.is_err() {
        connections.shutdown().await;
    }
}

fn on_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        log::error!("a connection of the web monitor ended by a bug: {error}");
    }
}

/// One connection, from its first byte to its last.
async fn converse(stream: TcpStream, peer: SocketAddr, mut place: Place, site: Site, stopped: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("no TCP_NODELAY on a connection of the web monitor: {error}");
    }
    let peer = Peer(SocketAddr::new(peer.ip().to_canonical(), peer.port()));
    let mut limits = site.api.context.limits;
    if place.is_doorstep() {
        limits = Limits { arrival: limits.arrival.min(DOORSTEP_TIME), idle: limits.idle.min(DOORSTEP_TIME), ..limits };
    }
    let is_doorstep = place.is_doorstep();
    let talk = async {
        match site.certificates.clone() {
            None => speak(PatientStream::new(stream, limits), Caller { peer, is_secure: false, is_doorstep }, site, stopped).await,
            Some(certificates) => {
                if let Some(stream) = certificates.shake_hands(stream, limits.arrival).await {
                    speak(PatientStream::new(stream, limits), Caller { peer, is_secure: true, is_doorstep }, site, stopped).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = talk => {}
        () = place.is_pushed_out() => {}
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
struct Caller {
    peer: Peer,
    is_secure: bool,
    is_doorstep: bool,
}

/// HTTP over one connection, whatever carries it.
async fn speak<S>(stream: PatientStream<S>, caller: Caller, site: Site, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = stream.watch();
    let service = service_fn(move |request| {
        let (under_way, site) = (watch.begin(), site.clone());
        async move {
            let response = site.answer(caller, under_way.is_ambiguous, request).await;
            drop(under_way);
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEAD_BYTES_MAX as u32);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        result = connection.as_mut() => Some(result),
        _ = stopped.wait_for(|&stop| stop) => None,
    };
    let result = match ended {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        log::debug!("a connection of the web monitor from {} ended early: {error}", caller.peer.0);
    }
}

/// Envoy's, of a path that it has rewritten.
const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");

/// How long a connection without a place may take to ask after health.
const DOORSTEP_TIME: Duration = Duration::from_secs(2);

/// How long accepting rests after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How long requests under way may take once the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Requests at once on one connection of HTTP/2.
const STREAMS_MAX: u32 = 32;
