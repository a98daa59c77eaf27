//! `require "url"`: taking URLs apart and putting them together, as browsers do.

use std::rc::Rc;

use mlua::{Lua, LuaString, Table, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use url::Url;

use crate::script::context::VmContext;

/// Registers what `lua-stdlib/url.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    register(lua)
}

fn register(lua: &Lua) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let encode = |lua: &Lua, text: LuaString| lua.create_string(percent_encode(&text.as_bytes(), RESERVED).to_string());
    natives.raw_set("encode", lua.create_function(encode)?)?;
    let decode = |lua: &Lua, text: LuaString| lua.create_string(percent_decode(&text.as_bytes()).collect::<Vec<u8>>());
    natives.raw_set("decode", lua.create_function(decode)?)?;
    natives.raw_set("parse", lua.create_function(|lua, text: LuaString| parse(lua, &text.to_string_lossy()))?)?;
    let join = |_: &Lua, (base, reference): (LuaString, LuaString)| {
        let joined = Url::parse(&base.to_string_lossy()).and_then(|base| base.join(&reference.to_string_lossy()));
        Ok(joined.map_or_else(|error| (None, Some(error.to_string())), |url| (Some(String::from(url)), None)))
    };
    natives.raw_set("join", lua.create_function(join)?)?;
    Ok(natives)
}

fn parse(lua: &Lua, text: &str) -> mlua::Result<(Option<Table>, Option<String>)> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return Ok((None, Some(error.to_string()))),
    };
    let parts = lua.create_table()?;
    parts.raw_set("scheme", url.scheme())?;
    parts.raw_set("host", url.host_str())?;
    parts.raw_set("port", url.port_or_known_default())?;
    parts.raw_set("path", url.path())?;
    parts.raw_set("query", url.query())?;
    parts.raw_set("fragment", url.fragment())?;
    if !url.username().is_empty() {
        parts.raw_set("user", decoded(lua, url.username())?)?;
    }
    if let Some(password) = url.password() {
        parts.raw_set("password", decoded(lua, password)?)?;
    }
    Ok((Some(parts), None))
}

fn decoded(lua: &Lua, text: &str) -> mlua::Result<Value> {
    lua.create_string(percent_decode(text.as_bytes()).collect::<Vec<u8>>()).map(Value::String)
}

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> Lua {
        let lua = Lua::new();
        let engine: Table = lua.load("return { digits = function(value) return value end }").eval().unwrap();
        let module: Table = lua.load(include_str!("../../../lua-stdlib/url.lua")).set_name("=url").call((register(&lua).unwrap(), engine)).unwrap();
        lua.globals().set("url", module).unwrap();
        lua
    }

    fn run(code: &str) {
        vm().load(code).set_name("=script").exec().unwrap();
    }

    #[test]
    fn encoding_and_decoding_are_inverse() {
        run("assert(url.encode('a b/ä?&=~-._') == 'a%20b%2F%C3%A4%3F%26%3D~-._')
             assert(url.decode('a%20b%2F%C3%A4') == 'a b/ä' and url.decode('100%+x') == '100%+x')
             local all = {}; for byte = 0, 255 do all[#all + 1] = string.char(byte) end; all = table.concat(all)
             assert(url.decode(url.encode(all)) == all)");
    }

    #[test]
    fn a_url_is_taken_apart() {
        run("local u = url.parse 'https://me:p%40ss@shop.example:8443/a/b?x=1&y=2#top'
             assert(u.scheme == 'https' and u.user == 'me' and u.password == 'p@ss' and u.host == 'shop.example' and u.port == 8443)
             assert(u.path == '/a/b' and u.query == 'x=1&y=2' and u.fragment == 'top')
             local plain = url.parse 'http://h'; assert(plain.port == 80 and plain.path == '/' and plain.query == nil and plain.user == nil)
             assert(url.parse('http://[::1]:5/').host == '[::1]')
             local none, why = url.parse '/relative'; assert(none == nil and why == 'relative URL without a base', why)");
    }

    #[test]
    fn references_are_joined_as_browsers_do() {
        run("assert(url.join('http://h/a/b?q', 'c') == 'http://h/a/c')
             assert(url.join('http://h/a/b', '../x?y=1') == 'http://h/x?y=1')
             assert(url.join('http://h/a', '//other/z') == 'http://other/z')
             assert(url.join('http://h/a', 'https://else/') == 'https://else/')
             local none, why = url.join('nonsense', 'x'); assert(none == nil and why)");
    }

    #[test]
    fn queries_are_built_in_a_stable_order_and_read_back() {
        run("assert(url.query { q = 'a b', n = 5, ok = true, list = { 1, 'x&y' } } == 'list=1&list=x%26y&n=5&ok=true&q=a%20b')
             assert(url.query {} == '')
             local t = url.parse_query '?q=a+b%21&n=5&n=6&n=7&flag'
             assert(t.q == 'a b!' and t.n[1] == '5' and t.n[3] == '7' and t.flag == '')
             assert(url.parse_query(url.query { a = '=&+' }).a == '=&+')");
    }

    #[test]
    fn a_mistake_is_raised_at_the_callers_line() {
        for (code, why) in [
            ("url.encode(nil)", "script:1: url.encode: a string or a number is needed, got nil"),
            ("url.parse({})", "script:1: url.parse: a string is needed, got table"),
            ("url.join('http://h', 5)", "script:1: url.join: two strings are needed"),
            ("url.query('a=b')", "script:1: url.query: a table is needed, got string"),
            ("url.query { a = print }", "script:1: url.query: `a` is a function"),
            ("url.query { a = { {} } }", "script:1: url.query: `a` is a table"),
        ] {
            let error = vm().load(code).set_name("=script").exec().unwrap_err().to_string();
            assert!(error.contains(why), "{code}: {error}");
        }
    }
}
