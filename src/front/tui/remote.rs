//! Feeds a screen from a master afar, over its API: the stream of snapshots, the log, and what is wished. Finds the master again by
//! itself, and knows what it says only by the JSON of `snapshot_json`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::feed::{Ask, Event, Feed, FeedEnd, LogEntry, Order};
use super::sse::SseReader;
use crate::front::snapshot_json::{AcceptedJson, EntryDetailJson, HistoryJson, ProblemJson, SnapshotJson};

/// Where the master is, and how it is spoken to.
#[derive(Clone)]
pub struct RemoteOptions {
    /// With the path prefix, without a slash at its end.
    pub url: String,
    /// What the master wants to hear from those who use it.
    pub token: Option<String>,
    /// Makes the client; its TLS is not this file's.
    pub client: Client,
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteOptions").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A feed from the master of `options`, served by tasks of the current runtime.
#[must_use]
pub fn follow_master(options: RemoteOptions) -> Feed {
    let (feed, end) = Feed::new();
    drop(tokio::spawn(serve(Remote { options }, end)));
    feed
}

async fn serve(remote: Remote, end: FeedEnd) {
    let FeedEnd { events, mut asks } = end;
    let stream = remote.follow(&events);
    let log = remote.follow_log(&events);
    let answer = async {
        while let Some(ask) = asks.recv().await {
            let event = remote.answer(ask).await;
            if let Some(event) = event
                && events.send(event).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = stream => {}
        () = log => {}
        () = answer => {}
    }
}

#[derive(Clone)]
struct Remote {
    options: RemoteOptions,
}

impl Remote {
    /// Keeps the stream of snapshots open, until nobody listens.
    async fn follow(&self, events: &mpsc::Sender<Event>) {
        let mut pause = PAUSE_LEAST;
        loop {
            let mut has_answered = false;
            let Err(reason) = self.stream(events, &mut has_answered).await else { return };
            if has_answered {
                pause = PAUSE_LEAST;
            }
            if events.send(Event::LinkDown(reason)).await.is_err() {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    /// Reads one stream to its end. `Ok` where nobody listens any more.
    async fn stream(&self, events: &mpsc::Sender<Event>, has_answered: &mut bool) -> Result<(), String> {
        let mut response = self.send(Method::GET, "events", None).await?;
        let mut reader = SseReader::default();
        loop {
            // The master says something every few seconds, be it a comment.
            let piece = timeout(SILENCE, response.chunk()).await.map_err(|_| format!("nothing came for {} s", SILENCE.as_secs()))?;
            let piece = piece.map_err(|error| self.words(&error))?.ok_or("the master has ended the stream")?;
            for event in reader.read(&piece).map_err(|error| error.to_string())?.into_iter().filter(|event| event.kind == "snapshot") {
                let snapshot: SnapshotJson =
                    serde_json::from_str(&event.data).map_err(|error| format!("a snapshot cannot be read: {error}"))?;
                if !*has_answered {
                    *has_answered = true;
                    if events.send(Event::LinkUp).await.is_err() {
                        return Ok(());
                    }
                }
                if events.send(Event::Snapshot(Arc::new(snapshot))).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Asks for new lines of the log, until nobody listens. A master without a log is asked rarely.
    async fn follow_log(&self, events: &mpsc::Sender<Event>) {
        let mut after = 0_u64;
        loop {
            let answer: Result<Value, String> = self.get(&format!("logs?after={after}&limit={LOG_LINES}")).await;
            let pause = if answer.is_ok() { LOG_PAUSE } else { PAUSE_MOST };
            let lines = answer.ok().and_then(|mut answer| answer.get_mut("lines").map(Value::take));
            if let Some(Value::Array(lines)) = lines
                && let Some(newest) = lines.last().and_then(|line| line.get("number")).and_then(Value::as_u64)
            {
                after = newest;
                if events.send(Event::Logs(lines.iter().map(log_entry).collect())).await.is_err() {
                    return;
                }
            }
            sleep(pause).await;
        }
    }

    async fn answer(&self, ask: Ask) -> Option<Event> {
        let order = |order: Order| {
            let Order { users, spawn_rate, run_time, host, script } = order;
            let fields = [
                ("users", users.map(Value::from)),
                ("spawn_rate", spawn_rate.map(Value::from)),
                ("run_time", run_time.map(Value::from)),
                ("host", host.map(Value::from)),
                ("script", script.map(Value::from)),
            ];
            Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
        };
        let steer = |method, path: &'static str, body| async move { Some(Event::Answered(self.steer(method, path, body).await)) };
        match ask {
            Ask::History => {
                // Without it the charts begin later; the link's state is told by the stream.
                let history: HistoryJson = self.get("history").await.ok()?;
                Some(Event::History { run: history.run, points: history.points })
            }
            Ask::Detail { method, name } => {
                let mut path = "entries/detail".to_owned();
                if !(method.is_empty() && name.is_empty()) {
                    path.push_str(&format!("?method={}&name={}", encoded(&method), encoded(&name)));
                }
                let detail: EntryDetailJson = self.get(&path).await.ok()?;
                Some(Event::Detail(Box::new(detail)))
            }
            Ask::Scripts => {
                let answer: Value = self.get("scripts").await.ok()?;
                Some(Event::Scripts(script_names(&answer)))
            }
            Ask::Start(wanted) => steer(Method::POST, "run", Some(order(wanted))).await,
            Ask::Retarget(wanted) => steer(Method::PATCH, "run", Some(order(wanted))).await,
            Ask::Stop => steer(Method::POST, "run/stop", None).await,
            Ask::Pause => steer(Method::POST, "run/pause", None).await,
            Ask::Resume => steer(Method::POST, "run/resume", None).await,
            Ask::Reset => steer(Method::POST, "run/reset", None).await,
        }
    }

    async fn steer(&self, method: Method, path: &str, body: Option<Value>) -> Result<String, String> {
        let accepted: AcceptedJson = self.read(self.send(method, path, Some(body.unwrap_or_else(|| json!({})))).await?).await?;
        Ok(if accepted.message.is_empty() { "done".to_owned() } else { accepted.message })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.read(self.send(Method::GET, path, None).await?).await
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, String> {
        let body = timeout(ANSWER, response.text()).await.map_err(|_| "the master's answer takes too long".to_owned())?;
        let body = body.map_err(|error| self.words(&error))?;
        serde_json::from_str(&body).map_err(|error| format!("the master's answer cannot be read: {error}"))
    }

    /// Sends a request; an answer that is no success is an error in its own words.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response, String> {
        let RemoteOptions { url, token, client } = &self.options;
        let mut request = client.request(method, format!("{url}/api/v1/{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = timeout(ANSWER, request.send()).await.map_err(|_| format!("`{url}` does not answer"))?;
        let response = response.map_err(|error| self.words(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = timeout(ANSWER, response.text()).await.ok().and_then(Result::ok).unwrap_or_default();
        let problem: ProblemJson = serde_json::from_str(&text).unwrap_or_default();
        Err(match status {
            StatusCode::UNAUTHORIZED if token.is_some() => format!("`{url}` does not take this token"),
            StatusCode::UNAUTHORIZED => format!("`{url}` wants a token: LUNAMOTH_WEB_TOKEN or --web-token-file"),
            _ if !problem.detail.is_empty() => problem.detail,
            StatusCode::NOT_FOUND => format!("`{url}` has no such API: is its path prefix right?"),
            status => format!("`{url}` answers {status}"),
        })
    }

    /// The innermost cause, which says most to people.
    fn words(&self, error: &reqwest::Error) -> String {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        format!("`{}`: {cause}", self.options.url)
    }
}

fn log_entry(line: &Value) -> LogEntry {
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    LogEntry {
        at_unix_ms: line.get("at_unix_ms").and_then(Value::as_u64).unwrap_or_default(),
        level: text("level"),
        source: text("source"),
        text: text("text"),
    }
}

/// The default one first.
fn script_names(answer: &Value) -> Vec<String> {
    let mut scripts: Vec<&Value> =
        answer.get("scripts").and_then(Value::as_array).map(|scripts| scripts.iter().collect()).unwrap_or_default();
    scripts.sort_by_key(|script| !script.get("is_default").and_then(Value::as_bool).unwrap_or_default());
    scripts.iter().filter_map(|script| script.get("name")?.as_str().map(str::to_owned)).collect()
}

/// For a query: everything but letters and digits as its bytes.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

const PAUSE_LEAST: Duration = Duration::from_millis(500);
const PAUSE_MOST: Duration = Duration::from_secs(10);
const LOG_PAUSE: Duration = Duration::from_secs(1);
const LOG_LINES: usize = 500;

/// Longer than two of the master's heartbeats.
const SILENCE: Duration = Duration::from_secs(40);

const ANSWER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_query() {
        assert_eq!(encoded("/cart?id=1&é"), "%2Fcart%3Fid%3D1%26%C3%A9");
    }

    #[test]
    fn the_default_script_is_offered_first() {
        let answer = json!({ "scripts": [{ "name": "a" }, { "name": "main", "is_default": true }] });
        assert_eq!(script_names(&answer), ["main", "a"]);
        assert!(script_names(&json!({})).is_empty());
    }
}
