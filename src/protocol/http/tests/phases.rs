//! The phases of a hop: where its time is counted, and that they make up its duration.

use std::io::Write;
use std::time::{Duration, Instant};

use super::reuse::stale_server;
use super::*;

#[test]
fn a_stale_failure_has_the_phases_that_it_went_through() {
    run(async {
        let server = stale_server();
        let user = user();
        exchange(&user, &get(&server.origin())).await;
        let exchange = exchange(&user, &Request { method: "POST", ..get(&server.origin()) }).await;
        assert_eq!(kind(&exchange), Some(FailureKind::Stale));
        assert!(exchange.timings.send.is_some() && exchange.timings.wait.is_some());
        assert_eq!(sum_of_phases(&exchange), exchange.timings.total);
    });
}

#[test]
fn waiting_for_a_free_connection_is_blocked_and_not_sending() {
    run(async {
        let server = Server::start(|_, stream| {
            while read_request(stream).is_some() {
                std::thread::sleep(Duration::from_millis(60));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let user = Rc::new(user());
        let origin = server.origin();
        // One more than a user may have connections.
        let under_way: Vec<_> = (0..65)
            .map(|_| {
                let (user, origin) = (Rc::clone(&user), Rc::clone(&origin));
                tokio::task::spawn_local(async move { exchange(&user, &get(&origin)).await })
            })
            .collect();
        let mut last = Exchange::default();
        for one in under_way {
            last = one.await.unwrap();
            assert_eq!(last.status, 200);
        }
        assert!(last.timings.blocked.unwrap() >= Duration::from_millis(50), "{:?}", last.timings);
        assert!(last.timings.send.unwrap() < Duration::from_millis(50), "{:?}", last.timings);
        assert_eq!(sum_of_phases(&last), last.timings.total);
    });
}

#[test]
fn the_time_between_ask_and_call_is_blocked_and_counts() {
    run(async {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let user = user();
        for _ in 0..2 {
            let asked = Some(Instant::now() - Duration::from_millis(300));
            let exchange = exchange(&user, &Request { asked, ..get(&server.origin()) }).await;
            assert!(exchange.timings.blocked.unwrap() >= Duration::from_millis(300), "{:?}", exchange.timings);
            assert_eq!(sum_of_phases(&exchange), exchange.timings.total);
        }
        let asked = Some(Instant::now() - Duration::from_secs(6));
        assert_eq!(kind(&exchange(&user, &Request { asked, ..get(&server.origin()) }).await), Some(FailureKind::Timeout));
    });
}

#[test]
fn a_refused_hop_has_phases_that_make_up_its_duration() {
    run(async {
        let origin = Rc::new(Origin::parse("http://127.0.0.1:1").unwrap());
        let exchange = exchange(&user(), &get(&origin)).await;
        assert_eq!(kind(&exchange), Some(FailureKind::Refused));
        assert_eq!(sum_of_phases(&exchange), exchange.timings.total);
    });
}

fn sum_of_phases(exchange: &Exchange) -> Duration {
    let Timings { blocked, dns, connect, tls, send, wait, receive, .. } = exchange.timings;
    [blocked, dns, connect, tls, send, wait, receive].into_iter().flatten().sum()
}
