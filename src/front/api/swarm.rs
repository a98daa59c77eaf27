//! `/swarm`: what its parameters mean, and its replies in both generations of Locust. Whether a run starts is the master's to say.

use std::time::Duration;

use axum::http::Uri;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::form::Parameters;
use super::reply::{JSON, Style, json, refusal, text};
use crate::cluster::handle::Accepted;
use crate::cluster::planner::ScriptView;
use crate::plan::{Rate, StartOrder};
use crate::spelling::nearest;

/// A start as somebody asked for it.
#[derive(Debug, PartialEq)]
pub(super) struct Swarm {
    /// As the master takes it.
    pub order: StartOrder,
    /// The user classes that shall run, sorted; empty where none was named, which means all.
    pub user_classes: Vec<String>,
    /// How the reply is written: a client that sends the old names gets the old reply.
    pub style: Style,
    /// What was asked for and is not done, for whoever asked and for the log.
    pub warning: Option<&'static str>,
}

/// What a start may ask for.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    /// The base URLs that may be named; `None` where any may.
    pub hosts: Option<&'a [&'a str]>,
    /// How settings read a run time.
    pub read_run_time: fn(&str) -> Result<Duration, String>,
    /// How settings read a rate of iterations.
    pub read_rate: fn(&str) -> Result<Rate, String>,
}

impl Swarm {
    /// Reads the parameters of a start.
    ///
    /// # Errors
    /// For people, with the parameter's name in front.
    pub fn read(parameters: &Parameters, rules: &Rules<'_>) -> Result<Self, String> {
        let mut order = StartOrder::default();
        let (mut user_classes, mut warning) = (Vec::new(), None);
        for (place, (name, value)) in parameters.iter().enumerate() {
            let value = value.trim();
            if name == "user_classes" {
                user_classes.push(value.to_owned());
                continue;
            }
            let twin = parameters[..place].iter().find(|(other, _)| meaning(other) == meaning(name));
            if let Some((other, _)) = twin {
                return Err(if other == name { format!("{name}: given twice") } else { format!("{name}: given as {other}, too") });
            }
            let named = |problem: String| format!("{name}: {problem}");
            match meaning(name) {
                "user_count" => order.users = Some(users(value).map_err(named)?),
                "spawn_rate" => order.spawn_rate = Some(spawn_rate(value).map_err(named)?),
                "rate" => order.rate = Some((rules.read_rate)(value).map_err(named)?),
                "run_time" => order.run_time = Some(run_time(value, rules.read_run_time).map_err(named)?),
                "host" => order.host = Some(host(value, rules.hosts).map_err(named)?),
                "script" => order.script = Some(value.to_owned()),
                "scripts_fingerprint" => order.scripts_fingerprint = Some(fingerprint(value).map_err(named)?),
                // Locust's own page sends both: the shape that means none, and a label of the run.
                "shape_class" if value.eq_ignore_ascii_case("default") => {}
                "shape_class" => return Err(named("there are no shape classes; the profile of a script is its shape".to_owned())),
                "profile" if value.is_empty() => {}
                "profile" => warning = Some(LABEL),
                _ => return Err(unknown(name)),
            }
        }
        if order.rate.is_some() && (order.users.is_some() || order.spawn_rate.is_some()) {
            return Err("rate: a run has either users or a rate of iterations".to_owned());
        }
        user_classes.sort_unstable();
        user_classes.dedup();
        Ok(Self { order, user_classes, style: style(parameters), warning })
    }

    /// Whether the user classes are what a run of the script has anyway: its weights decide, and nobody chooses among them.
    ///
    /// # Errors
    /// For people, with the parameter's name in front.
    pub fn judge_classes(&self, scripts: &[ScriptView]) -> Result<(), String> {
        let is_meant = |script: &&ScriptView| self.order.script.as_ref().map_or(script.is_default, |name| script.name == *name);
        let mut classes: Vec<&str> =
            scripts.iter().find(is_meant).iter().flat_map(|script| &script.classes).map(|class| &*class.name).collect();
        classes.sort_unstable();
        if self.user_classes.is_empty() || self.user_classes == classes {
            return Ok(());
        }
        let all = if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) };
        Err(format!("user_classes: this version runs all classes of a script by their weights{all}"))
    }

    /// The reply to a start that the master has accepted.
    pub fn reply(&self, accepted: &Accepted) -> Response {
        if self.style == Style::Spaced {
            let warning = self.warning.map_or_else(String::new, |warning| format!(", \"warning\": {}", json!(warning)));
            return text(JSON, format!("{{\"success\": true, \"message\": \"Swarming started\"{warning}}}"));
        }
        let mut reply = Map::new();
        reply.insert("success".into(), json!(true));
        reply.insert("message".into(), json!("Swarming started"));
        if let Some(warning) = self.warning {
            reply.insert("warning".into(), json!(warning));
        }
        reply.insert("host".into(), json!(accepted.host));
        if let Some(run_time) = self.order.run_time {
            reply.insert("run_time".into(), seconds(run_time));
        }
        if !self.user_classes.is_empty() {
            reply.insert("user_classes".into(), json!(self.user_classes));
        }
        reply.insert("run".into(), json!(accepted.run.to_string()));
        reply.insert("profile".into(), json!(accepted.words));
        json(&reply)
    }

    /// The reply to a start that cannot be. `host` is the one in force.
    pub fn refuse(parameters: &Parameters, reason: &str, host: Option<&str>) -> Response {
        match style(parameters) {
            Style::Spaced => refusal(reason),
            Style::Compact => json(&json!({ "success": false, "message": reason, "host": host })),
        }
    }
}

