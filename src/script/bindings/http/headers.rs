//! The header fields that a script sets: checked once, laid over each other in layers, and written as the block that goes out.

use base64::Engine;
use mlua::{Table, Value};

use super::values::{Room, kind_of, name_of, scalar, wrong};

/// One header field of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// As the script spelled it.
    pub(super) name: Box<str>,
    /// `None` leaves out what a lower layer set.
    pub(super) value: Option<Box<[u8]>>,
}

impl Field {
    /// A field whose name and value are known to be good.
    pub(super) fn new(name: &str, value: &[u8]) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }

    /// Leaves `name` out.
    pub(super) fn without(name: &str) -> Self {
        Self { name: name.into(), value: None }
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The fields that every request has unless a script says otherwise.
pub(super) fn usual() -> Vec<Field> {
    vec![
        Field::new("user-agent", concat!("lunamoth/", env!("CARGO_PKG_VERSION")).as_bytes()),
        Field::new("accept", b"*/*"),
        Field::new("accept-encoding", ENCODINGS.as_bytes()),
    ]
}

/// Whether one of `fields` speaks of `name`, be it to leave it out.
pub(super) fn speaks_of(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.is(name))
}

/// What one of `fields` says of `name`: its value, empty where it leaves the header out; `None` where none speaks of it.
pub(super) fn said_of<'a>(fields: &'a [Field], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.is(name)).map(|field| field.value.as_deref().unwrap_or_default())
}

/// Whether `name` goes out with `fields`.
pub(super) fn sends(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.is(name) && field.value.is_some())
}

/// Lays `upper` over `lower`: a field of the same name, in any case, takes the place of the lower one.
pub(super) fn lay_over(lower: &mut Vec<Field>, upper: &[Field]) {
    for field in upper {
        match lower.iter_mut().find(|below| below.is(&field.name)) {
            Some(below) => *below = field.clone(),
            None => lower.push(field.clone()),
        }
    }
}

/// Writes the fields that go out as lines.
pub(super) fn write_block(fields: &[Field], block: &mut Vec<u8>) {
    for field in fields {
        if let Some(value) = &field.value {
            write_line(&field.name, value, block);
        }
    }
}

/// Appends the line of a header, with its end.
pub(super) fn write_line(name: &str, value: &[u8], block: &mut Vec<u8>) {
    block.extend_from_slice(name.as_bytes());
    block.extend_from_slice(b": ");
    block.extend_from_slice(value);
    block.extend_from_slice(b"\r\n");
}

/// A copy of `block` without the lines that `is_left_behind` names, for a hop that must not send them.
pub(super) fn block_without(block: &[u8], is_left_behind: impl Fn(&str) -> bool) -> Vec<u8> {
    block
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            !std::str::from_utf8(name).is_ok_and(&is_left_behind)
        })
        .flatten()
        .copied()
        .collect()
}

/// Reads the option `headers`: names and values; `false` leaves a header out.
pub(super) fn fields_of(value: &Value) -> Result<Vec<Field>, String> {
    let Value::Table(table) = value else { return Err(wrong("headers", "a table of names and values", value)) };
    let mut fields = Vec::new();
    let mut room = Room::new("headers", FIELDS_MAX, FIELDS_BYTES_MAX);
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        let field = field_of(&name_of("headers", &name)?, &value)?;
        room.take(field.name.len() + field.value.as_ref().map_or(0, |value| value.len()))?;
        fields.push(field);
    }
    // Lua's own order differs from run to run.
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    // By sorting: a script may hand over any number of them.
    let mut folded: Vec<(String, &str)> = fields.iter().map(|field| (field.name.to_ascii_lowercase(), &*field.name)).collect();
    folded.sort();
    if let Some([(_, one), (_, other)]) = folded.array_windows().find(|[one, other]| one.0 == other.0) {
        return Err(format!("headers `{one}` and `{other}` are one header: give it once"));
    }
    Ok(fields)
}

/// Reads the option `auth`: `{ user, password }`, `{ user =, password = }`, `{ bearer = token }`, or the whole value as a string.
pub(super) fn authorization(value: &Value) -> Result<Field, String> {
    let takes = "{ user, password }, { bearer = token } or a string for the header `authorization`";
    let table = match value {
        Value::String(whole) => return field_of("authorization", &Value::String(whole.clone())),
        Value::Boolean(false) => return Ok(Field::without("authorization")),
        Value::Table(table) => table,
        other => return Err(wrong("auth", takes, other)),
    };
    if let Some(bearer) = part(table, "bearer")? {
        return checked("authorization", [b"Bearer ".as_slice(), &bearer].concat());
    }
    let user = match part(table, "user")? {
        Some(user) => Some(user),
        None => part(table, 1)?,
    };
    let password = match part(table, "password")? {
        Some(password) => Some(password),
        None => part(table, 2)?,
    };
    let Some(user) = user else { return Err(format!("option `auth` must be {takes}")) };
    // Not shown: whoever writes `{ "user:password" }` has the password in it.
    if user.contains(&b':') {
        return Err(format!("option `auth`: the user has a colon, behind which basic authentication has the password: it must be {takes}"));
    }
    let plain = [user.as_slice(), b":", &password.unwrap_or_default()].concat();
    Ok(Field::new("authorization", format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain)).as_bytes()))
}

fn part(table: &Table, key: impl mlua::IntoLua) -> Result<Option<Vec<u8>>, String> {
    let value: Value = table.raw_get(key).map_err(|error| error.to_string())?;
    match value {
        Value::Nil => Ok(None),
        other => scalar(&other).map(Some).ok_or_else(|| wrong("auth", "made of strings", &other)),
    }
}

