//! A session without a socket: what comes is the same however it is cut, and garbage does no harm.

use std::rc::Rc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Session;
use crate::protocol::http::exchange::{ConnectionRules, Request};
use crate::protocol::http::http2::frame::{self, Head};
use crate::protocol::http::origin::Origin;

fn request(body: &[u8]) -> Request<'_> {
    Request {
        method: "POST",
        origin: Rc::new(Origin::parse("http://127.0.0.1:1").unwrap()),
        path: "/",
        headers: b"accept: */*\r\n",
        has_host: false,
        body: Some(body),
        asked: None,
        timeout: Duration::from_secs(1),
        body_limit: 1 << 20,
        decode: true,
        discard: false,
        ends_streams: false,
        connection: ConnectionRules::default(),
    }
}

/// A session with three requests under way, and what came of each once `pieces` have come.
fn after(pieces: &[&[u8]]) -> Vec<String> {
    let now = Instant::now();
    let mut session = Session::new();
    let body = [b'x'; 100];
    let ids: Vec<u32> = (0..3).map(|_| session.open(&request(&body), now + Duration::from_secs(1))).collect();
    for id in &ids {
        session.send(*id, &mut &body[..]);
    }
    for piece in pieces {
        session.on_bytes(piece, now);
        // Whatever came, little waits to be written, and each of our frames is whole.
        assert!(session.output().len() < 200_000);
        let half = session.output().len() / 2;
        session.on_written(half);
    }
    let told = |id: u32, session: &mut Session| {
        let (stream, ..) = session.take(id).expect("it was opened");
        format!("{:?} {} {:?} {:?}", stream.ended, stream.answer.status, stream.answer.headers, stream.answer.body.bytes())
    };
    let mut all: Vec<String> = ids.iter().map(|id| told(*id, &mut session)).collect();
    all.push(format!("{:?} {:?}", session.over(), session.gone()));
    all
}

/// One frame of a server, more or less.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![6 => 0_u8..10, 1 => any::<u8>()];
    let flags = prop_oneof![Just(0_u8), Just(1), Just(4), Just(5), Just(13), any::<u8>()];
    let stream = prop_oneof![Just(0_u32), Just(1), Just(3), Just(5), 0_u32..12, any::<u32>()];
    let head =
        prop_oneof![Just(b"\x88".to_vec()), Just(b"\x88\x40\x01a\x01b".to_vec()), Just(b"\xbe".to_vec()), Just(b"\x48\x03103".to_vec())];
    let payload = prop_oneof![
        head,
        Just(Vec::new()),
        Just(vec![0, 0, 0, 1]),
        Just(vec![0, 0, 0, 0, 0, 0, 0, 8]),
        Just(vec![0, 3, 0, 0, 0, 9]),
        Just(vec![0, 4, 0, 0, 0, 9]),
        Just(vec![0, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0x80, 0]),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (kind, flags, stream, payload).prop_map(|(kind, flags, stream, payload)| {
        let mut bytes = Vec::new();
        frame::write(kind, flags, stream, &payload, &mut bytes);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The state of a session hangs on what came, not on how it was cut.
    #[test]
    fn frames_mean_the_same_however_they_are_cut(frames in prop::collection::vec(frame(), 0..12), cuts in prop::collection::vec(0_usize..600, 0..6)) {
        let whole = frames.concat();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < whole.len()).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut begin = 0;
        for cut in cuts {
            pieces.push(&whole[begin..cut]);
            begin = cut;
        }
        pieces.push(&whole[begin..]);
        let expected = after(&[&whole]);
        prop_assert_eq!(&after(&pieces), &expected);
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        prop_assert_eq!(&after(&bytes), &expected);
    }

    #[test]
    fn garbage_ends_a_session_or_is_passed_over(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        after(&pieces);
    }
}

#[test]
fn a_greeting_and_a_request_are_whole_frames() {
    let mut session = Session::new();
    let body = [b'x'; 40_000];
    let id = session.open(&request(&body), Instant::now());
    let mut rest = &body[..];
    session.send(id, &mut rest);
    assert!(rest.is_empty(), "the first windows have room for it");
    let mut output = session.output().strip_prefix(frame::PREFACE).unwrap();
    let mut kinds = Vec::new();
    while let Some(head) = Head::read(output) {
        kinds.push((head.kind, head.flags, head.stream));
        output = &output[frame::HEAD_BYTES + head.length..];
    }
    assert!(output.is_empty());
    let expected = [
        (frame::SETTINGS, 0, 0),
        (frame::WINDOW_UPDATE, 0, 0),
        (frame::HEADERS, frame::END_HEADERS, 1),
        (frame::DATA, 0, 1),
        (frame::DATA, 0, 1),
        (frame::DATA, 1, 1),
    ];
    assert_eq!(kinds, expected);
}
