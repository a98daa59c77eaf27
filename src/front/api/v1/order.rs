//! What the body of a start or a re-target says. Strict: a key that is not known or a value that makes no sense is an error that names it.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Number, Value, json};

use super::super::form::{Unreadable, collect};
use super::super::reply::problem_of;
use super::super::shared::Refused;
use super::super::swarm::{Rules, fingerprint, host, near};
use super::super::{Limits, reply::JSON};
use crate::plan::{Purpose, Rate, StartOrder, ThresholdPlan, duration_pattern};

/// Why a body is no order.
#[derive(Debug)]
pub(super) enum Fault {
    /// It did not come whole, or not as JSON.
    Unreadable(Unreadable),
    /// One of its keys.
    Field { name: String, detail: String },
    /// Whether it is right could not be found out.
    Unjudged(Refused),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Unjudged(refused)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Unreadable(unreadable) => unreadable.into_response(),
            Self::Field { name, detail } => problem_of(StatusCode::UNPROCESSABLE_ENTITY, Some(&name), &format!("{name}: {detail}")),
            Self::Unjudged(refused) => refused.problem(),
        }
    }
}

/// Reads the body of a request; an empty one is an empty object.
///
/// # Errors
/// The first fault found.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<Map<String, Value>, Fault> {
    let (parts, body) = request.into_parts();
    let body = collect(body, limits).await.map_err(Fault::Unreadable)?;
    let bad = |status, detail: String| Fault::Unreadable(Unreadable { status, detail });
    if body.is_empty() {
        return Ok(Map::new());
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON) {
        return Err(bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body's Content-Type is not {JSON}")));
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad(StatusCode::BAD_REQUEST, "the body is not a JSON object".to_owned())),
        Err(error) => Err(bad(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))),
    }
}

/// Understands an order. A re-target takes neither host nor script.
///
/// # Errors
/// The first fault found.
pub(super) fn understand(body: Map<String, Value>, purpose: Purpose, rules: &Rules<'_>) -> Result<StartOrder, Fault> {
    let known = known_of(purpose);
    let mut order = StartOrder { purpose, ..StartOrder::default() };
    for (name, value) in body {
        let result = match &*name {
            _ if !known.contains(&&*name) => Err(near(&name, known)),
            _ if value.is_null() => Ok(()),
            "users" => users(&value).map(|users| order.users = Some(users)),
            "spawn_rate" => spawn_rate(&value).map(|rate| order.spawn_rate = Some(rate)),
            "run_time" => run_time(&value, rules.read_run_time).map(|time| order.run_time = Some(time)),
            "rate" => rate(&value, rules.read_rate).map(|rate| order.rate = Some(rate)),
            "max_users" => users(&value).map(|users| order.max_users = Some(users)),
            "warmup" => warmup(&value, rules.read_run_time).map(|time| order.warmup = Some(time)),
            "thresholds" => thresholds(&value).map(|thresholds| order.thresholds = Some(thresholds)),
            "profile" => text(&value).map(|name| order.profile = Some(name.to_owned())),
            "host" => text(&value).and_then(|text| host(text, rules.hosts)).map(|host| order.host = Some(host)),
            "scripts_fingerprint" => text(&value).and_then(fingerprint).map(|print| order.scripts_fingerprint = Some(print)),
            "script" => text(&value).map(|text| order.script = Some(text.to_owned())),
            _ => Err(near(&name, known)),
        };
        result.map_err(|detail| Fault::Field { name, detail })?;
    }
    if purpose == Purpose::Retarget && order.users.is_none() && order.rate.is_none() {
        let detail = order.lacks().unwrap_or("a re-target needs the number of users, or a rate").to_owned();
        return Err(Fault::Field { name: "users".to_owned(), detail });
    }
    if order.rate.is_some() && (order.users.is_some() || order.spawn_rate.is_some()) {
        return Err(Fault::Field { name: "rate".to_owned(), detail: "a run has either users or a rate of iterations".to_owned() });
    }
    if order.max_users.is_some() && order.rate.is_none() {
        return Err(Fault::Field { name: "max_users".to_owned(), detail: "only a rate has a use for it".to_owned() });
    }
    Ok(order)
}

