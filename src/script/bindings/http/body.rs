//! What a request sends: the options `json`, `form`, `multipart` and `body`, as bytes and the content type that follows from them.

use std::hash::{BuildHasher, Hasher, RandomState};

use mlua::{Lua, Table, Value};

use super::super::json;
use super::values::{encode_pairs, kind_of, pairs, scalar, text, wrong};
use crate::protocol::http::multipart::{self, Part};

/// Bytes to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// As they go out.
    pub(super) bytes: Vec<u8>,
    /// What the option says of them; a header that the script spells out wins.
    pub(super) content_type: Option<String>,
}

/// Reads the option `option`, one of `json`, `form`, `multipart` and `body`.
pub(super) fn read(lua: &Lua, option: &str, value: &Value) -> Result<Body, String> {
    match (option, value) {
        ("json", value) => Ok(Body {
            bytes: json::encode_to_vec(lua, value).map_err(|why| format!("option `json`: {why}"))?,
            content_type: Some("application/json".to_owned()),
        }),
        ("form", Value::Table(table)) => Ok(Body {
            bytes: encode_pairs(&pairs("form", table)?).into_bytes(),
            content_type: Some("application/x-www-form-urlencoded".to_owned()),
        }),
        ("form", other) => Err(wrong("form", "a table of names and values, or a list of { name, value }", other)),
        ("multipart", Value::Table(table)) => {
            let parts = parts(table)?;
            let boundary = boundary();
            Ok(Body { bytes: multipart::encode(&parts, &boundary), content_type: Some(multipart::content_type(&boundary)) })
        }
        ("multipart", other) => Err(wrong("multipart", "a table of parts", other)),
        (_, value) => {
            let bytes = scalar(value).ok_or_else(|| {
                format!("option `body` must be a string, not {}; tables are sent by `json`, `form` and `multipart`", kind_of(value))
            })?;
            Ok(Body { bytes, content_type: None })
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
    if table.raw_len() > 0 {
        for value in table.sequence_values::<Value>() {
            let value = value.map_err(|error| error.to_string())?;
            let Value::Table(part_table) = &value else {
                return Err(wrong("multipart", "a list of { name =, body =, filename =, content_type = }", &value));
            };
            let name: Value = part_table.raw_get("name").map_err(|error| error.to_string())?;
            found.push(part(&text("multipart.name", &name)?, &value)?);
        }
        return Ok(found);
    }
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        found.push(part(&text("multipart", &name)?, &value)?);
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

const PART_OPTIONS: [&str; 4] = ["name", "body", "filename", "content_type"];

#[cfg(test)]
mod tests {
    use super::*;

    fn body(option: &str, code: &str) -> Result<Body, String> {
        let lua = Lua::new();
        let value: Value = lua.load(format!("return {code}")).call(()).unwrap();
        read(&lua, option, &value)
    }

    #[test]
    fn each_option_gives_bytes_and_a_content_type() {
        let json = body("json", "{ a = { 1, 2 } }").unwrap();
        assert_eq!((json.bytes.as_slice(), json.content_type.as_deref()), (&br#"{"a":[1,2]}"#[..], Some("application/json")));
        let form = body("form", "{ q = 'a b', p = 1 }").unwrap();
        assert_eq!(form.bytes, b"p=1&q=a+b");
        assert_eq!(body("body", "'\\0raw'").unwrap(), Body { bytes: b"\0raw".to_vec(), content_type: None });
        assert!(body("body", "{}").unwrap_err().contains("tables are sent by `json`"));
    }

    #[test]
    fn a_multipart_body_bears_names_files_and_types() {
        let sent = body("multipart", "{ note = 'hi', file = { body = 'xyz', filename = 'a.txt', content_type = 'text/plain' } }").unwrap();
        let text = String::from_utf8(sent.bytes).unwrap();
        let boundary = sent.content_type.unwrap().split_once("boundary=").unwrap().1.trim_matches('"').to_owned();
        assert!(text.starts_with(&format!("--{boundary}\r\n")) && text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
        assert!(text.contains("name=\"file\"; filename=\"a.txt\"\r\n"), "{text}");
        assert!(text.to_lowercase().contains("content-type: text/plain\r\n\r\nxyz\r\n"), "{text}");
        assert!(text.contains("name=\"note\"\r\n\r\nhi\r\n"), "{text}");
        assert!(body("multipart", "{ file = { content = 'x' } }").unwrap_err().starts_with("unknown option `multipart.file.content`"));
    }
}
