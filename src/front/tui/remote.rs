//! Feeds a screen from a master afar, over its API: the stream of snapshots, the log, and what is wished. Finds the master again by
//! itself, and knows what it says only by the JSON of `snapshot_json`.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::feed::{Ask, Event, Feed, FeedEnd, Order};
use super::sse::SseReader;
use crate::front::client::{ClientError, MasterClient};
use crate::front::snapshot_json::{AcceptedJson, EntryDetailJson, HistoryJson, LogsJson, OrderJson, SnapshotJson};

/// A feed from this master, served by tasks of the current runtime.
#[must_use]
pub fn follow_master(master: MasterClient) -> Feed {
    let (feed, end) = Feed::new();
    drop(tokio::spawn(serve(Remote { master }, end)));
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

struct Remote {
    master: MasterClient,
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
        let words = |error: ClientError| error.to_string();
        let mut response = self.master.open("events").await.map_err(words)?;
        let mut reader = SseReader::default();
        loop {
            // The master says something every few seconds, be it a comment.
            let piece = self.master.piece(&mut response, SILENCE).await.map_err(words)?;
            let piece = piece.ok_or("the master has ended")?;
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
            let answer: Result<LogsJson, ClientError> = self.get(&format!("logs?after={after}&limit={LOG_LINES}")).await;
            let pause = if answer.is_ok() { LOG_PAUSE } else { PAUSE_MOST };
            let lines = answer.map(|answer| answer.lines).unwrap_or_default();
            if let Some(newest) = lines.last().map(|line| line.number) {
                after = newest;
                if events.send(Event::Logs(lines)).await.is_err() {
                    return;
                }
            }
            sleep(pause).await;
        }
    }

    async fn answer(&self, ask: Ask) -> Option<Event> {
        let order = |order: Order| {
            let Order { users, rate, profile, spawn_rate, run_time, host, script } = order;
            OrderJson { users, rate, profile, spawn_rate, run_time, host, script, ..OrderJson::default() }
        };
        let answered = |answer: Result<AcceptedJson, ClientError>| {
            let said = |accepted: AcceptedJson| if accepted.message.is_empty() { "done".to_owned() } else { accepted.message };
            Some(Event::Answered(answer.map(said).map_err(|error| error.to_string())))
        };
        let act = async |what| answered(self.master.act(what).await.map(|(accepted, _)| accepted));
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
            Ask::Start(wanted) => answered(self.master.start(&order(wanted)).await),
            Ask::Retarget(wanted) => answered(self.master.retarget(&order(wanted)).await),
            Ask::Stop => act("stop").await,
            Ask::Pause => act("pause").await,
            Ask::Resume => act("resume").await,
            Ask::Reset => act("reset").await,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.master.get(path).await.map(|(answer, _)| answer)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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
