//! The options of one request, of `http.defaults` and of `http.client`: read from their table into owned values, each mistake named.

use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Lua, Table, Value};

use super::address::Base;
use super::body::{self, Body};
use super::expect::Expect;
use super::identity::Identity;
use super::headers::{ENCODINGS, FIELDS_BYTES_MAX, FIELDS_MAX, Field, authorization, fields_of};
use super::template::{Settings, Template};
use super::values::{Room, did_you_mean, duration, encode_pairs, flag, name_of, number, pairs, scalar, text, wrong};
use crate::protocol::http::Context;
use crate::stats::tags;

/// What one request says besides its method and its URL.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// The entry's name, where the script gives one.
    pub(super) name: Option<String>,
    /// An encoded query to be added.
    pub(super) query: String,
    /// What is sent as the body.
    pub(super) body: Option<Body>,
    /// Cookies besides the jar's.
    pub(super) cookies: Vec<(String, Vec<u8>)>,
    /// Fields of this request alone.
    pub(super) fields: Vec<Field>,
    /// What templates may say as well.
    pub(super) settings: Settings,
}

impl Options {
    /// Reads the options of one request.
    ///
    /// # Errors
    /// The caller's mistake.
    pub(super) fn of_request(lua: &Lua, table: &Table) -> Result<Self, String> {
        let mut reading = Reading::new(&REQUEST_OPTIONS);
        reading.read(lua, table)?;
        let mut options = reading.finish();
        options.settings.host = None;
        Ok(options)
    }
}

impl Template {
    /// Reads the options of `http.defaults`.
    ///
    /// # Errors
    /// The caller's mistake.
    pub(super) fn from_lua(lua: &Lua, value: &Value) -> Result<Self, String> {
        Self::read(lua, value, Reading::new(&TEMPLATE_OPTIONS), |_| Ok(None))
    }

    /// Reads the options of `http.client`, with `file` the certificates that it names, and has `context` make of them what its connections need:
    /// nothing where no lane makes requests.
    ///
    /// # Errors
    /// The caller's mistake, or what `context` says.
    pub(super) fn of_client(
        lua: &Lua,
        value: &Value,
        file: impl Fn(&str) -> Result<String, String>,
        context: impl Fn(&Rc<Identity>) -> Result<Option<Rc<Context>>, String>,
    ) -> Result<Self, String> {
        Self::read(lua, value, Reading::new(&CLIENT_OPTIONS), |files| {
            Ok(Identity::read(files, file)?.as_ref().map(context).transpose()?.flatten())
        })
    }

    fn read(
        lua: &Lua,
        value: &Value,
        mut reading: Reading,
        identity: impl FnOnce(&[(String, String)]) -> Result<Option<Rc<Context>>, String>,
    ) -> Result<Self, String> {
        let Value::Table(table) = value else { return Err(format!("options must be a table, not {}", super::values::kind_of(value))) };
        reading.read(lua, table)?;
        let identity = identity(&reading.files)?;
        let mut options = reading.finish();
        options.settings.identity = identity;
        if !options.cookies.is_empty() {
            return Err("option `cookies` must be true or false here; http.cookies.set fills the jar".to_owned());
        }
        Ok(Self::new(options.settings, options.fields))
    }
}

/// Options half read: fields are kept apart by where they came from, because a header that is spelled out wins over one that follows from an option.
struct Reading {
    known: &'static [&'static str],
    options: Options,
    implied: Vec<Field>,
    bodies: Vec<String>,
    /// Options that name a file, and which.
    files: Vec<(String, String)>,
}