/// Of Locust 0.8.1 where its names are used.
fn style(parameters: &Parameters) -> Style {
    if parameters.iter().any(|(name, _)| matches!(&**name, "locust_count" | "hatch_rate")) { Style::Spaced } else { Style::Compact }
}

/// The newer name of a parameter.
fn meaning(name: &str) -> &str {
    match name {
        "locust_count" => "user_count",
        "hatch_rate" => "spawn_rate",
        name => name,
    }
}

fn users(text: &str) -> Result<u32, String> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(0) => Err("is 0; /stop ends a run".to_owned()),
        Ok(users) if is_whole => Ok(users),
        Err(_) if is_whole => Err(format!("`{text}` is more than {}", u32::MAX)),
        _ => Err(format!("`{text}` is not a whole number")),
    }
}

fn spawn_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of users per second"))?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err(format!("`{text}` is not above zero")) }
}

fn run_time(text: &str, read: fn(&str) -> Result<Duration, String>) -> Result<Duration, String> {
    let duration = read(text)?;
    if duration.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(duration) }
}

/// The beginning of a fingerprint, as long as logs show it at the least.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let is_one = (12..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("`{text}` is not 12 to 64 hexadecimal digits, as `lunamoth check` prints them"))
    }
}

/// A base URL that may be put under load.
pub(super) fn host(text: &str, allowed: Option<&[&str]>) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let origin = origin(text).ok_or_else(|| format!("`{text}` is not a base URL such as http://shop.example:8080"))?;
    match allowed {
        Some(allowed) if !allowed.iter().any(|other| self::origin(other).as_ref() == Some(&origin)) => {
            Err(format!("`{text}` is not among the hosts that may be tested here; --allow-host adds one"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Scheme, host in lower case, port: what decides where requests go.
fn origin(text: &str) -> Option<(String, String, u16)> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\')) {
        return None;
    }
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let usual = match &*scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let after_host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, address)| address);
    let has_port = after_host.rsplit_once(']').map_or(after_host, |(_, rest)| rest).contains(':');
    let port = if has_port { authority.port_u16()? } else { usual };
    (!host.is_empty() && port > 0).then_some((scheme, host, port))
}

fn unknown(name: &str) -> String {
    format!("{}: {}", crate::front::text::escape(name), near(name, &KNOWN))
}

/// That there is no such parameter, and which one may be meant.
pub(super) fn near(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied(), |_| 2) {
        Some(near) => format!("there is no such parameter; did you mean {near}?"),
        None => format!("there is no such parameter; the parameters are {}", known.join(", ")),
    }
}

/// The parameters, of both generations.
pub(super) const KNOWN: [&str; 12] = [
    "user_count",
    "spawn_rate",
    "rate",
    "locust_count",
    "hatch_rate",
    "host",
    "run_time",
    "user_classes",
    "script",
    "scripts_fingerprint",
    "shape_class",
    "profile",
];

/// A start with a label is one that pipelines of Locust's users make: it begins, and says so.
const LABEL: &str =
    "profile: Locust's label of a run is kept nowhere, since runs have no labels here; whose load profile runs is the script's to say";

