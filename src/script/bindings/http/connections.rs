//! Which connections requests may have, as scripts say it: of one request, in `http.defaults` and `http.client`, and in the scenario's `http`.
//!
//! Each layer says what it likes; what none says is the run's. What the rules do is the client's (`protocol/http`).

use std::num::NonZeroU32;
use std::time::Duration;

use mlua::{Table, Value};

use super::values::{duration, flag, kind_of, number, wrong};
use crate::plan::{ConnectionPlan, HttpVersion};
use crate::protocol::http::{ConnectionRules, Offer};

/// What one layer says; `None` leaves it to the layer below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ConnectionSettings {
    version: Option<HttpVersion>,
    /// Whether a connection may carry more than one request.
    keepalive: Option<bool>,
    max_connections: Option<u32>,
    /// `Some(None)`: as old as it likes, whatever a lower layer says.
    max_age: Option<Option<Duration>>,
    max_requests: Option<Option<NonZeroU32>>,
}

impl ConnectionSettings {
    /// Takes an option over, if it is one of these; whether it is.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub(super) fn read(&mut self, option: &str, value: &Value) -> Result<bool, String> {
        match option {
            "version" => self.version = Some(version(value)?),
            "keepalive" => self.keepalive = Some(flag("keepalive", value)?),
            "max_connections" => {
                let range = format!("a whole number from 1 to {CONNECTIONS_MAX}");
                let count = number(value).filter(|count| count == &count.trunc() && (1.0..=f64::from(CONNECTIONS_MAX)).contains(count));
                self.max_connections = Some(count.ok_or_else(|| wrong_value("max_connections", &range, value))? as u32);
            }
            "connection_max_age" => {
                self.max_age =
                    Some(if matches!(value, Value::Boolean(false)) { None } else { Some(duration("connection_max_age", value)?) });
            }
            "connection_max_requests" => self.max_requests = Some(max_requests(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// This one where it says something, `lower` elsewhere.
    pub(super) fn over(&self, lower: &Self) -> Self {
        Self {
            version: self.version.or(lower.version),
            keepalive: self.keepalive.or(lower.keepalive),
            max_connections: self.max_connections.or(lower.max_connections),
            max_age: self.max_age.or(lower.max_age),
            max_requests: self.max_requests.or(lower.max_requests),
        }
    }

    /// The rules for a request, where `usual` are the run's.
    pub(super) fn rules(&self, usual: &ConnectionRules) -> ConnectionRules {
        ConnectionRules {
            offer: self.version.map_or(usual.offer, offer_of),
            keepalive: self.keepalive.unwrap_or(usual.keepalive),
            max_connections: self.max_connections.unwrap_or(usual.max_connections),
            max_age: self.max_age.unwrap_or(usual.max_age),
            max_requests: self.max_requests.unwrap_or(usual.max_requests),
        }
    }
}

/// The rules of all requests that say nothing else.
pub(super) fn rules_of(plan: &ConnectionPlan) -> ConnectionRules {
    ConnectionRules {
        offer: plan.version.map_or(Offer::Any, offer_of),
        keepalive: plan.keepalive,
        max_connections: plan.max_connections,
        max_age: plan.max_age,
        max_requests: plan.max_requests,
    }
}

/// The scenario's `http`, over what a run does by itself.
///
/// # Errors
/// What is wrong with a value. Keys are checked in Lua.
pub fn plan_of(table: &Table) -> Result<ConnectionPlan, String> {
    let mut settings = ConnectionSettings::default();
    for pair in table.pairs::<String, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        settings.read(&key, &value)?;
    }
    let usual = ConnectionPlan::default();
    Ok(ConnectionPlan {
        version: settings.version.or(usual.version),
        keepalive: settings.keepalive.unwrap_or(usual.keepalive),
        max_connections: settings.max_connections.unwrap_or(usual.max_connections),
        max_age: settings.max_age.unwrap_or(usual.max_age),
        max_requests: settings.max_requests.unwrap_or(usual.max_requests),
    })
}

fn offer_of(version: HttpVersion) -> Offer {
    match version {
        HttpVersion::Http11 => Offer::Http11,
        HttpVersion::Http2 => Offer::Http2,
    }
}

fn version(value: &Value) -> Result<HttpVersion, String> {
    let spelled = match value {
        Value::String(text) => text.to_string_lossy(),
        other => number(other).map(|number| number.to_string()).ok_or_else(|| wrong("version", "\"1.1\" or \"2\"", other))?,
    };
    match &*spelled {
        "1.1" => Ok(HttpVersion::Http11),
        "2" => Ok(HttpVersion::Http2),
        "3" => Err("option `version`: HTTP/3 comes with a later version of Lunamoth; \"1.1\" and \"2\" are there".to_owned()),
        other => Err(format!("option `version` must be \"1.1\" or \"2\", not \"{}\"", other.escape_debug())),
    }
}

fn max_requests(value: &Value) -> Result<Option<NonZeroU32>, String> {
    if matches!(value, Value::Boolean(false)) {
        return Ok(None);
    }
    let count = number(value).filter(|count| count == &count.trunc() && (1.0..=f64::from(u32::MAX)).contains(count));
    let count = count.and_then(|count| NonZeroU32::new(count as u32));
    count.map(Some).ok_or_else(|| wrong_value("connection_max_requests", "a whole number above 0, or false for no limit", value))
}

/// As `wrong`, with a number itself.
fn wrong_value(option: &str, takes: &str, value: &Value) -> String {
    match number(value) {
        Some(number) => format!("option `{option}` must be {takes}, not {number}"),
        None => format!("option `{option}` must be {takes}, not {}", kind_of(value)),
    }
}

/// A batch has no more requests.
const CONNECTIONS_MAX: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &str) -> Result<ConnectionPlan, String> {
        let lua = mlua::Lua::new();
        plan_of(&lua.load(format!("return {{ {code} }}")).call(()).unwrap())
    }