impl Reading {
    fn new(known: &'static [&'static str]) -> Self {
        Self { known, options: Options::default(), implied: Vec::new(), bodies: Vec::new(), files: Vec::new() }
    }

    fn read(&mut self, lua: &Lua, table: &Table) -> Result<(), String> {
        let mut mistake = None;
        let walked = table.for_each(|key: Value, value: Value| {
            if let Err(why) = self.read_option(lua, &key, &value) {
                mistake = Some(why);
                return Err(mlua::Error::runtime("stop"));
            }
            Ok(())
        });
        match (mistake, walked) {
            (Some(why), _) => Err(why),
            (None, Err(error)) => Err(error.to_string()),
            (None, Ok(())) if self.bodies.len() > 1 => {
                self.bodies.sort();
                Err(format!("options `{}` exclude each other: a request has one body", self.bodies.join("` and `")))
            }
            (None, Ok(())) => Ok(()),
        }
    }

    fn read_option(&mut self, lua: &Lua, key: &Value, value: &Value) -> Result<(), String> {
        let Value::String(key) = key else {
            return Err(format!("options are named, such as {{ name = \"/cart\" }}: {} is no name", super::values::kind_of(key)));
        };
        let key = key.to_str().map_err(|_| "an option's name must be in UTF-8".to_owned())?;
        let key: &str = &key;
        if !self.known.contains(&key) {
            if CLIENT_FILES.contains(&key) {
                return Err(format!("option `{key}` is for http.client, or in the scenario's `tls` for all requests"));
            }
            if TEMPLATE_OPTIONS.contains(&key) && key.contains("connection") {
                return Err(format!("option `{key}` is for many requests: in http.client, http.defaults or the scenario's `http`"));
            }
            return Err(format!("unknown option `{key}`{}", did_you_mean(key, self.known)));
        }
        let options = &mut self.options;
        let settings = &mut options.settings;
        match key {
            "name" => {
                let name = text("name", value)?;
                if name.len() > NAME_BYTES_MAX {
                    return Err(format!("option `name` may have at most {} KiB", NAME_BYTES_MAX >> 10));
                }
                options.name = Some(name);
            }
            "headers" => options.fields = fields_of(value)?,
            "params" => options.query = query(value)?,
            "json" | "form" | "multipart" | "body" => {
                options.body = Some(body::read(lua, key, value)?);
                self.bodies.push(key.to_owned());
            }
            "auth" => self.implied.push(authorization(value)?),
            "timeout" => settings.timeout = Some(duration("timeout", value)?),
            "redirects" => settings.redirects = Some(redirects(value)?),
            "cookies" => match value {
                Value::Boolean(uses_jar) => settings.uses_jar = Some(*uses_jar),
                Value::Table(table) => options.cookies = cookies(table)?,
                other => return Err(wrong("cookies", "a table of names and values, or false to use none", other)),
            },
            "tags" => {
                settings.tags = tags_of(value)?;
                settings.tag_text = tags::text_of(&settings.tags).into();
            }
            "expect" => settings.expect = Some(Rc::new(Expect::from_lua(lua, value)?)),
            "compress" => self.implied.push(compress(flag("compress", value)?)),
            "discard" => settings.discard = Some(flag("discard", value)?),
            file if CLIENT_FILES.contains(&file) => match value {
                Value::String(name) => self.files.push((file.to_owned(), name.to_string_lossy())),
                other => return Err(wrong(file, "the name of a PEM file beside the script", other)),
            },
            _ if settings.connection.read(key, value)? => {}
            _host => settings.host = Some(Base::parse(&text("host", value)?).map_err(|why| format!("option `host`: {why}"))?),
        }
        Ok(())
    }

    fn finish(self) -> Options {
        let Self { mut options, mut implied, .. } = self;
        if !implied.is_empty() {
            super::headers::lay_over(&mut implied, &options.fields);
            options.fields = implied;
        }
        options
    }
}

fn compress(wanted: bool) -> Field {
    if wanted { Field::new("accept-encoding", ENCODINGS.as_bytes()) } else { Field::without("accept-encoding") }
}

fn query(value: &Value) -> Result<String, String> {
    match value {
        Value::Table(table) => {
            let query = encode_pairs(&pairs("params", table)?);
            let is_long = query.len() > QUERY_BYTES_MAX;
            if is_long { Err(format!("option `params` may have at most {} KiB once it is encoded", QUERY_BYTES_MAX >> 10)) } else { Ok(query) }
        }
        other => Err(wrong("params", "a table of names and values, or a list of { name, value }", other)),
    }
}

fn redirects(value: &Value) -> Result<u32, String> {
    match (value, number(value)) {
        (Value::Boolean(false), _) => Ok(0),
        (_, Some(count)) if count == count.trunc() && (0.0..=1_000.0).contains(&count) => Ok(count as u32),
        _ => Err("option `redirects` must be a whole number from 0 to 1000, or false to follow none".to_owned()),
    }
}

