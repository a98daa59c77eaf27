//! Names are looked up as the contract says: against a name server of our own on loopback.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::protocol::http::connect;
use crate::protocol::http::dns::Names;

/// A name server that knows one name, `shop.test`, and counts the questions for its IPv4 addresses.
struct NameServer {
    address: SocketAddr,
    questions: Rc<Cell<usize>>,
}

impl NameServer {
    async fn start(addresses: &'static [[u8; 4]], ttl_seconds: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: socket.local_addr().unwrap(), questions: Rc::default() };
        let questions = Rc::clone(&server.questions);
        tokio::task::spawn_local(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, asker) = socket.recv_from(&mut buffer).await.unwrap();
                let (reply, is_ipv4) = reply_to(&buffer[..length], addresses, ttl_seconds);
                questions.set(questions.get() + usize::from(is_ipv4));
                socket.send_to(&reply, asker).await.unwrap();
            }
        });
        server
    }
}

/// RFC 1035, section 4. The answer to a question, and whether it was for IPv4 addresses.
fn reply_to(question: &[u8], addresses: &[[u8; 4]], ttl_seconds: u32) -> (Vec<u8>, bool) {
    let name_end = 12 + question[12..].iter().position(|&byte| byte == 0).unwrap() + 1;
    let is_known = question[12..name_end] == *b"\x04shop\x04test\0";
    let is_ipv4 = question[name_end..name_end + 2] == [0, 1];
    let answers = if is_known && is_ipv4 { addresses } else { &[] };
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(&question[12..name_end + 4]);
    for address in answers {
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(ttl_seconds.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(address);
    }
    (reply, is_ipv4)
}

const TWO: &[[u8; 4]] = &[[127, 0, 0, 2], [127, 0, 0, 1]];

fn first(found: Result<Vec<IpAddr>, Failure>) -> IpAddr {
    found.unwrap()[0]
}

fn local(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[test]
fn users_that_ask_at_the_same_time_share_one_look_up() {
    run(async {
        let server = NameServer::start(TWO, 60).await;
        let names = Names::with_server(server.address, false);
        let (one, two, three) = tokio::join!(names.look_up("shop.test"), names.look_up("shop.test"), names.look_up("shop.test"));
        assert_eq!([one, two, three].map(|found| found.unwrap().len()), [2, 2, 2]);
        assert_eq!(server.questions.get(), 1);
    });
}

#[test]
fn each_connection_begins_with_the_next_address_in_turn() {
    run(async {
        let server = NameServer::start(TWO, 60).await;
        let names = Names::with_server(server.address, false);
        let begin = first(names.look_up("shop.test").await);
        let other = if begin == local(1) { local(2) } else { local(1) };
        assert_eq!(first(names.look_up("shop.test").await), other);
        assert_eq!(first(names.look_up("shop.test").await), begin);
        // The turns go on when the name is asked for again.
        names.expire("shop.test");
        assert_eq!(first(names.look_up("shop.test").await), other);
        assert_eq!(server.questions.get(), 2);
    });
}

#[test]
fn an_answer_is_kept_as_long_as_the_name_server_says_within_a_second_and_five_minutes() {
    run(async {
        for (ttl_seconds, least, most) in [(0, 0, 1), (60, 50, 60), (100_000, 290, 300)] {
            let server = NameServer::start(TWO, ttl_seconds).await;
            let names = Names::with_server(server.address, false);
            names.look_up("shop.test").await.unwrap();
            let kept = names.time_to_live("shop.test");
            assert!(kept >= Duration::from_secs(least) && kept <= Duration::from_secs(most), "{ttl_seconds}: {kept:?}");
        }
    });
}

#[test]
fn with_fresh_names_each_connection_asks() {
    run(async {
        let server = NameServer::start(TWO, 60).await;
        let names = Names::with_server(server.address, true);
        names.look_up("shop.test").await.unwrap();
        names.look_up("shop.test").await.unwrap();
        assert_eq!(server.questions.get(), 2);
    });
}

#[test]
fn a_name_that_does_not_exist_is_a_dns_failure_that_is_remembered_for_a_second() {
    run(async {
        let server = NameServer::start(TWO, 60).await;
        let names = Names::with_server(server.address, false);
        let failure = names.look_up("none.test").await.unwrap_err();
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Dns, "look-up of `none.test` failed: no such name"));
        let asked = server.questions.get();
        assert!(names.look_up("none.test").await.is_err());
        assert_eq!(server.questions.get(), asked);
        assert!(names.time_to_live("none.test") <= Duration::from_secs(1));
    });
}

#[test]
fn a_dead_address_gives_way_to_the_next_one() {
    run(async {
        let server = NameServer::start(TWO, 60).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut context = Context::new(Settings::default()).unwrap();
        context.names = Names::with_server(server.address, false);
        let origin = Rc::new(Origin::parse(&format!("http://shop.test:{port}")).unwrap());
        // Whichever address the turn begins with, the one that listens is reached.
        for _ in 0..2 {
            let mut timings = Timings::default();
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            connect::open(&context, &origin, Offer::Any, deadline, &mut timings).await.unwrap();
            assert!(timings.dns.is_some() && timings.connect.is_some());
        }
        assert_eq!(server.questions.get(), 1);
    });
}