    #[test]
    fn each_value_is_taken_in_the_forms_that_people_write() {
        for (code, version) in [
            ("version = '1.1'", HttpVersion::Http11),
            ("version = 1.1", HttpVersion::Http11),
            ("version = '2'", HttpVersion::Http2),
            ("version = 2", HttpVersion::Http2),
            ("version = 2.0", HttpVersion::Http2),
        ] {
            assert_eq!(read(code).unwrap().version, Some(version), "{code}");
        }
        assert_eq!(read("max_connections = 40").unwrap().max_connections, 40);
        assert_eq!(read("").unwrap(), ConnectionPlan::default());
        for (code, age) in [("'1.5s'", Some(1_500)), ("2", Some(2_000)), ("0.5", Some(500)), ("false", None)] {
            assert_eq!(read(&format!("connection_max_age = {code}")).unwrap().max_age, age.map(Duration::from_millis), "{code}");
        }
        for (code, count) in [("1", NonZeroU32::new(1)), ("1e6", NonZeroU32::new(1_000_000)), ("false", None)] {
            assert_eq!(read(&format!("connection_max_requests = {code}")).unwrap().max_requests, count, "{code}");
        }
    }

    #[test]
    fn whatever_else_is_refused_in_words() {
        for (code, why) in [
            ("version = '3'", "option `version`: HTTP/3 comes with a later version of Lunamoth; \"1.1\" and \"2\" are there"),
            ("version = 3", "option `version`: HTTP/3 comes with a later version of Lunamoth; \"1.1\" and \"2\" are there"),
            ("version = 'h2'", "option `version` must be \"1.1\" or \"2\", not \"h2\""),
            ("version = 1", "option `version` must be \"1.1\" or \"2\", not \"1\""),
            ("version = true", "option `version` must be \"1.1\" or \"2\", not a boolean"),
            ("max_connections = 0", "option `max_connections` must be a whole number from 1 to 1000, not 0"),
            ("max_connections = 2.5", "option `max_connections` must be a whole number from 1 to 1000, not 2.5"),
            ("max_connections = '6'", "option `max_connections` must be a whole number from 1 to 1000, not a string"),
            ("connection_max_age = 0", "option `connection_max_age` must be a duration above 0"),
            ("connection_max_age = true", "option `connection_max_age` must be a duration above 0"),
            (
                "connection_max_requests = 0",
                "option `connection_max_requests` must be a whole number above 0, or false for no limit, not 0",
            ),
            ("connection_max_requests = -1", "option `connection_max_requests` must be a whole number above 0"),
            ("connection_max_requests = 0/0", "option `connection_max_requests` must be a whole number above 0"),
            ("keepalive = 1", "option `keepalive` must be true or false, not a number"),
        ] {
            let said = read(code).unwrap_err();
            assert!(said.starts_with(why), "{code}: {said}");
        }
    }

    #[test]
    fn a_higher_layer_wins_and_can_lift_a_limit() {
        let mut lower = ConnectionSettings::default();
        let mut higher = lower;
        let lua = mlua::Lua::new();
        let value = |code: &str| lua.load(format!("return {code}")).call::<Value>(()).unwrap();
        assert_eq!(lower.read("connection_max_age", &value("'1s'")), Ok(true));
        assert_eq!(lower.read("max_connections", &value("2")), Ok(true));
        assert_eq!(higher.read("connection_max_age", &value("false")), Ok(true));
        assert_eq!(higher.read("timeout", &value("1")), Ok(false));
        let rules = higher.over(&lower).rules(&ConnectionRules::default());
        assert_eq!(rules, ConnectionRules { max_connections: 2, ..ConnectionRules::default() });
    }
}
