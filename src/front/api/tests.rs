//! The API as its clients see it: raw bytes over real sockets, in front of a master that is played.

mod door;
mod hosts;
mod v1;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Access, ApiContext, ApiServer, Limits};
use crate::cluster::handle::{Accepted, Command, MasterHandle};
use crate::cluster::logs::LogFeed;
use crate::cluster::message::LogLine;
use crate::cluster::planner::{Declined, Planned, Planner, ScriptView};
use crate::front::tests::busy_snapshot;
use crate::plan::{RunId, StartOrder};
use crate::stats::snapshot::{ClassShare, Snapshot, TaskShare, WorkerView};

/// The API and the master that it is in front of.
struct Stage {
    server: ApiServer,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// What the master was asked, and by whom.
    asked: Arc<Mutex<Vec<(Command, String)>>>,
    logs: LogFeed,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {}, |_| Ok(accepted()))
    }

    fn with(set: impl Fn(&mut ApiContext), answer: impl Fn(&Command) -> Result<Accepted, Declined> + Send + 'static) -> Self {
        Self::at("127.0.0.1:0", set, answer)
    }

    fn at(address: &str, set: impl Fn(&mut ApiContext), answer: impl Fn(&Command) -> Result<Accepted, Declined> + Send + 'static) -> Self {
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let logs = LogFeed::default();
        let (handle, mut inbox) = MasterHandle::new(snapshots, Arc::new(OneScript), logs.clone());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Some(request) = inbox.recv().await {
                let result = answer(&request.command);
                heard.lock().unwrap().push((request.command, request.by));
                match result {
                    Err(declined) if declined.reason == SILENCE => unanswered.push(request.reply),
                    result => drop(request.reply.send(result)),
                }
            }
        });
        let mut context = ApiContext {
            workers_port: None,
            kept_reports: None,
            handle,
            version: "9.9.9".to_owned(),
            path_prefix: "/locust".to_owned(),
            hosts: vec!["http://shop.example".to_owned()],
            read_rate: |text| text.parse().map(crate::plan::Rate::per_second).map_err(|_| format!("`{text}` is not a rate")),
            read_run_time: |text| {
                text.trim_end_matches('s').parse().map(Duration::from_secs).map_err(|_| format!("`{text}` is not a duration"))
            },
            access: Access { names: vec!["a".to_owned()], ..Access::default() },
            limits: Limits { arrival: Duration::from_millis(300), idle: Duration::from_millis(600), ..Limits::default() },
        };
        set(&mut context);
        Self { server: ApiServer::start(address.parse().unwrap(), context).unwrap(), snapshots: publish, asked, logs }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new([127, 0, 0, 1].into(), self.server.address().port())
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await
    }

    async fn post(&self, path: &str, kind: &str, body: &str) -> Reply {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// One request on a connection of its own, and all that comes back.
    async fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        Reply::read(&mut stream).await
    }

    fn orders(&self) -> Vec<StartOrder> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter_map(|(command, _)| if let Command::Start(order) = command { Some(order.clone()) } else { None }).collect()
    }

    fn commands(&self) -> Vec<Command> {
        self.asked.lock().unwrap().iter().map(|(command, _)| command.clone()).collect()
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    /// Status line and headers, in lower case.
    head: String,
    body: String,
}

impl Reply {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Whether it is a problem document of this status.
    fn is_problem(&self, status: u16) -> bool {
        self.status == status && self.head.contains("application/problem+json") && self.json()["status"] == json!(status)
    }
}

fn accepted() -> Accepted {
    Accepted { run: RunId(0xabc), host: Some("http://shop.example".to_owned()), words: "4 users at 4/s".to_owned() }
}

/// The reason with which the played master gives no answer at all.
const SILENCE: &str = "silence";

const FORM: &str = "application/x-www-form-urlencoded";

/// What `curl -F` sends.
fn multipart(fields: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    body + "--XX--\r\n"
}

