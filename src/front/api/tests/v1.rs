//! `/api/v1`, its description and its stream of events, over real sockets.

use super::*;
use crate::front::api::routes::routes;
use crate::front::report::KEPT_JSON;
use crate::front::snapshot_json::{EntryDetailJson, LogLineJson, LogsJson, ScriptsJson, SnapshotJson};
use crate::plan::Purpose;
use crate::stats::snapshot::RunState;

const JSON: &str = "application/json";

/// A stream of events as one client reads it.
struct Listener {
    stream: TcpStream,
    text: String,
    /// Of a stream that is packed, everything.
    packed: Vec<u8>,
}

impl Listener {
    async fn new(stage: &Stage) -> Self {
        let mut stream = TcpStream::connect(stage.address()).await.unwrap();
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        Self { stream, text: String::new(), packed: Vec::new() }
    }

    /// A browser's stream, as it comes; `text` stays empty.
    async fn packed(stage: &Stage) -> Self {
        let mut stream = TcpStream::connect(stage.address()).await.unwrap();
        // HTTP/1.0 has no chunks, so that the body is all that follows the head.
        stream.write_all(b"GET /api/v1/events HTTP/1.0\r\naccept-encoding: gzip, deflate\r\n\r\n").await.unwrap();
        Self { stream, text: String::new(), packed: Vec::new() }
    }