/// The tags of an option.
///
/// # Errors
/// What is wrong with them, for people.
pub fn tags_of(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let Value::Table(table) = value else { return Err(wrong("tags", "a table of names and values, such as { kind = \"read\" }", value)) };
    let mut found = BTreeMap::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        if !matches!(key, Value::String(_)) {
            return Err("option `tags` is a table of names and values, such as { kind = \"read\" }".to_owned());
        }
        let key = text("tags", &key)?;
        let value = match &value {
            Value::Boolean(flag) => flag.to_string(),
            other => text(&format!("tags.{}", key.escape_debug()), other)?,
        };
        if let Some(mistake) = tags::mistake_in(&key, &value) {
            return Err(format!("option `tags`: {mistake}"));
        }
        found.insert(key, value);
        if found.len() > MOST_TAGS {
            return Err(format!("option `tags`: at most {MOST_TAGS} tags are possible"));
        }
    }
    Ok(found)
}

fn cookies(table: &Table) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Vec::new();
    let mut room = Room::new("cookies", FIELDS_MAX, FIELDS_BYTES_MAX);
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        let name = name_of("cookies", &name)?;
        let value = scalar(&value).ok_or_else(|| wrong(&format!("cookies.{name}"), "a string", &value))?;
        room.take(name.len() + value.len())?;
        let is_bad = |byte: &u8| matches!(byte, b';' | b'\r' | b'\n' | 0);
        if name.is_empty() || name.bytes().any(|byte| is_bad(&byte) || byte == b'=') || value.iter().any(is_bad) {
            return Err(format!("option `cookies.{}` has a character that no cookie can have", name.escape_debug()));
        }
        found.push((name, value));
    }
    found.sort();
    Ok(found)
}

/// Bytes of a query.
const QUERY_BYTES_MAX: usize = 1 << 20;

/// Tags of a request at most.
const MOST_TAGS: usize = 8;

/// What one request may say.
const REQUEST_OPTIONS: [&str; 17] = [
    "name",
    "headers",
    "params",
    "json",
    "form",
    "multipart",
    "body",
    "auth",
    "timeout",
    "redirects",
    "cookies",
    "tags",
    "expect",
    "compress",
    "discard",
    "keepalive",
    "version",
];

/// Those of `http.client` alone that name a file.
const CLIENT_FILES: [&str; 3] = ["cert", "key", "ca"];

/// What `http.client` may say: what `http.defaults` may, and [`CLIENT_FILES`].
const CLIENT_OPTIONS: [&str; 18] = {
    let mut all = ["cert", "key", "ca", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""];
    let mut place = 0;
    while place < TEMPLATE_OPTIONS.len() {
        all[place + CLIENT_FILES.len()] = TEMPLATE_OPTIONS[place];
        place += 1;
    }
    all
};

/// What `http.defaults` may say.
const TEMPLATE_OPTIONS: [&str; 15] = [
    "host",
    "headers",
    "auth",
    "timeout",
    "redirects",
    "cookies",
    "tags",
    "expect",
    "compress",
    "discard",
    "keepalive",
    "version",
    "max_connections",
    "connection_max_age",
    "connection_max_requests",
];