/// The schema of the body.
pub(super) fn schema(purpose: Purpose) -> Value {
    let mut properties = json!({
        "users": { "type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX, "description": "How many users. Without it a start runs \
            the script's own profile." },
        "spawn_rate": { "type": ["number", "null"], "exclusiveMinimum": 0, "maximum": SPAWN_RATE_MAX, "description": "Users that start per second; without it the master's setting, or, in a re-target, the rate that the run has." },
        "run_time": {
            "oneOf": [
                { "type": "string", "pattern": duration_pattern() },
                { "type": "number", "exclusiveMinimum": 0, "maximum": 3_200_000_000_u32 },
                { "type": "null" },
            ],
            "description": "Such as 1m30s, or seconds, longer than zero; from the start of the ramp.",
        },
        "rate": {
            "oneOf": [
                { "type": "string", "minLength": 1 },
                { "type": "number", "exclusiveMinimum": 0 },
                { "type": "null" },
            ],
            "description": "Iterations that are due, whether or not a user is free, in place of users: 500 (per second), 30/m, 100/h.",
        },
        "max_users": { "type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX, "description": "With a rate: at most so many users in the \
            whole cluster; without it 10,000 for each worker." },
        "warmup": {
            "oneOf": [
                { "type": "string", "pattern": duration_pattern() },
                { "type": "integer", "minimum": 0, "maximum": 3_200_000_000_u32 },
                { "type": "null" },
            ],
            "description": "What is measured in it counts in no total and no threshold: whole seconds. Without it the master's setting, or the script's.",
        },
        "thresholds": {
            "type": ["object", "null"],
            "additionalProperties": { "type": "array", "items": { "type": "string", "minLength": 1 } },
            "description": "What the run is judged by, in place of the script's thresholds: conditions by metric, such as \
                {\"http_req_duration\": [\"p(99) < 200ms\"]}.",
        },
        "profile": { "type": ["string", "null"], "minLength": 1, "description": "Of a run of several load profiles: whose level it shall be." },
        "host": { "type": ["string", "null"], "pattern": "^https?://", "description": "The base URL. Through an address that others can reach, \
            only one that was allowed." },
        "script": { "type": ["string", "null"], "minLength": 1, "description": "The script's name in the master's folder." },
        "scripts_fingerprint": { "type": ["string", "null"], "pattern": "^[0-9a-fA-F]{12,64}$", "description": "The beginning of the \
            fingerprint that the scripts on the master and all workers must have; the start waits for it." },
    });
    if let Some(properties) = properties.as_object_mut() {
        properties.retain(|name, _| known_of(purpose).contains(&&**name));
    }
    json!({ "type": "object", "properties": properties, "required": [], "additionalProperties": false })
}

fn users(value: &Value) -> Result<u32, String> {
    let number = number(value, "a whole number")?;
    // 4.0 is whole, too.
    let whole =
        number.as_u64().or_else(|| number.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0).map(|number| number as u64));
    match whole.map(u32::try_from) {
        Some(Ok(0)) => Err("is 0; api/v1/run/stop ends a run".to_owned()),
        Some(Ok(users)) => Ok(users),
        Some(Err(_)) => Err(format!("{number} is more than {}", u32::MAX)),
        None => Err(format!("{number} is not a whole number of users")),
    }
}

fn spawn_rate(value: &Value) -> Result<f64, String> {
    let number = number(value, "a number of users per second")?;
    let rate = number.as_f64().filter(|rate| *rate > 0.0 && *rate <= SPAWN_RATE_MAX);
    rate.ok_or_else(|| format!("{number} is not above zero and up to {SPAWN_RATE_MAX}"))
}

fn run_time(value: &Value, read: fn(&str) -> Result<Duration, String>) -> Result<Duration, String> {
    let duration = match value {
        Value::String(text) => read(text)?,
        Value::Number(seconds) => read(&seconds.to_string())?,
        other => return Err(format!("{} is neither a duration such as \"1m30s\" nor a number of seconds", kind(other))),
    };
    if duration.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(duration) }
}