#[tokio::test]
async fn the_walk_through_gets_its_replies_to_the_byte() {
    let stage = Stage::new();
    let reply = stage.post("/swarm", "multipart/form-data; boundary=XX", &multipart(&[("locust_count", "4"), ("hatch_rate", "4")])).await;
    assert_eq!((reply.status, &*reply.body), (200, "{\"success\": true, \"message\": \"Swarming started\"}"));
    assert!(reply.head.contains("\r\ncontent-type: application/json\r\n") && reply.head.contains("\r\ncache-control: no-store"));
    let reply = stage.get("/stop").await;
    assert_eq!((reply.status, &*reply.body), (200, "{\"success\": true, \"message\": \"Test stopped\"}"));
    let start = StartOrder { users: Some(4), spawn_rate: Some(4.0), ..StartOrder::default() };
    assert_eq!(stage.commands(), [Command::Start(start), Command::Stop]);
    assert!(stage.asked.lock().unwrap().iter().all(|(_, by)| by.starts_with("127.0.0.1:")));
}

#[tokio::test]
async fn a_start_comes_as_form_multipart_or_json_in_both_generations() {
    let stage = Stage::new();
    let forms = [
        (FORM, "locust_count=4&hatch_rate=0.5".to_owned(), true),
        (FORM, "user_count=4&spawn_rate=0.5&run_time=".to_owned(), false),
        ("multipart/form-data; boundary=XX", multipart(&[("user_count", "4"), ("spawn_rate", "0.5")]), false),
        ("application/json", "{\"locust_count\": 4, \"hatch_rate\": 0.5, \"host\": null}".to_owned(), true),
        ("application/json; charset=utf-8", "{\"user_count\": \"4\", \"spawn_rate\": \"0.5\"}".to_owned(), false),
    ];
    for (kind, body, is_old) in &forms {
        let reply = stage.post("/swarm", kind, body).await;
        let old = "{\"success\": true, \"message\": \"Swarming started\"}";
        let new = "{\"success\":true,\"message\":\"Swarming started\",\"host\":\"http://shop.example\",\"run\":\"0000000000000abc\",\
                   \"profile\":\"4 users at 4/s\"}";
        assert_eq!((reply.status, &*reply.body), (200, if *is_old { old } else { new }), "{kind}");
    }
    let order = StartOrder { users: Some(4), spawn_rate: Some(0.5), ..StartOrder::default() };
    assert_eq!(stage.orders(), vec![order; forms.len()]);
}