    /// The head, and what has come out of the body once `enough` is true of that.
    async fn unpack_until(&mut self, enough: impl Fn(&str) -> bool) -> (String, String) {
        let reading = async {
            let all = &mut self.packed;
            loop {
                let length = self.stream.read_buf(all).await.unwrap();
                assert!(length > 0, "the stream ended");
                let Some(head) = all.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
                let (mut text, mut piece) = (Vec::new(), [0; 4_096]);
                let mut decoder = flate2::read::GzDecoder::new(&all[head + 4..]);
                while let Ok(length @ 1..) = std::io::Read::read(&mut decoder, &mut piece) {
                    text.extend_from_slice(&piece[..length]);
                }
                let text = String::from_utf8_lossy(&text).into_owned();
                if enough(&text) {
                    return (String::from_utf8_lossy(&all[..head]).into_owned(), text);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap()
    }

    /// Reads until `enough` is true of all that came.
    async fn read_until(&mut self, enough: impl Fn(&str) -> bool) -> &str {
        let reading = async {
            while !enough(&self.text) {
                let mut bytes = [0; 16_384];
                let length = self.stream.read(&mut bytes).await.unwrap();
                assert!(length > 0, "the stream ended: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap();
        &self.text
    }
}

fn events(text: &str) -> usize {
    text.matches("event: snapshot\n").count()
}

fn running() -> Arc<Snapshot> {
    Arc::new(busy_snapshot())
}

async fn patch(stage: &Stage, body: &str) -> Reply {
    let length = body.len();
    let head = "PATCH /api/v1/run HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json";
    stage.send(&format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")).await
}

#[tokio::test]
async fn the_description_and_the_server_agree_on_every_route_and_method() {
    let stage = Stage::with(|context| context.limits.idle = Duration::from_secs(5), |_| Ok(accepted()));
    let described = stage.get("/locust/api/v1/openapi.json").await.json();
    assert_eq!(described["openapi"], json!("3.1.0"));
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.keys().eq(routes().iter().map(|route| route.path)), "each route once, in the order of the table");
    let mut names = Vec::new();
    for (path, operations) in paths {
        for method in ["get", "post", "patch", "put", "delete"] {
            let request = format!("{} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", method.to_uppercase());
            let mut stream = TcpStream::connect(stage.address()).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.unwrap();
            let status = std::str::from_utf8(&start[9..]).unwrap();
            match operations.get(method) {
                Some(operation) => {
                    assert!(operation["responses"].get(status).is_some(), "{method} {path}: {status} is not described");
                    names.push(operation["operationId"].as_str().unwrap().to_owned());
                }
                None => assert_eq!(status, "405", "{method} {path} is not described"),
            }
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "each operation has a name of its own");
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let described = Stage::new().get("/api/v1/openapi.json").await.body;
    let document: Value = serde_json::from_str(&described).unwrap();
    let references: Vec<&str> = described.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.len() > 50);
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn a_run_is_started_re_targeted_stopped_and_reset() {
    let stage = Stage::new();
    let reply = stage.post("/api/v1/run", JSON, "{\"users\":4,\"spawn_rate\":0.5,\"run_time\":90}").await;
    assert_eq!((reply.status, &reply.json()["run"], &reply.json()["message"]), (202, &json!("0000000000000abc"), &json!("4 users at 4/s")));
    assert_eq!(stage.post("/locust/api/v1/run", "", "").await.status, 202);
    assert_eq!(patch(&stage, "{\"users\":7}").await.status, 202);
    assert_eq!(stage.post("/api/v1/run/stop", "", "").await.json()["message"], json!("4 users at 4/s"));
    assert_eq!(stage.post("/api/v1/run/reset", JSON, "{}").await.status, 202);
    assert_eq!(stage.post("/api/v1/run/pause", "", "").await.status, 202);
    assert_eq!(stage.post("/api/v1/run/resume", "", "").await.status, 202);
    let new_run = StartOrder { purpose: Purpose::NewRun, ..StartOrder::default() };
    let first = StartOrder { users: Some(4), spawn_rate: Some(0.5), run_time: Some(Duration::from_secs(90)), ..new_run.clone() };
    let retarget = StartOrder { users: Some(7), purpose: Purpose::Retarget, ..StartOrder::default() };
    let starts = [first, new_run, retarget].map(Command::Start);
    assert_eq!(stage.commands(), [&starts[..], &[Command::Stop, Command::Reset, Command::Pause, Command::Resume]].concat());
    assert!(stage.asked.lock().unwrap().iter().all(|(_, by)| by.starts_with("127.0.0.1:")));
}

#[tokio::test]
async fn a_bad_order_is_a_problem_that_names_its_field_and_starts_nothing() {
    let stage = Stage::new();
    for (body, field) in
        [("{\"users\":\"4\"}", "users"), ("{\"user\":4}", "user"), ("{\"host\":4}", "host"), ("{\"run_time\":\"x\"}", "run_time")]
    {
        let reply = stage.post("/api/v1/run", JSON, body).await;
        assert!(reply.is_problem(422) && reply.json()["field"] == json!(field), "{reply:?}");
    }
    assert_eq!(patch(&stage, "{\"users\":1,\"script\":\"a\"}").await.json()["field"], json!("script"));
    assert!(stage.post("/api/v1/run", JSON, "[4]").await.is_problem(400));
    assert!(stage.post("/api/v1/run", JSON, "{").await.is_problem(400));
    assert!(stage.post("/api/v1/run", FORM, "users=4").await.is_problem(415));
    let foreign = "POST /api/v1/run HTTP/1.1\r\nhost: a\r\nsec-fetch-site: cross-site\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(stage.send(foreign).await.is_problem(403));
    assert!(stage.commands().is_empty());
}

#[tokio::test]
async fn what_the_master_declines_is_a_conflict_and_its_silence_is_none() {
    let stage = Stage::with(|_| {}, |_| Err(Declined { reason: "a run is under way".to_owned() }));
    let reply = stage.post("/api/v1/run", JSON, "{}").await;
    assert!(reply.is_problem(409) && reply.json()["detail"] == json!("a run is under way"), "{reply:?}");
    let stage = Stage::with(|context| context.limits.action = Duration::from_millis(50), |_| Err(Declined { reason: SILENCE.to_owned() }));
    assert!(stage.post("/api/v1/run/stop", "", "").await.is_problem(503));
}

#[tokio::test]
async fn parts_of_the_snapshot_stand_by_themselves() {
    let stage = Stage::new();
    assert_eq!(stage.get("/api/v1/run").await.json()["state"], json!("ready"));
    stage.snapshots.send_replace(running());
    let whole: SnapshotJson = serde_json::from_str(&stage.get("/api/v1/snapshot").await.body).unwrap();
    assert_eq!(whole, SnapshotJson::from(&busy_snapshot()));
    let run = stage.get("/api/v1/run").await.json();
    assert_eq!((&run["state"], &run["users"], &run["planned_s"]), (&json!("running"), &json!(8), &json!(60.0)));
    assert_eq!(stage.get("/api/v1").await.json(), json!({ "program": "lunamoth", "version": "9.9.9", "api": "v1" }));
    for (part, key) in [("entries", "entries"), ("errors", "errors"), ("exceptions", "exceptions"), ("history", "points")] {
        let reply = stage.get(&format!("/api/v1/{part}")).await.json();
        assert!(reply["run"] == json!("0000000000000abc") && !reply[key].as_array().unwrap().is_empty(), "{part}: {reply}");
    }
    assert_eq!(stage.get("/api/v1/workers").await.json()["workers"], json!([]));
    assert_eq!(stage.get("/api/v1/history?after_s=5").await.json()["points"], json!([]));
    let reply = stage.get("/api/v1/history?after_s=soon").await;
    assert!(reply.is_problem(400) && reply.json()["field"] == json!("after_s"));
    assert!(stage.get("/metrics").await.body.contains("\nlunamoth_users 8\n"));
}

#[tokio::test]
async fn a_report_is_of_the_run_that_was_asked_for_and_of_no_other() {
    let left = tempfile::tempdir().unwrap();
    std::fs::write(left.path().join(KEPT_JSON), r#"{"of": "another"}"#).unwrap();
    let stage = Stage::with(|context| context.kept_reports = Some(left.path().to_owned()), |_| Ok(accepted()));
    assert_eq!(stage.get("/api/v1/report").await.json()["of"], "another");
    let waiting = Snapshot { state: RunState::Waiting, ..Snapshot::default() };
    stage.snapshots.send_replace(Arc::new(waiting));
    let refused = stage.get("/api/v1/report").await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains("has not begun"), "{refused:?}");
    stage.snapshots.send_replace(running());
    assert_eq!(stage.get("/api/v1/report").await.json()["scenario"], running().scenario.as_ref());
}

#[tokio::test]
async fn an_entry_is_told_whole() {
    let stage = Stage::new();
    stage.snapshots.send_replace(running());
    let reply = stage.get("/api/v1/entries/detail?method=GET&name=%2Fcart").await;
    let detail: EntryDetailJson = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((&*detail.entry.name, detail.entry.requests, detail.entry.p50_ms), ("/cart", 100, Some(0.42)));
    assert_eq!((detail.more.distribution.len(), detail.more.percentiles.last().unwrap().ms), (1, 0.42));
    let total = stage.get("/api/v1/entries/detail").await.json();
    assert_eq!((&total["requests"], &total["phases"][0]["name"]), (&json!(201), &json!("http_req_waiting")));
    assert!(stage.get("/api/v1/entries/detail?method=GET&name=/none").await.is_problem(404));
    assert_eq!(stage.get("/api/v1/entries/detail?method=GET").await.json()["field"], json!("name"));
}

#[tokio::test]
async fn the_stream_begins_at_once_and_follows_the_run() {
    let stage = Stage::new();
    let mut listener = Listener::new(&stage).await;
    let head = listener.read_until(|text| events(text) == 1).await.to_ascii_lowercase();
    for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no", "retry: 2000"] {
        assert!(head.contains(&format!("{line}\r\n")) || head.contains(&format!("{line}\n")), "{line} is not in {head}");
    }
    stage.snapshots.send_replace(running());
    let text = listener.read_until(|text| events(text) == 2 && text.contains("\"users\":8")).await;
    let number = |text: &str| text.split("id: ").map(|rest| rest.split('\n').next().unwrap().parse().unwrap_or(0)).collect::<Vec<u64>>();
    assert!(number(text).is_sorted_by(|a, b| a < b), "{:?}", number(text));
    let data = text.rsplit("data: ").next().unwrap().split('\n').next().unwrap();
    assert_eq!(serde_json::from_str::<SnapshotJson>(data).unwrap(), SnapshotJson::from(&busy_snapshot()));
}

#[tokio::test]
async fn who_reads_gzip_gets_the_same_stream_packed() {
    let stage = Stage::new();
    let mut listener = Listener::packed(&stage).await;
    let (head, _) = listener.unpack_until(|text| events(text) == 1 && text.starts_with("retry: 2000\n\n")).await;
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-encoding: gzip\r\n") && head.contains("vary: accept-encoding\r\n"), "{head}");
    stage.snapshots.send_replace(running());
    stage.logs.add_own(log::Level::Info, "lunamoth::main", "said".into());
    let (_, text) = listener.unpack_until(|text| events(text) == 2 && text.contains("event: log\n")).await;
    let data = text.split("event: snapshot\n").skip(1).map(|event| event.split("data: ").nth(1).unwrap().split('\n').next().unwrap());
    let snapshots: Vec<SnapshotJson> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!((snapshots.len(), &snapshots[1]), (2, &SnapshotJson::from(&busy_snapshot())));
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_followed_in_the_stream() {
    let stage = Stage::new();
    let say = |text: &str| stage.logs.add_own(log::Level::Info, "lunamoth::main", text.into());
    ["one", "two\n\nevent: snapshot", "three"].into_iter().for_each(say);
    let page: LogsJson = serde_json::from_str(&stage.get("/api/v1/logs?after=1&limit=1").await.body).unwrap();
    let [line] = &page.lines[..] else { panic!("{page:?}") };
    assert_eq!((line.number, line.level.as_str(), line.source.as_str(), line.target.as_str()), (2, "info", "master", "lunamoth::main"));
    assert_eq!((page.newest, page.dropped), (3, 0));
    for (query, field) in [("after=-1", "after"), ("limit=0", "limit"), ("limit=x", "limit")] {
        let reply = stage.get(&format!("/api/v1/logs?{query}")).await;
        assert!(reply.is_problem(400) && reply.json()["field"] == json!(field), "{reply:?}");
    }
    let mut listener = Listener::new(&stage).await;
    listener.read_until(|text| events(text) == 1).await;
    ["four", "five\nevent: snapshot\n"].into_iter().for_each(say);
    let text = listener.read_until(|text| text.matches("event: log\n").count() == 2).await;
    let data = text.split("event: log\ndata: ").skip(1).map(|event| event.split('\n').next().unwrap());
    let lines: Vec<LogLineJson> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(
        lines.iter().map(|line| (line.number, line.text.as_str())).collect::<Vec<_>>(),
        [(4, "four"), (5, "five\nevent: snapshot\n")]
    );
    assert_eq!(events(text), 1);
}

#[tokio::test]
async fn scripts_are_told_with_what_is_wrong_with_them() {
    let told: ScriptsJson = serde_json::from_str(&Stage::new().get("/api/v1/scripts").await.body).unwrap();
    let [shop, broken] = &told.scripts[..] else { panic!("{told:?}") };
    assert!(shop.is_default && shop.fingerprint.is_some() && shop.error.is_none());
    assert_eq!(shop.classes, ["Shopper"]);
    assert_eq!((broken.is_default, broken.error.as_deref()), (false, Some("broken.lua:1: '=' expected")));
}

#[tokio::test]
async fn a_quiet_stream_is_kept_and_ends_in_order_with_the_server() {
    let stage = Stage::with(|context| context.limits.idle = Duration::from_millis(600), |_| Ok(accepted()));
    let mut listener = Listener::new(&stage).await;
    // Ten comments are more than three times the limit.
    listener.read_until(|text| text.matches("\n:\n\n").count() >= 10).await;
    let Stage { server, snapshots, .. } = stage;
    let stopping = tokio::spawn(server.stop());
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), listener.stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the last chunk was sent");
    stopping.await.unwrap();
    drop(snapshots);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_its_place_is_free_again() {
    let limit = |context: &mut ApiContext| {
        context.limits.connections = 2;
        context.limits.idle = Duration::from_millis(300);
    };
    let stage = Stage::with(limit, |_| Ok(accepted()));
    let mut deaf = Listener::new(&stage).await;
    deaf.read_until(|text| events(text) == 1).await;
    assert!(stage.get("/api/v1/events").await.is_problem(503), "there is one place for streams, and it is taken");
    // Several times what the kernel holds for a connection.
    let mut large = busy_snapshot();
    large.warnings = vec!["x".repeat(4 << 20)];
    let freed = async {
        loop {
            stage.snapshots.send_replace(Arc::new(large.clone()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut other = Listener::new(&stage).await;
            let mut start = [0; 12];
            if other.stream.read_exact(&mut start).await.is_ok() && &start == b"HTTP/1.1 200" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed).await.unwrap();
}

#[tokio::test]
async fn a_slow_client_gets_the_newest_and_misses_the_rest() {
    let stage = Stage::with(|context| context.limits.idle = Duration::from_secs(10), |_| Ok(accepted()));
    let mut slow = Listener::new(&stage).await;
    slow.read_until(|text| events(text) == 1).await;
    for users in 1..=200_u64 {
        let warnings = vec!["x".repeat(256 << 10)];
        stage.snapshots.send_replace(Arc::new(Snapshot { users, warnings, state: RunState::Running, ..Snapshot::default() }));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The end first: megabytes are not to be searched for each piece that comes.
    let text = slow.read_until(|text| text.ends_with("\n\n\r\n") && text.contains("\"users\":200,")).await;
    assert!(events(text) < 150, "{} events of 200 were kept for it", events(text));
}
