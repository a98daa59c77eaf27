//! The health of a worker over HTTP, for probes and for Prometheus: `/healthz`, `/readyz`, `/metrics`. Nothing can be changed here.
//!
//! Bounded against whoever finds the port: a few connections at once, each with a short life, and no body is read.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::cluster::serve_worker::WorkerReadings;
use crate::front::exposition::{Exposition, Kind, MEDIA_TYPE};

/// Serves the health of one worker until it is dropped.
#[derive(Debug)]
pub struct HealthServer {
    address: SocketAddr,
    acceptor: JoinHandle<()>,
}

/// The port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("serve the worker's health at `{address}`: {source}")]
pub struct HealthError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the operating system said.
    pub source: std::io::Error,
}

impl HealthServer {
    /// Listens at `address` on the current runtime. `[::]` serves IPv4 too.
    ///
    /// # Errors
    /// The port cannot be had.
    pub async fn start(address: SocketAddr, readings: watch::Receiver<WorkerReadings>) -> Result<Self, HealthError> {
        let failed = |source| HealthError { address, source };
        let listener = match TcpListener::bind(address).await {
            // A machine without IPv6.
            Err(why) if address.ip().is_unspecified() && address.is_ipv6() && why.kind() != std::io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await.map_err(failed)?
            }
            bound => bound.map_err(failed)?,
        };
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { address, acceptor: tokio::spawn(accept(listener, readings)) })
    }

    /// Where it listens, with the port that the system chose where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, readings: watch::Receiver<WorkerReadings>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Whoever finds no place waits in the system's own queue, which is bounded.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let readings = readings.clone();
                tokio::spawn(async move {
                    serve(stream, readings).await;
                    drop(place);
                });
            }
            // Such as a want of descriptors, which passes.
            Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
        }
    }
}

async fn serve(stream: TcpStream, readings: watch::Receiver<WorkerReadings>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let reply = reply(request.method(), request.uri().path(), &readings.borrow());
        async move { Ok::<_, Infallible>(reply) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks off or speaks no HTTP is nothing to tell anybody of.
    drop(tokio::time::timeout(CONNECTION_LIFE, connection).await);
}

fn reply(method: &Method, path: &str, readings: &WorkerReadings) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n".into());
    }
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" if readings.status.lacks_script => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the scripts in this worker's folder cannot be used: its log says why\n".into())
        }
        "/readyz" if readings.status.is_linked => text(StatusCode::OK, "ready\n".into()),
        "/readyz" => {
            let reason = readings.status.orphaned_for.map_or_else(
                || "no master has let this worker in so far\n".to_owned(),
                |time| format!("without a master for {} s\n", time.as_secs()),
            );
            text(StatusCode::SERVICE_UNAVAILABLE, reason)
        }
        "/metrics" => text(StatusCode::OK, metrics(readings)),
        _ => text(StatusCode::NOT_FOUND, "there is /healthz, /readyz and /metrics\n".into()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

fn metrics(readings: &WorkerReadings) -> String {
    let (status, vitals) = (&readings.status, &readings.vitals);
    let rows = [
        ("lunamoth_worker_linked", Kind::Gauge, "Whether a master speaks to this worker.", f64::from(u8::from(status.is_linked))),
        ("lunamoth_worker_running", Kind::Gauge, "Whether the worker stands in a run.", f64::from(u8::from(status.run.is_some()))),
        ("lunamoth_worker_users", Kind::Gauge, "Users alive.", status.users as f64),
        ("lunamoth_worker_unacknowledged_deltas", Kind::Gauge, "Deltas that no master has acknowledged.", status.unacknowledged as f64),
        (
            "lunamoth_worker_orphaned_seconds",
            Kind::Gauge,
            "How long the worker has been without a master.",
            status.orphaned_for.unwrap_or_default().as_secs_f64(),
        ),
        ("lunamoth_worker_cpu_seconds_total", Kind::Counter, "Processor time of the process.", vitals.cpu.as_secs_f64()),
        (
            "lunamoth_worker_throttled_seconds_total",
            Kind::Counter,
            "How long the cgroup has kept its processes from running.",
            vitals.throttled.as_secs_f64(),
        ),
        ("lunamoth_worker_memory_bytes", Kind::Gauge, "Resident memory.", vitals.memory_bytes as f64),
    ];
    let mut page = Exposition::default();
    for (name, kind, help, value) in rows {
        page.single(name, kind, help, value);
    }
    if let Some(round_trip) = status.round_trip {
        let help = "The least round trip to the master measured lately.";
        page.single("lunamoth_worker_round_trip_seconds", Kind::Gauge, help, round_trip.as_secs_f64());
    }
    page.finish()
}

/// Connections that are served at once.
const CONNECTIONS: usize = 32;
/// From the first byte to the end of the request's head.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// The least that the HTTP library allows.
const BUFFER_BYTES: usize = 8_192;
const AFTER_FAILURE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::cluster::worker::WorkerStatus;

    async fn ask(server: &HealthServer, path: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn a_worker_is_ready_while_a_master_speaks_to_it_and_healthy_always() {
        let (sender, readings) = watch::channel(WorkerReadings::default());
        let server = HealthServer::start(([127, 0, 0, 1], 0).into(), readings).await.unwrap();
        assert!(ask(&server, "/healthz").await.starts_with("HTTP/1.1 200 "));
        let reply = ask(&server, "/readyz").await;
        assert!(reply.starts_with("HTTP/1.1 503 ") && reply.ends_with("no master has let this worker in so far\n"), "{reply}");
        let status = WorkerStatus { is_linked: true, ..WorkerStatus::default() };
        sender.send_replace(WorkerReadings { status, ..WorkerReadings::default() });
        assert!(ask(&server, "/readyz").await.starts_with("HTTP/1.1 200 "));
        let status = WorkerStatus { is_linked: true, lacks_script: true, ..WorkerStatus::default() };
        sender.send_replace(WorkerReadings { status, ..WorkerReadings::default() });
        let reply = ask(&server, "/readyz").await;
        assert!(reply.starts_with("HTTP/1.1 503 ") && reply.contains("its log says why"), "{reply}");
        let status = WorkerStatus { orphaned_for: Some(Duration::from_secs(7)), ..WorkerStatus::default() };
        sender.send_replace(WorkerReadings { status, ..WorkerReadings::default() });
        assert!(ask(&server, "/readyz").await.ends_with("without a master for 7 s\n"));
        assert!(ask(&server, "/healthz").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(&server, "/other").await.starts_with("HTTP/1.1 404 "));
    }

    #[test]
    fn metrics_are_in_base_units() {
        let status = WorkerStatus { users: 12, unacknowledged: 3, round_trip: Some(Duration::from_micros(250)), ..WorkerStatus::default() };
        let mut readings = WorkerReadings { status, ..WorkerReadings::default() };
        readings.vitals.cpu = Duration::from_millis(1500);
        readings.vitals.memory_bytes = 4096;
        let text = metrics(&readings);
        for line in ["users 12", "unacknowledged_deltas 3", "round_trip_seconds 0.00025", "cpu_seconds_total 1.5", "memory_bytes 4096"] {
            assert!(text.contains(&format!("\nlunamoth_worker_{line}\n")), "{line} is not in {text}");
        }
        assert!(!metrics(&WorkerReadings::default()).contains("round_trip"), "a round trip that nobody has measured is not zero");
    }

    #[test]
    fn nothing_but_reading_is_served() {
        assert_eq!(reply(&Method::POST, "/healthz", &WorkerReadings::default()).status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
