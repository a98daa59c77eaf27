//! How requests over HTTP/2 end when nothing comes, and what is said of a connection's end.

use super::http2::{Case, Peer, first_answered_by, futures_in_order, summary};
use super::*;

/// Answers no request, and goes on reading.
fn keep_silent(peer: &mut Peer) {
    while peer.request().is_some() {}
}

fn hurried(case: &Case, millis: u64) -> Request<'static> {
    Request { timeout: Duration::from_millis(millis), ..case.post() }
}

/// The request ends at its timeout.
async fn ends_in_time(case: &Case, millis: u64) {
    let late = tokio::time::timeout(Duration::from_secs(3), exchange(&case.user, &hurried(case, millis))).await.expect("it hangs");
    assert_eq!(kind(&late), Some(FailureKind::Timeout), "{late:?}");
    let limit = Duration::from_millis(millis);
    assert!(
        late.timings.total >= limit && late.timings.total < limit * 2 + Duration::from_millis(200),
        "{:?} of {millis} ms",
        late.timings
    );
}

#[test]
fn each_request_ends_at_its_timeout_whatever_came_before_it_and_beside_it() {
    // It says something now and then, so that the connection stays.
    let case = Case::new(|_, peer| {
        peer.settings(&[]);
        while peer.request().is_some() {
            peer.settings(&[]);
        }
    });
    run(async {
        for pause in [0, 30, 0, 60] {
            ends_in_time(&case, 100).await;
            // Long enough for the connection's task to have looked.
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        ends_in_time(&case, 250).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        ends_in_time(&case, 50).await;
        assert_eq!(case.server.connections(), 1);
    });
}

#[test]
fn those_that_wait_for_a_stream_end_at_their_timeouts_as_well() {
    for streams in [1, 2] {
        let case = Case::new(move |_, peer| {
            peer.settings(&[(3, streams)]);
            keep_silent(peer);
        });
        run(async {
            let request = hurried(&case, 150);
            let all = (0..10).map(|_| Box::pin(exchange(&case.user, &request))).collect();
            let all = tokio::time::timeout(Duration::from_secs(3), futures_in_order(all)).await.expect("some hang");
            assert!(all.iter().all(|late| kind(late) == Some(FailureKind::Timeout)), "{all:?}");
        });
    }
}

#[test]
fn a_connection_on_which_nothing_comes_is_left_for_another_one() {
    let case = Case::new(|number, peer| {
        if number == 0 {
            peer.settings(&[]);
            let first = peer.request().unwrap();
            peer.ok(first);
            keep_silent(peer);
        } else {
            peer.settings(&[]);
            peer.serve();
        }
    });
    run(async {
        assert_eq!(exchange(&case.user, &case.post()).await.status, 200);
        ends_in_time(&case, 100).await;
        assert_eq!(summary(&exchange(&case.user, &case.post()).await), (200, None, "", 0));
        assert_eq!(case.server.connections(), 2);
    });
}

#[test]
fn two_hundred_requests_at_once_are_as_many_streams_where_the_server_allows_them() {
    let case = Case::new(|_, peer| {
        peer.settings(&[]);
        let first = peer.request().unwrap();
        peer.ok(first);
        let all: Vec<u32> = (0..200).map_while(|_| peer.request()).collect();
        all.into_iter().for_each(|stream| peer.ok(stream));
        peer.serve();
    });
    run(async {
        assert_eq!(exchange(&case.user, &case.post()).await.status, 200);
        let request = Request { timeout: Duration::from_secs(5), ..case.post() };
        let all = futures_in_order((0..200).map(|_| Box::pin(exchange(&case.user, &request))).collect()).await;
        assert!(all.iter().all(|one| one.status == 200), "{all:?}");
    });
}

#[test]
fn what_only_waited_for_a_stream_was_not_sent_again() {
    let case = Case::new(|number, peer| {
        peer.settings(&[(3, 1)]);
        let Some(first) = peer.request() else { return };
        if number == 0 {
            peer.go_away(first, 0);
            peer.ok(first);
        } else {
            peer.ok(first);
            peer.serve();
        }
    });
    run(async {
        let request = Request { timeout: Duration::from_secs(5), ..case.post() };
        let all = futures_in_order((0..5).map(|_| Box::pin(exchange(&case.user, &request))).collect()).await;
        assert!(all.iter().all(|one| summary(one) == (200, None, "", 0)), "{all:?}");
    });
}

#[test]
fn a_connection_that_ends_in_an_error_ends_its_requests_with_the_servers_word() {
    for closes in [false, true] {
        let (case, late) = first_answered_by(move |peer, stream| {
            peer.go_away(stream, 11);
            if !closes {
                keep_silent(peer);
            }
        });
        let text = format!("connection ended by {}: GOAWAY ENHANCE_YOUR_CALM", case.server.address);
        assert_eq!(summary(&late), (0, Some(FailureKind::Reset), text.as_str(), 0), "closes: {closes}");
        assert!(late.timings.total < Duration::from_millis(500), "{:?}", late.timings);
    }
}