/// A whole number where it is one, as Locust has it.
fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() == 0 { json!(duration.as_secs()) } else { json!(duration.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::snapshot::ClassShare;

    fn read(fields: &[(&str, &str)]) -> Result<Swarm, String> {
        let parameters = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let read_run_time = |text: &str| text.parse().map(Duration::from_secs).map_err(|_| format!("`{text}` is not a duration"));
        let read_rate = |text: &str| text.parse().map(Rate::per_second).map_err(|_| format!("`{text}` is not a rate"));
        Swarm::read(&parameters, &Rules { hosts: Some(&["http://shop.example", "https://a.example:8443/base"]), read_run_time, read_rate })
    }

    fn swarm(order: StartOrder, style: Style) -> Swarm {
        Swarm { order, user_classes: Vec::new(), style, warning: None }
    }

    #[test]
    fn the_classes_of_a_script_may_be_named_if_they_are_all_of_them() {
        let class = |name: &str| ClassShare { name: name.into(), ..ClassShare::default() };
        let script = |name: &str, is_default, classes: &[&str]| ScriptView {
            name: name.to_owned(),
            is_default,
            classes: classes.iter().copied().map(class).collect(),
            ..ScriptView::default()
        };
        let scripts = [script("a.lua", false, &["Looker"]), script("b.lua", true, &["Shopper", "Buyer"])];
        let judge = |fields: &[(&str, &str)]| read(fields).unwrap().judge_classes(&scripts);
        assert_eq!(judge(&[]), Ok(()));
        assert_eq!(judge(&[("user_classes", "Shopper"), ("user_classes", "Buyer"), ("user_classes", "Buyer")]), Ok(()));
        assert_eq!(judge(&[("user_classes", "Looker"), ("script", "a.lua")]), Ok(()));
        let all = "user_classes: this version runs all classes of a script by their weights";
        assert_eq!(judge(&[("user_classes", "Buyer")]), Err(format!("{all}: Buyer, Shopper")));
        assert_eq!(judge(&[("user_classes", "Looker"), ("script", "none.lua")]), Err(all.to_owned()));
    }

    #[test]
    fn both_generations_mean_the_same_and_are_told_apart() {
        let order = StartOrder { users: Some(4), spawn_rate: Some(0.5), ..StartOrder::default() };
        assert_eq!(read(&[("locust_count", "4"), ("hatch_rate", "0.5")]), Ok(swarm(order.clone(), Style::Spaced)));
        assert_eq!(read(&[("user_count", " 4 "), ("spawn_rate", "0.5")]), Ok(swarm(order, Style::Compact)));
        assert_eq!(read(&[]), Ok(swarm(StartOrder::default(), Style::Compact)));
        let order = StartOrder { rate: Some(Rate::per_second(50.0)), ..StartOrder::default() };
        assert_eq!(read(&[("rate", "50")]), Ok(swarm(order, Style::Compact)));
        assert_eq!(read(&[("rate", "50"), ("user_count", "1")]).unwrap_err(), "rate: a run has either users or a rate of iterations");
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (name, value, problem) in [
            ("user_count", "x", "user_count: `x` is not a whole number"),
            ("user_count", "+4", "user_count: `+4` is not a whole number"),
            ("locust_count", "4.5", "locust_count: `4.5` is not a whole number"),
            ("user_count", "-1", "user_count: `-1` is not a whole number"),
            ("user_count", "0", "user_count: is 0; /stop ends a run"),
            ("user_count", "4294967296", "user_count: `4294967296` is more than 4294967295"),
            ("hatch_rate", "fast", "hatch_rate: `fast` is not a number of users per second"),
            ("spawn_rate", "0", "spawn_rate: `0` is not above zero"),
            ("spawn_rate", "nan", "spawn_rate: `nan` is not above zero"),
            ("run_time", "5x", "run_time: `5x` is not a duration"),
            ("run_time", "0", "run_time: must be longer than zero"),
            ("host", "shop", "host: `shop` is not a base URL such as http://shop.example:8080"),
            ("host", "ftp://shop.example", "host: `ftp://shop.example` is not a base URL such as http://shop.example:8080"),
            ("user_cout", "4", "user_cout: there is no such parameter; did you mean user_count?"),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err(), problem);
        }
        assert_eq!(read(&[("user_count", "1"), ("locust_count", "1")]).unwrap_err(), "locust_count: given as user_count, too");
        assert_eq!(read(&[("user_count", "1"), ("user_count", "1")]).unwrap_err(), "user_count: given twice");
    }

    #[test]
    fn only_hosts_that_were_allowed_can_be_put_under_load() {
        for good in ["http://shop.example", "http://SHOP.example:80/", "http://shop.example./api", "https://a.example:8443"] {
            assert!(read(&[("host", good)]).is_ok(), "{good}");
        }
        for evil in [
            "https://shop.example",
            "http://shop.example:81",
            "http://shop.example@evil.example",
            "http://evil.example",
            "http://shop.example.evil",
        ] {
            assert!(read(&[("host", evil)]).unwrap_err().contains("--allow-host"), "{evil}");
        }
        for odd in ["http://shop.example:99999", "http://shop.example:", "http://shop.example\\@evil", "http://evil#@shop.example"] {
            assert!(read(&[("host", odd)]).unwrap_err().contains("is not a base URL"), "{odd}");
        }
    }
}