/// No warm-up is one, too.
fn warmup(value: &Value, read: fn(&str) -> Result<Duration, String>) -> Result<Duration, String> {
    let duration = match value {
        Value::String(text) => read(text)?,
        Value::Number(seconds) => read(&seconds.to_string())?,
        other => return Err(format!("{} is neither a duration such as \"30s\" nor a number of seconds", kind(other))),
    };
    if duration.subsec_nanos() == 0 { Ok(duration) } else { Err("whole seconds are needed, such as \"30s\"".to_owned()) }
}

/// As a script writes them; what they mean is the planner's to say.
fn thresholds(value: &Value) -> Result<Vec<ThresholdPlan>, String> {
    let wanted = "an object such as {\"http_req_duration\": [\"p(99) < 200ms\"]}";
    let Value::Object(metrics) = value else { return Err(format!("{} is not {wanted}", kind(value))) };
    let mut thresholds = Vec::new();
    for (metric, conditions) in metrics {
        let Value::Array(conditions) = conditions else {
            return Err(format!("`{metric}`: {} is not a list of conditions: {wanted} is needed", kind(conditions)));
        };
        for condition in conditions {
            let condition = text(condition).map_err(|why| format!("`{metric}`: {why}"))?.to_owned();
            thresholds.push(ThresholdPlan { metric: metric.clone(), condition });
        }
    }
    Ok(thresholds)
}

fn number<'a>(value: &'a Value, wanted: &str) -> Result<&'a Number, String> {
    if let Value::Number(number) = value { Ok(number) } else { Err(format!("{} is not {wanted}", kind(value))) }
}

fn text(value: &Value) -> Result<&str, String> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) => Err("is empty".to_owned()),
        None => Err(format!("{} is not a string", kind(value))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn rate(value: &Value, read: fn(&str) -> Result<Rate, String>) -> Result<Rate, String> {
    match value {
        Value::String(text) => read(text),
        Value::Number(per_second) => read(&per_second.to_string()),
        other => Err(format!("{} is neither a rate such as \"30/m\" nor a number per second", kind(other))),
    }
}

const fn known_of(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Retarget | Purpose::Steer => &["users", "rate", "spawn_rate", "run_time", "profile"],
        Purpose::Any | Purpose::NewRun => {
            &["users", "rate", "spawn_rate", "max_users", "run_time", "warmup", "thresholds", "host", "script", "scripts_fingerprint"]
        }
    }
}