fn field_of(name: &str, value: &Value) -> Result<Field, String> {
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(format!("`{}` is no name of a header", name.escape_debug()));
    }
    if OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        let way_out = if name.eq_ignore_ascii_case("connection") { "; `keepalive = false` gives a request a connection of its own" } else { "" };
        return Err(format!("header `{name}` cannot be set: it follows from the connection and the body{way_out}"));
    }
    match value {
        Value::Boolean(false) => Ok(Field::without(name)),
        other => {
            let bytes = scalar(other)
                .ok_or_else(|| format!("header `{name}` must be a string, a number, or false to leave it out, not {}", kind_of(other)))?;
            checked(name, bytes)
        }
    }
}

fn checked(name: &str, value: Vec<u8>) -> Result<Field, String> {
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(format!("the value of header `{name}` has a line break or a zero byte"));
    }
    Ok(Field { name: name.into(), value: Some(value.into_boxed_slice()) })
}

/// A method or the name of a header consists of these (RFC 9110, section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What the client can undo.
pub(super) const ENCODINGS: &str = "gzip, deflate, br, zstd";

/// Header fields, or cookies, of one request, and their bytes.
pub(super) const FIELDS_MAX: usize = 1_000;
pub(super) const FIELDS_BYTES_MAX: usize = 1 << 20;

/// What the exchange writes by itself.
const OWN_FIELDS: [&str; 3] = ["content-length", "connection", "transfer-encoding"];

/// A header block with credentials and a line of cookies behind it; an empty line is left out.
pub(super) fn with_more(block: &[u8], credentials: Option<&str>, cookies: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(block.len() + cookies.len() + 64);
    whole.extend_from_slice(block);
    if let Some(value) = credentials {
        write_line("authorization", value.as_bytes(), &mut whole);
    }
    if !cookies.is_empty() {
        write_line("cookie", cookies, &mut whole);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(lua: &mlua::Lua, code: &str) -> Value {
        lua.load(format!("return {code}")).call(()).unwrap()
    }

    fn block(fields: &[Field]) -> String {
        let mut block = Vec::new();
        write_block(fields, &mut block);
        String::from_utf8(block).unwrap()
    }

    #[test]
    fn an_upper_layer_replaces_and_leaves_out_in_any_case() {
        let lua = mlua::Lua::new();
        let mut fields = usual();
        let upper = fields_of(&value(&lua, "{ ACCEPT = 'text/html', ['user-agent'] = false, ['x-n'] = 7 }")).unwrap();
        lay_over(&mut fields, &upper);
        assert_eq!(block(&fields), "ACCEPT: text/html\r\naccept-encoding: gzip, deflate, br, zstd\r\nx-n: 7\r\n");
    }

    #[test]
    fn a_value_cannot_smuggle_a_line() {
        let lua = mlua::Lua::new();
        assert_eq!(
            fields_of(&value(&lua, "{ a = 'b\\r\\nc: d' }")).unwrap_err(),
            "the value of header `a` has a line break or a zero byte"
        );
        assert_eq!(fields_of(&value(&lua, "{ ['a b'] = 'c' }")).unwrap_err(), "`a b` is no name of a header");
        assert!(fields_of(&value(&lua, "{ ['Content-Length'] = 1 }")).unwrap_err().contains("cannot be set"));
        assert!(fields_of(&value(&lua, "{ a = {} }")).unwrap_err().contains("not a table"));
        assert_eq!(
            fields_of(&value(&lua, "{ ['x-n'] = 1, ['X-N'] = 2 }")).unwrap_err(),
            "headers `X-N` and `x-n` are one header: give it once"
        );
    }

    #[test]
    fn each_form_of_auth_becomes_one_header() {
        let lua = mlua::Lua::new();
        for (code, header) in [
            ("{ 'Aladdin', 'open sesame' }", "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
            ("{ user = 'Aladdin', password = 'open sesame' }", "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
            ("{ bearer = 'abc' }", "authorization: Bearer abc\r\n"),
            ("'Token 7'", "authorization: Token 7\r\n"),
        ] {
            assert_eq!(block(&[authorization(&value(&lua, code)).unwrap()]), header);
        }
        assert!(authorization(&value(&lua, "{}")).unwrap_err().starts_with("option `auth` must be { user, password }"));
        assert!(authorization(&value(&lua, "7")).unwrap_err().ends_with("not a number"));
    }

    #[test]
    fn a_user_with_a_colon_is_refused_and_a_password_with_one_is_not() {
        let lua = mlua::Lua::new();
        for code in ["{ 'u:x', 'p' }", "{ user = 'u:x', password = 'p' }", "{ 'u:p' }", "{ ':u', 'p' }"] {
            let why = authorization(&value(&lua, code)).unwrap_err();
            assert!(why.starts_with("option `auth`: the user has a colon") && !why.contains("u:"), "{code}: {why}");
        }
        assert_eq!(block(&[authorization(&value(&lua, "{ 'u', 'p:q' }")).unwrap()]), "authorization: Basic dTpwOnE=\r\n");
    }

    #[test]
    fn lines_are_taken_out_of_a_block_by_name() {
        let left = block_without(b"a: 1\r\nAuthorization: x\r\nb: 2\r\n", |name| name.eq_ignore_ascii_case("authorization"));
        assert_eq!(left, b"a: 1\r\nb: 2\r\n");
    }
}
