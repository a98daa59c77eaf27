//! Who is let in at the door of the port: names of other sites, requests that say two things at once, one connection too many.

use super::*;

#[tokio::test]
async fn on_a_loopback_address_another_sites_name_reads_nothing_but_health() {
    let stage = Stage::new();
    let ask = |path: &str, host: &str| format!("GET {path} HTTP/1.1\r\n{host}connection: close\r\n\r\n");
    for path in ["/", "/stats/requests", "/metrics", "/api/v1/snapshot", "/locust/exceptions", "/nowhere"] {
        assert!(stage.send(&ask(path, "host: evil.example\r\n")).await.is_problem(403), "{path}");
        assert!(stage.send(&ask(path, "host: localhost:8089\r\n")).await.status != 403, "{path}");
    }
    assert_eq!(stage.send(&ask("/healthz", "host: 10.0.0.7:8089\r\n")).await.body, "ok");
    let described = stage.get("/api/v1/openapi.json").await.json();
    for (path, operations) in described["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let is_probe = matches!(&**path, "/healthz" | "/readyz");
            assert_eq!(operation["responses"].get("403").is_none(), is_probe, "{method} {path}");
        }
    }
    for hosts in ["", "host: a\r\nhost: a\r\n", "host: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n"] {
        assert!(stage.send(&ask("/healthz", hosts)).await.status == 400, "{hosts}");
    }
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away_and_the_place_is_free_again_later() {
    let stage = Stage::with(
        |context| {
            context.limits.connections = 1;
            context.limits.idle = Duration::from_secs(10);
        },
        |_| Ok(accepted()),
    );
    let mut first = TcpStream::connect(stage.address()).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(first.read(&mut [0; 1_024]).await.unwrap() > 0);
    // It may ask after health, and after nothing else.
    let second = stage.get("/stats/requests").await;
    assert!(second.is_problem(503) && second.head.contains("connection: close"), "{second:?}");
    assert_eq!(stage.get("/healthz").await.body, "ok");
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(Reply::read(&mut first).await.body, "ok");
    let freed = async {
        loop {
            let mut third = TcpStream::connect(stage.address()).await.unwrap();
            third.write_all(b"GET /worker-count HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut start = [0; 12];
            if third.read_exact(&mut start).await.is_ok() && &start == b"HTTP/1.1 200" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.unwrap();
}

#[tokio::test]
async fn issue_15_silent_connections_keep_no_probe_out_from_the_first_moment() {
    let stage = Stage::with(|context| context.limits.connections = 4, |_| Ok(accepted()));
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(stage.address()).await.unwrap());
    }
    let begin = std::time::Instant::now();
    for path in ["/healthz", "/readyz"] {
        let reply = stage.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "before any of them has been silent for too long");
}
