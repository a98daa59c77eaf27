//! What a request sends: the options `json`, `form`, `multipart` and `body`, as bytes and the content type that follows from them.

use std::hash::{BuildHasher, Hasher, RandomState};

use mlua::{Lua, Table, Value};

use super::super::json;
use super::values::{Room, each_of_list, encode_pairs, kind_of, mixed, pairs, scalar, text, wrong};
use crate::protocol::http::multipart::{self, Part};

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// Bytes as they go out.
    Whole {
        /// As they go out.
        bytes: Vec<u8>,
        /// What the option says of them; a header that the script spells out wins.
        content_type: Option<&'static str>,
    },
    /// Parts that become bytes once their boundary is known.
    Parts(Vec<Part>),
}

impl Body {
    /// Bytes that it has, but for the lines between parts.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Whole { bytes, .. } => bytes.len(),
            Self::Parts(parts) => parts.iter().map(|part| part.body.len()).sum(),
        }
    }

    /// The bytes, and the value of `content-type` that goes with them: `own` is what the script says itself, in whichever layer. A
    /// `multipart` of its own gets the boundary that it does not name, since nobody could read the parts without.
    pub(super) fn finish(self, own: Option<&[u8]>) -> (Vec<u8>, Option<Vec<u8>>) {
        let parts = match self {
            Self::Whole { bytes, content_type } => {
                return (bytes, content_type.filter(|_| own.is_none()).map(|content_type| content_type.as_bytes().to_vec()));
            }
            Self::Parts(parts) => parts,
        };
        let Some(own) = own else {
            let boundary = boundary();
            return (multipart::encode(&parts, &boundary), Some(multipart::content_type(&boundary).into_bytes()));
        };
        if let Some(boundary) = multipart::boundary_of(own) {
            return (multipart::encode(&parts, &boundary), None);
        }
        let boundary = boundary();
        let bytes = multipart::encode(&parts, &boundary);
        if !own.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/")) {
            return (bytes, None);
        }
        let own = own.trim_ascii_end().strip_suffix(b";").unwrap_or(own);
        (bytes, Some([own, b"; boundary=", boundary.as_bytes()].concat()))
    }
}

/// Reads the option `option`, one of `json`, `form`, `multipart` and `body`.
pub(super) fn read(lua: &Lua, option: &str, value: &Value) -> Result<Body, String> {
    match (option, value) {
        ("json", value) => Ok(Body::Whole {
            bytes: json::encode_to_vec(lua, value).map_err(|why| format!("option `json`: {why}"))?,
            content_type: Some("application/json"),
        }),
        ("form", Value::Table(table)) => Ok(Body::Whole {
            bytes: encode_pairs(&pairs("form", table)?).into_bytes(),
            content_type: Some("application/x-www-form-urlencoded"),
        }),
        ("form", other) => Err(wrong("form", "a table of names and values, or a list of { name, value }", other)),
        ("multipart", Value::Table(table)) => Ok(Body::Parts(parts(table)?)),
        ("multipart", other) => Err(wrong("multipart", "a table of parts", other)),
        (_, value) => {
            let bytes = scalar(value).ok_or_else(|| {
                format!("option `body` must be a string, not {}; tables are sent by `json`, `form` and `multipart`", kind_of(value))
            })?;
            Ok(Body::Whole { bytes, content_type: None })
        }
    }
}

/// A text that no part contains, but for a chance of 1 in 2^64.
fn boundary() -> String {
    format!("lunamoth-{:016x}", RandomState::new().build_hasher().finish())
}