const SPAWN_RATE_MAX: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(body: Value, purpose: Purpose) -> Result<StartOrder, (String, String)> {
        let read_run_time = |text: &str| text.parse().map(Duration::from_secs_f64).map_err(|_| format!("`{text}` is not a duration"));
        let read_rate = |text: &str| Err(format!("`{text}` is for /swarm"));
        let rules = Rules { hosts: Some(&["http://shop.example"]), read_run_time, read_rate };
        let Value::Object(body) = body else { panic!("no object") };
        understand(body, purpose, &rules).map_err(|fault| match fault {
            Fault::Field { name, detail } => (name, detail),
            fault => panic!("{fault:?}"),
        })
    }

    #[test]
    fn an_order_says_what_shall_start() {
        let body = json!({ "users": 4.0, "spawn_rate": 0.5, "run_time": 1.5, "host": "http://shop.example/", "script": null,
            "scripts_fingerprint": "0123456789AB" });
        let expected = StartOrder {
            profile: None,
            users: Some(4),
            spawn_rate: Some(0.5),
            rate: None,
            run_time: Some(Duration::from_millis(1_500)),
            host: Some("http://shop.example".to_owned()),
            script: None,
            purpose: Purpose::NewRun,
            scripts_fingerprint: Some("0123456789ab".to_owned()),
            ..StartOrder::default()
        };
        assert_eq!(order(body, Purpose::NewRun), Ok(expected));
        assert_eq!(order(json!({}), Purpose::NewRun).unwrap().users, None);
        let judged = order(json!({ "thresholds": { "checks": ["rate > 0", "count > 5"] }, "warmup": 0 }), Purpose::NewRun).unwrap();
        let stated = ["rate > 0", "count > 5"].map(|condition| ThresholdPlan { metric: "checks".into(), condition: condition.into() });
        assert_eq!((judged.thresholds, judged.warmup), (Some(stated.to_vec()), Some(Duration::ZERO)));
        assert_eq!(order(json!({ "users": 1 }), Purpose::Retarget).unwrap().users, Some(1));
    }

    #[test]
    fn the_schema_describes_times_as_they_are_read() {
        let properties = &schema(Purpose::NewRun)["properties"];
        for name in ["run_time", "warmup"] {
            let forms = properties[name]["oneOf"].as_array().unwrap();
            let patterns: Vec<_> = forms.iter().filter_map(|form| form["pattern"].as_str()).collect();
            // A text that two of them take is none by `oneOf`.
            assert_eq!(patterns, [duration_pattern()], "{name}");
        }
    }

    #[test]
    fn a_fault_names_its_field() {
        for (body, field, detail) in [
            (json!({ "users": "4" }), "users", "a string is not a whole number"),
            (json!({ "users": 0 }), "users", "is 0; api/v1/run/stop ends a run"),
            (json!({ "users": -1 }), "users", "-1 is not a whole number of users"),
            (json!({ "users": 1.5 }), "users", "1.5 is not a whole number of users"),
            (json!({ "users": 4_294_967_296_u64 }), "users", "4294967296 is more than 4294967295"),
            (json!({ "spawn_rate": 0 }), "spawn_rate", "0 is not above zero and up to 1000000000"),
            (json!({ "spawn_rate": true }), "spawn_rate", "a boolean is not a number of users per second"),
            (json!({ "run_time": "soon" }), "run_time", "`soon` is not a duration"),
            (json!({ "run_time": 0 }), "run_time", "must be longer than zero"),
            (json!({ "run_time": [] }), "run_time", "an array is neither a duration such as \"1m30s\" nor a number of seconds"),
            (json!({ "max_users": 5 }), "max_users", "only a rate has a use for it"),
            (json!({ "warmup": 1.5 }), "warmup", "whole seconds are needed, such as \"30s\""),
            (
                json!({ "thresholds": { "checks": "rate > 0" } }),
                "thresholds",
                "`checks`: a string is not a list of conditions: an object such as {\"http_req_duration\": [\"p(99) < 200ms\"]} is needed",
            ),
            (json!({ "script": {} }), "script", "an object is not a string"),
            (json!({ "script": "" }), "script", "is empty"),
            (json!({ "user": 4 }), "user", "there is no such parameter; did you mean users?"),
            (
                json!({ "x": null }),
                "x",
                "there is no such parameter; the parameters are users, rate, spawn_rate, max_users, run_time, warmup, thresholds, host, script, \
                 scripts_fingerprint",
            ),
            (
                json!({ "scripts_fingerprint": "abc" }),
                "scripts_fingerprint",
                "`abc` is not 12 to 64 hexadecimal digits, as `lunamoth check` prints them",
            ),
        ] {
            assert_eq!(order(body, Purpose::NewRun), Err((field.to_owned(), detail.to_owned())));
        }
        assert!(order(json!({ "host": "http://victim.example" }), Purpose::NewRun).unwrap_err().1.contains("--allow-host"));
        assert_eq!(order(json!({ "host": "http://shop.example" }), Purpose::Retarget).unwrap_err().0, "host");
        assert_eq!(order(json!({}), Purpose::Retarget).unwrap_err().0, "users");
        let (field, detail) = order(json!({ "spawn_rate": 5 }), Purpose::Retarget).unwrap_err();
        assert!(field == "users" && detail.starts_with("a spawn rate alone (-r, `spawn_rate`) needs"), "{field}: {detail}");
    }
}