#[tokio::test]
async fn a_start_without_parameters_runs_the_scripts_own_profile() {
    let stage = Stage::new();
    let reply = stage.send("POST /swarm HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!((reply.json()["success"].clone(), reply.json()["profile"].clone()), (json!(true), json!("4 users at 4/s")));
    stage.post("/swarm", FORM, "run_time=90s&script=cart.lua&host=http%3A%2F%2Fother").await;
    let order = StartOrder {
        run_time: Some(Duration::from_secs(90)),
        script: Some("cart.lua".to_owned()),
        host: Some("http://other".to_owned()),
        ..StartOrder::default()
    };
    assert_eq!(stage.orders(), [StartOrder::default(), order]);
}

#[tokio::test]
async fn the_user_classes_of_the_script_are_taken_and_told_and_others_refused() {
    let stage = Stage::new();
    let reply = stage.post("/swarm", FORM, "user_count=4&spawn_rate=1&user_classes=Shopper").await.json();
    assert_eq!((&reply["success"], &reply["user_classes"]), (&json!(true), &json!(["Shopper"])));
    let reply = stage.post("/swarm", "application/json", r#"{"user_count": 4, "user_classes": ["Shopper", "Buyer"]}"#).await.json();
    assert_eq!(reply["success"], json!(false));
    assert!(reply["message"].as_str().unwrap().starts_with("user_classes: "), "{reply}");
    assert_eq!(stage.orders().len(), 1);
}

#[tokio::test]
async fn a_label_of_locusts_is_not_passed_over_in_silence() {
    let stage = Stage::new();
    let reply = stage.post("/swarm", FORM, "user_count=4&spawn_rate=1&profile=nightly").await.json();
    assert_eq!((&reply["success"], &reply["message"]), (&json!(true), &json!("Swarming started")));
    assert!(reply["warning"].as_str().unwrap().starts_with("profile: Locust's label of a run is kept nowhere"), "{reply}");
    let old = stage.post("/swarm", FORM, "locust_count=4&hatch_rate=1&profile=nightly").await;
    assert!(old.body.starts_with("{\"success\": true, \"message\": \"Swarming started\", \"warning\": \"profile: "), "{old:?}");
    assert!(old.json()["warning"].is_string());
    // An empty field of a page asks for nothing.
    let reply = stage.post("/swarm", FORM, "user_count=4&spawn_rate=1&profile=%20&shape_class=Default").await.json();
    assert_eq!((&reply["success"], reply.get("warning")), (&json!(true), None));
    assert_eq!(stage.orders().len(), 3);
}

#[tokio::test]
async fn a_bad_parameter_is_a_refusal_that_names_it_and_starts_nothing() {
    let stage = Stage::new();
    for (field, value) in [("user_count", "x"), ("spawn_rate", "0"), ("run_time", "soon"), ("host", "shop"), ("user_cout", "1")] {
        let reply = stage.post("/swarm", FORM, &format!("{field}={value}")).await;
        assert_eq!((reply.status, &reply.json()["success"]), (200, &json!(false)));
        assert!(reply.json()["message"].as_str().unwrap().starts_with(&format!("{field}: ")), "{reply:?}");
    }
    let reply = stage.post("/swarm", FORM, "locust_count=x").await;
    assert_eq!(reply.body, "{\"success\": false, \"message\": \"locust_count: `x` is not a whole number\"}");
    assert!(stage.commands().is_empty());
}

#[tokio::test]
async fn what_the_master_declines_is_told_with_its_reason() {
    let stage = Stage::with(|_| {}, |_| Err(Declined { reason: "no worker is \"connected\"".to_owned() }));
    let old = stage.post("/swarm", FORM, "locust_count=1&hatch_rate=1").await;
    assert_eq!(old.body, "{\"success\": false, \"message\": \"no worker is \\\"connected\\\"\"}");
    let new = stage.post("/swarm", FORM, "user_count=1").await;
    assert_eq!((new.status, &*new.body), (200, "{\"success\":false,\"message\":\"no worker is \\\"connected\\\"\",\"host\":null}"));
    assert!(stage.get("/stats/reset").await.is_problem(409));
}

#[tokio::test]
async fn a_master_that_does_not_answer_is_not_waited_for_for_ever() {
    let stage = Stage::with(|context| context.limits.action = Duration::from_millis(50), |_| Err(Declined { reason: SILENCE.to_owned() }));
    let reply = stage.get("/stop").await.json();
    assert_eq!(reply["success"], json!(false));
    assert!(reply["message"].as_str().unwrap().starts_with("the master has not answered"), "{reply}");
}

#[tokio::test]
async fn every_route_answers_under_the_prefix_without_it_and_with_odd_slashes() {
    let stage = Stage::new();
    stage.snapshots.send_replace(Arc::new(Snapshot { workers: vec![WorkerView::default()], ..busy_snapshot() }));
    let starts = [
        ("/stats/requests", "{\"state\":\"running\""),
        ("/stats/requests/csv", "Type,Name,Request Count,"),
        ("/stats/distribution/csv", "Name,# requests,50%,66%,75%,80%,90%,95%,98%,99%,100%\r\nGET /cart,100,0.42,"),
        ("/stats/failures/csv", "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n"),
        ("/exceptions", "{\"exceptions\":[{\"count\":3,\"msg\":\"shop.lua:3: attempt to index nil\",\"traceback\":\"stack"),
        ("/stats/requests_full_history/csv", "Timestamp,User Count,Type,Name,"),
        ("/exceptions/csv", "Count,Message,Traceback,Nodes\r\n"),
        ("/worker-count", "{\"worker_count\":1}"),
        ("/healthz", "ok"),
        ("/readyz", "ok"),
        ("/metrics", "# HELP lunamoth_run_info "),
        ("/api/v1", "{\"program\":\"lunamoth\","),
        ("/api/v1/snapshot", "{\"version\":\""),
        ("/stats/reset", "ok"),
        ("/", "<!doctype html>"),
    ];
    for (route, start) in starts {
        for path in [route.to_owned(), format!("/locust{route}"), format!("//locust/{route}/")] {
            let reply = stage.get(&path).await;
            assert!(reply.status == 200 && reply.body.starts_with(start), "{path}: {reply:?}");
        }
    }
    assert_eq!(stage.commands(), [Command::Reset, Command::Reset, Command::Reset]);
    let page = stage.get("/locust").await;
    assert!(page.status == 308 && page.head.contains("\r\nlocation: locust/\r\n"), "{page:?}");
}

#[tokio::test]
async fn the_server_works_without_a_prefix_and_for_http2() {
    let stage = Stage::with(|context| context.path_prefix.clear(), |_| Ok(accepted()));
    assert_eq!(stage.get("//worker-count/").await.body, "{\"worker_count\":0}");
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    // The preface and empty SETTINGS; the server answers with its own.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "the first frame is SETTINGS");
}

#[tokio::test]
async fn tasks_are_the_default_scripts_until_there_is_a_run() {
    let stage = Stage::new();
    assert_eq!(stage.get("/api/v1/scripts").await.json()["scripts"][0]["is_default"], json!(true));
    let told = stage.get("/tasks").await.json();
    assert_eq!(told["total"], json!({ "Shopper": { "ratio": 1.0, "tasks": { "browse": { "ratio": 1.0 } } } }));
    let classes = vec![ClassShare { name: "Other".into(), ratio: 1.0, ..ClassShare::default() }];
    stage.snapshots.send_replace(Arc::new(Snapshot { classes, ..Snapshot::default() }));
    assert_eq!(stage.get("/tasks").await.json()["per_class"], json!({ "Other": { "ratio": 1.0, "tasks": {} } }));
}

#[tokio::test]
async fn the_log_is_told_by_process_in_the_consoles_format() {
    let stage = Stage::new();
    stage.logs.add_own(log::Level::Info, "lunamoth::main", "hello\u{1b}[2J".into());
    let wall = std::time::SystemTime::now();
    stage.logs.add("node_0a", LogLine { wall, level: log::Level::Warn, target: "script".into(), text: "no stock".into() });
    let own = stage.get("/api/v1/logs?after=1").await.json();
    assert_eq!(
        (&own["lines"][0]["number"], &own["lines"][0]["source"], &own["lines"][0]["text"]),
        (&json!(2), &json!("node_0a"), &json!("no stock"))
    );
    assert_eq!(stage.get("/api/v1/logs?limit=1").await.json()["lines"].as_array().unwrap().len(), 1);
    assert_eq!(stage.get("/api/v1/logs?limit=0").await.status, 400);
    let told = stage.get("/logs").await.json();
    let line = told["master"][0].as_str().unwrap();
    assert!(line.ends_with("/INFO/lunamoth.main: hello\\u{1b}[2J"), "{line}");
    let line = told["workers"]["node_0a"][0].as_str().unwrap();
    assert!(line.ends_with("] node/WARNING/script: no stock"), "{line}");
}

/// Has one script, and plans nothing.
struct OneScript;

impl Planner for OneScript {
    fn plan(&self, _order: &StartOrder) -> Result<Planned, String> {
        Err("the master is played".into())
    }

    fn scripts(&self) -> Vec<ScriptView> {
        let tasks = vec![TaskShare { name: "browse".into(), ratio: 1.0 }];
        let classes = vec![ClassShare { name: "Shopper".into(), ratio: 1.0, tasks, ..ClassShare::default() }];
        let shop = ScriptView {
            name: "shop.lua".into(),
            is_default: true,
            fingerprint: Some("0a".into()),
            host: Some("http://changed.example".into()),
            classes,
            ..ScriptView::default()
        };
        let broken = ScriptView { name: "broken.lua".into(), error: Some("broken.lua:1: '=' expected".into()), ..ScriptView::default() };
        vec![shop, broken]
    }
}

#[tokio::test]
async fn a_document_shows_the_newest_snapshot() {
    let stage = Stage::new();
    stage.snapshots.send_replace(Arc::new(busy_snapshot()));
    let first = stage.get("/stats/requests").await;
    assert_eq!(stage.get("/stats/requests").await.body, first.body);
    let old = stage.get("/stats/requests?generation=0.8&_=1").await.json();
    assert_eq!(old["stats"].as_array().unwrap().last().unwrap()["name"], json!("Total"));
    stage.snapshots.send_replace(Arc::new(Snapshot { users: 77, ..busy_snapshot() }));
    assert_eq!(stage.get("/stats/requests").await.json()["user_count"], json!(77));
    assert!(stage.get("/stats/requests?generation=3").await.is_problem(400));
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_say_so() {
    let stage = Stage::new();
    assert!(stage.get("/swarms").await.is_problem(404));
    let reply = stage.get("/swarm").await;
    assert!(reply.is_problem(405) && reply.head.contains("\r\nallow: post\r\n"), "{reply:?}");
    assert!(stage.post("/stats/requests", FORM, "").await.is_problem(405));
    let reply = stage.send("HEAD /stop HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(reply.status == 405 && reply.head.contains("\r\nallow: get,post\r\n"), "{reply:?}");
    assert!(stage.commands().is_empty());
}

#[tokio::test]
async fn other_sites_and_prefetches_change_nothing() {
    let stage = Stage::new();
    for line in ["sec-fetch-site: cross-site", "origin: http://evil.example", "referer: http://evil.example/", "purpose: prefetch"] {
        for route in ["GET /stop", "POST /stop", "POST /swarm", "GET /stats/reset", "POST /locust/swarm"] {
            let reply =
                stage.send(&format!("{route} HTTP/1.1\r\nhost: a\r\n{line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")).await;
            assert!(reply.is_problem(403), "{route} {line}: {reply:?}");
        }
    }
    assert!(stage.commands().is_empty());
    let own = "POST /stop HTTP/1.1\r\nhost: a:8089\r\norigin: http://a:8089\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(stage.send(own).await.status, 200);
}

#[tokio::test]
async fn bad_bodies_get_a_clear_answer() {
    let stage = Stage::with(|context| context.limits.body_bytes = 1_000, |_| Ok(accepted()));
    assert!(stage.post("/swarm", FORM, &"x".repeat(1_001)).await.is_problem(413));
    let head = "POST /swarm HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let chunked = format!("{head}content-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1_001));
    assert!(stage.send(&chunked).await.is_problem(413));
    // Announced, and never sent.
    assert!(stage.send(&format!("{head}content-length: 1000000000\r\n\r\n")).await.is_problem(413));
    assert!(stage.send(&format!("{head}content-type: {FORM}\r\ncontent-length: 10\r\n\r\nuser")).await.is_problem(408));
    assert!(stage.post("/swarm", "multipart/form-data; boundary=XX", "--XX\r\ncontent-disposition: form-da").await.is_problem(400));
    assert!(stage.post("/swarm", "multipart/form-data", "--XX--").await.is_problem(400));
    assert!(stage.post("/swarm", "application/json", "{\"user_count\": ").await.is_problem(400));
    assert!(stage.post("/swarm", "application/json", "[1]").await.is_problem(400));
    let nested = stage.post("/swarm", "application/json", "{\"user_count\": {}}").await;
    assert!(nested.is_problem(400) && nested.json()["detail"].as_str().unwrap().starts_with("user_count: "));
    assert!(stage.post("/swarm", "text/plain", "user_count=1").await.is_problem(415));
    assert!(stage.commands().is_empty());
}

#[tokio::test]
async fn slow_and_silent_clients_are_dropped() {
    let stage = Stage::new();
    let mut silent = TcpStream::connect(stage.address()).await.unwrap();
    let mut slow = TcpStream::connect(stage.address()).await.unwrap();
    let mut stalled = TcpStream::connect(stage.address()).await.unwrap();
    stalled.write_all(b"PRI").await.unwrap();
    let drip = async {
        slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        // Each line comes well within both limits; together they do not.
        while slow.write_all(b"x-a: b\r\n").await.is_ok() {
            let mut byte = [0];
            if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(Duration::from_millis(20), slow.read(&mut byte)).await {
                return;
            }
        }
    };
    let all = async {
        drip.await;
        for stream in [&mut silent, &mut stalled] {
            assert!(matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)));
        }
    };
    tokio::time::timeout(Duration::from_secs(5), all).await.unwrap();
    assert_eq!(stage.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_kept_connection_outlives_the_arrival_limit_between_requests() {
    let stage = Stage::with(|context| context.limits.idle = Duration::from_secs(10), |_| Ok(accepted()));
    let mut stream = TcpStream::connect(stage.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
    tokio::time::sleep(Duration::from_millis(400)).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(Reply::read(&mut stream).await.body, "ok");
}

#[tokio::test]
async fn a_master_that_is_gone_is_not_ready() {
    let Stage { server, snapshots, asked, logs } = Stage::new();
    drop(snapshots);
    let (unused, _) = watch::channel(Arc::new(Snapshot::default()));
    let stage = Stage { server, snapshots: unused, asked, logs };
    assert!(stage.get("/readyz").await.is_problem(503));
    assert_eq!(stage.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_end_closes_kept_connections_and_the_port() {
    let stage = Stage::new();
    let address = stage.address();
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(kept.read(&mut [0; 1_024]).await.unwrap() > 0);
    stage.server.stop().await;
    assert_eq!(kept.read(&mut [0; 64]).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