/// Parts by name, sorted, or a list of parts that bear their `name`, in order.
fn parts(table: &Table) -> Result<Vec<Part>, String> {
    let mut found = Vec::new();
    let mut room = Room::new("multipart", PARTS_MAX, PARTS_BYTES_MAX);
    let mut add = |name: &Value, option: &str, value: &Value| {
        let part = part(&text(option, name)?, value)?;
        room.take(part.name.len() + part.body.len())?;
        found.push(part);
        Ok(())
    };
    if table.raw_len() > 0 {
        let is_list = each_of_list("multipart", table, |value| {
            let Value::Table(part_table) = &value else {
                return Err(wrong("multipart", "a list of { name =, body =, filename =, content_type = }", &value));
            };
            let name: Value = part_table.raw_get("name").map_err(|error| error.to_string())?;
            add(&name, "multipart.name", &value)
        })?;
        return if is_list { Ok(found) } else { Err(mixed("multipart")) };
    }
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        add(&name, "multipart", &value)?;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn part(name: &str, value: &Value) -> Result<Part, String> {
    let option = format!("multipart.{name}");
    let Value::Table(table) = value else {
        let body = scalar(value).ok_or_else(|| wrong(&option, "a string or { body =, filename =, content_type = }", value))?;
        return Ok(Part { name: name.to_owned(), filename: None, content_type: None, body });
    };
    for key in table.pairs::<Value, Value>() {
        let (key, _) = key.map_err(|error| error.to_string())?;
        let key = text(&option, &key)?;
        if !PART_OPTIONS.contains(&key.as_str()) {
            return Err(format!("unknown option `{option}.{key}`{}", super::values::did_you_mean(&key, &PART_OPTIONS)));
        }
    }
    let get = |key: &str| table.raw_get::<Value>(key).map_err(|error| error.to_string());
    let optional = |key: &str| match get(key)? {
        Value::Nil => Ok(None),
        value => {
            let found = text(&format!("{option}.{key}"), &value)?;
            if found.contains(['\r', '\n']) { Err(format!("option `{option}.{key}` has a line break")) } else { Ok(Some(found)) }
        }
    };
    let body = get("body")?;
    let body = scalar(&body).ok_or_else(|| wrong(&format!("{option}.body"), "a string", &body))?;
    Ok(Part { name: name.to_owned(), filename: optional("filename")?, content_type: optional("content_type")?, body })
}

/// Parts of one body, and their bytes.
const PARTS_MAX: usize = 10_000;
const PARTS_BYTES_MAX: usize = 64 << 20;

const PART_OPTIONS: [&str; 4] = ["name", "body", "filename", "content_type"];

#[cfg(test)]
mod tests {
    use super::*;

    fn body(option: &str, code: &str) -> Result<Body, String> {
        let lua = Lua::new();
        let value: Value = lua.load(format!("return {code}")).call(()).unwrap();
        read(&lua, option, &value)
    }

    /// Bytes and content type as they go out beside `own`.
    fn sent(option: &str, code: &str, own: Option<&str>) -> (String, Option<String>) {
        let (bytes, content_type) = body(option, code).unwrap().finish(own.map(str::as_bytes));
        (String::from_utf8(bytes).unwrap(), content_type.map(|value| String::from_utf8(value).unwrap()))
    }

    #[test]
    fn each_option_gives_bytes_and_a_content_type() {
        assert_eq!(sent("json", "{ a = { 1, 2 } }", None), (r#"{"a":[1,2]}"#.into(), Some("application/json".into())));
        assert_eq!(sent("json", "{}", Some("x/y")).1, None);
        assert_eq!(sent("form", "{ q = 'a b', p = 1 }", None).0, "p=1&q=a+b");
        assert_eq!(sent("body", "'\\0raw'", None), ("\0raw".into(), None));
        assert!(body("body", "{}").unwrap_err().contains("tables are sent by `json`"));
    }

    #[test]
    fn a_multipart_body_bears_names_files_and_types() {
        let code = "{ note = 'hi', file = { body = 'xyz', filename = 'a.txt', content_type = 'text/plain' } }";
        let (text, content_type) = sent("multipart", code, None);
        let boundary = content_type.unwrap().split_once("boundary=").unwrap().1.trim_matches('"').to_owned();
        assert!(text.starts_with(&format!("--{boundary}\r\n")) && text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
        assert!(text.contains("name=\"file\"; filename=\"a.txt\"\r\n"), "{text}");
        assert!(text.to_lowercase().contains("content-type: text/plain\r\n\r\nxyz\r\n"), "{text}");
        assert!(text.contains("name=\"note\"\r\n\r\nhi\r\n"), "{text}");
        assert!(body("multipart", "{ file = { content = 'x' } }").unwrap_err().starts_with("unknown option `multipart.file.content`"));
        assert!(body("multipart", "{ { name = 'a', body = 'b' }, c = 'd' }").unwrap_err().contains("not both"));
    }

    #[test]
    fn issue_15_a_multipart_beside_an_own_content_type_has_a_boundary() {
        for own in ["multipart/form-data", "Multipart/Form-Data", "multipart/form-data; ", "multipart/related; type=\"a/b\""] {
            let (text, content_type) = sent("multipart", "{ a = '1' }", Some(own));
            let content_type = content_type.unwrap();
            let (start, boundary) = content_type.split_once("; boundary=").unwrap();
            assert_eq!(start.trim_end(), own.trim_end_matches([';', ' ']), "{own}");
            assert!(text.starts_with(&format!("--{boundary}\r\n")), "{own}: {text}");
        }
        for own in ["multipart/form-data; boundary=mine", "multipart/form-data; charset=x; Boundary=\"mine\""] {
            let (text, content_type) = sent("multipart", "{ a = '1' }", Some(own));
            assert!(text.starts_with("--mine\r\n") && text.ends_with("--mine--\r\n") && content_type.is_none(), "{own}: {text}");
        }
        assert_eq!(sent("multipart", "{ a = '1' }", Some("application/x")).1, None);
    }
}