pub(super) const NAME_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::bindings::http::headers::write_block;

    fn options(code: &str) -> Result<Options, String> {
        let lua = Lua::new();
        let table: Table = lua.load(format!("return {code}")).call(()).unwrap();
        Options::of_request(&lua, &table)
    }

    #[test]
    fn mistakes_name_the_option_and_the_nearest_right_one() {
        for (code, words) in [
            ("{ timout = 1 }", "unknown option `timout`; did you mean `timeout`?"),
            ("{ host = 'http://a' }", "unknown option `host`; known are name, headers"),
            ("{ 'name' }", "options are named, such as { name = \"/cart\" }: a number is no name"),
            ("{ name = {} }", "option `name` must be a string in UTF-8, not a table"),
            ("{ timeout = 'soon' }", "option `timeout` must be a duration above 0"),
            ("{ redirects = -1 }", "option `redirects` must be a whole number"),
            ("{ discard = 1 }", "option `discard` must be true or false, not a number"),
            ("{ params = 'a=b' }", "option `params` must be a table of names and values"),
            ("{ json = {}, form = {} }", "options `form` and `json` exclude each other"),
            ("{ json = { f = print } }", "option `json`: "),
            ("{ cookies = { a = 'b;c' } }", "option `cookies.a` has a character"),
            ("{ version = 'h2' }", "option `version` must be \"1.1\" or \"2\", not \"h2\""),
            ("{ versoin = 2 }", "unknown option `versoin`; did you mean `version`?"),
            (
                "{ max_connections = 2 }",
                "option `max_connections` is for many requests: in http.client, http.defaults or the scenario's `http`",
            ),
            ("{ tags = 'x' }", "option `tags` must be a table of names and values, such as { kind = \"read\" }, not a string"),
            ("{ tags = { 'read' } }", "option `tags` is a table of names and values"),
            ("{ tags = { kind = {} } }", "option `tags.kind` must be a string in UTF-8, not a table"),
            ("{ tags = { status = 1 } }", "option `tags`: `status` has a meaning of its own in selectors"),
            ("{ tags = { kind = 'a,b' } }", "option `tags`: the tag `kind` has the value \"a,b\""),
            ("{ expect = { foo = 1 } }", "unknown option `expect.foo`"),
        ] {
            let why = options(code).unwrap_err();
            assert!(why.starts_with(words), "{code}: {why}");
        }
    }

    #[test]
    fn a_header_that_is_spelled_out_wins_over_an_implied_one() {
        let options = options("{ auth = { bearer = 'x' }, compress = false, headers = { Authorization = 'mine' } }").unwrap();
        let mut block = Vec::new();
        write_block(&options.fields, &mut block);
        assert_eq!(String::from_utf8(block).unwrap(), "Authorization: mine\r\n");
        assert!(options.fields.contains(&Field::without("accept-encoding")));
    }

    #[test]
    fn a_client_names_its_certificates_and_whatever_is_wrong_with_them_names_the_file() {
        let lua = Lua::new();
        let files = |name: &str| match name {
            "no.pem" => Ok("no certificate".to_owned()),
            name => Err(format!("no file `{name}`")),
        };
        let why = |code: &str| {
            let value: Value = lua.load(format!("return {code}")).call(()).unwrap();
            Template::of_client(&lua, &value, files, |_| Ok(None)).map(|_| ()).unwrap_err()
        };
        for (code, words) in [
            ("{ cert = 'a.pem', key = 'a.key' }", "option `cert`: no file `a.pem`"),
            ("{ cert = 'no.pem', key = 'no.pem' }", "options `cert` (`no.pem`) and `key` (`no.pem`): no certificate in the PEM text"),
            ("{ cert = 'a.pem' }", "options `cert` and `key` belong together"),
            ("{ ca = 'no.pem' }", "option `ca` (`no.pem`): no certificate in the PEM text"),
            ("{ ca = 7 }", "option `ca` must be the name of a PEM file beside the script, not a number"),
            ("{ crt = 'a.pem' }", "unknown option `crt`; did you mean `cert`?"),
        ] {
            assert!(why(code).starts_with(words), "{code}: {}", why(code));
        }
        assert!(options("{ cert = 'a.pem' }").unwrap_err().starts_with("option `cert` is for http.client"));
    }

    #[test]
    fn a_template_takes_a_host_and_no_body() {
        let lua = Lua::new();
        let read = |code: &str| {
            let value: Value = lua.load(format!("return {code}")).call(()).unwrap();
            Template::from_lua(&lua, &value)
        };
        let template = read("{ host = 'http://a/api', timeout = '1s', cookies = false }").unwrap();
        assert_eq!(&*template.settings.host.unwrap().prefix, "/api");
        assert_eq!(template.settings.uses_jar, Some(false));
        assert!(read("{ json = {} }").unwrap_err().starts_with("unknown option `json`"));
        assert!(read("{ host = 'a' }").unwrap_err().starts_with("option `host`: no scheme in `a`"));
        assert!(read("7").unwrap_err().starts_with("options must be a table"));
    }
}
