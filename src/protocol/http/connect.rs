//! Making a connection: look-up, TCP, a proxy's tunnel, TLS; each timed.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;

use super::classify::{Failure, FailureKind};
use super::context::Context;
use super::exchange::{Offer, Timings, Version};
use super::http1::Response;
use super::origin::Origin;
use super::proxy::Proxy;
use super::stream::Stream;
use super::tls;

/// A stream to a server, ready for the first request.
#[derive(Debug)]
pub(super) struct Opened {
    pub stream: Stream,
    /// The server is behind a plain proxy: its `proxy-authorization`, or an empty text.
    pub through_proxy: Option<Box<str>>,
}

/// Connects to `origin` within `limit`, which ends at `deadline`. The phases are added to `timings`.
///
/// # Errors
/// `dns`, `refused`, `unreachable`, `tls`, `connect_timeout`, `local`, `protocol` (a proxy that refuses).
pub(super) async fn open(
    context: &Context,
    origin: &Rc<Origin>,
    offer: Offer,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<Opened, Failure> {
    let proxy = context.proxies.proxy_for(origin);
    let next = proxy.map_or(origin.as_ref(), |proxy| &proxy.origin);
    let mut tcp = reach(context, next, deadline, timings).await?;
    if !origin.tls {
        if let Some(proxy) = proxy.filter(|_| offer == Offer::Http2) {
            let at = proxy.origin.peer();
            return Err(Failure::protocol(format!("HTTP/2 without TLS cannot go through the proxy {at}, which speaks HTTP/1.1")));
        }
        return Ok(Opened { stream: Stream::Plain(tcp), through_proxy: proxy.map(|proxy| proxy.authorization.clone().into_boxed_str()) });
    }
    let begin = Instant::now();
    let peer = origin.peer();
    let secured = timeout_at(deadline.into(), async {
        if let Some(proxy) = proxy {
            tunnel(&mut tcp, proxy, &peer).await?;
        }
        tls::handshake(&context.tls_for(origin, offer), tcp, &origin.host, &peer, offer).await
    });
    let result = secured.await.unwrap_or_else(|_| Err(Failure::connect_timeout(&peer, context.connect_timeout)));
    timings.tls = Some(timings.tls.unwrap_or_default() + begin.elapsed());
    let stream = Stream::Tls(Box::new(result?));
    match offer {
        Offer::Any => context.on_spoken(origin, if stream.is_http2() { Version::Http2 } else { Version::Http11 }),
        Offer::Http2 if !stream.is_http2() => return Err(Failure::not_http2(&peer, " over TLS")),
        // Without a choice it tells nothing of what the server would choose.
        Offer::Http11 | Offer::Http2 => {}
    }
    Ok(Opened { stream, through_proxy: None })
}

/// Looks `origin` up and connects to the first of its addresses that answers.
async fn reach(context: &Context, origin: &Origin, deadline: Instant, timings: &mut Timings) -> Result<TcpStream, Failure> {
    let limit = context.connect_timeout;
    let mut begin = Instant::now();
    let fixed = context.names.fixed(&origin.host, origin.port);
    let port = fixed.map_or(origin.port, |(_, port)| port);
    let known = fixed.map(|(address, _)| vec![address]).or_else(|| context.names.known(&origin.host));
    let addresses = match known {
        Some(addresses) => addresses,
        None => {
            let found = timeout_at(deadline.into(), context.names.look_up(&origin.host)).await;
            let end = Instant::now();
            timings.dns = Some(timings.dns.unwrap_or_default() + (end - begin));
            begin = end;
            found.unwrap_or_else(|_| {
                Err(Failure::new(FailureKind::Dns, format!("look-up of `{}` failed: no answer in time", origin.host)))
            })?
        }
    };
    let result = connect_to_any(&addresses, port, origin, begin, deadline, limit).await;
    timings.connect = Some(timings.connect.unwrap_or_default() + begin.elapsed());
    result
}

/// Tries one address after the other; a silent one gets its share of the time that is left. The first failure is the one reported.
async fn connect_to_any(
    addresses: &[IpAddr],
    port: u16,
    origin: &Origin,
    begin: Instant,
    deadline: Instant,
    limit: Duration,
) -> Result<TcpStream, Failure> {
    let mut first_failure = None;
    let mut now = begin;
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let until = now + deadline.saturating_duration_since(now) / left;
        let peer = if addresses.len() > 1 { SocketAddr::new(*address, port).to_string() } else { origin.peer() };
        match timeout_at(until.into(), connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                let failure = Failure::connecting(&error, &peer);
                if failure.kind == FailureKind::Local {
                    return Err(failure);
                }
                first_failure.get_or_insert(failure);
            }
            Err(_) => {
                first_failure.get_or_insert_with(|| Failure::connect_timeout(&peer, limit));
            }
        }
        now = Instant::now();
    }
    Err(first_failure.unwrap_or_else(|| Failure::new(FailureKind::Dns, format!("look-up of `{}` failed: no address", origin.host))))
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Asks `proxy` for a tunnel to `peer`.
async fn tunnel(tcp: &mut TcpStream, proxy: &Proxy, peer: &str) -> Result<(), Failure> {
    let at = proxy.origin.peer();
    let mut head = format!("CONNECT {peer} HTTP/1.1\r\nhost: {peer}\r\n");
    if !proxy.authorization.is_empty() {
        head.push_str(&format!("proxy-authorization: {}\r\n", proxy.authorization));
    }
    head.push_str("\r\n");
    tcp.write_all(head.as_bytes()).await.map_err(|error| Failure::during_exchange(&error, &at))?;
    let mut response = Response::new("CONNECT", 64 * 1024, false, true);
    // Byte by byte would be the only way not to read past the head; a server that speaks first through the tunnel is no TLS server.
    let mut buffer = [0; 1024];
    while response.status == 0 {
        let read = tcp.read(&mut buffer).await.map_err(|error| Failure::during_exchange(&error, &at))?;
        if read == 0 {
            return Err(Failure::reset(&at));
        }
        response.feed(&buffer[..read])?;
    }
    if (200..300).contains(&response.status) {
        return Ok(());
    }
    Err(Failure::protocol(format!("the proxy {at} refused a tunnel to {peer}: status {}", response.status)))
}
