//! `json.lua` over its natives in a plain VM, the seams for Rust, and properties of reading and writing.

use mlua::{Lua, Table, Value};
use proptest::prelude::*;

use super::{decode_path, encode_to_vec, lookup, register, same, steps_of};

fn vm() -> Lua {
    let lua = Lua::new();
    let natives = register(&lua).unwrap();
    let module: Table = lua.load(include_str!("../../../../lua-stdlib/json.lua")).set_name("=json").call(natives).unwrap();
    lua.globals().set("json", module).unwrap();
    lua
}

fn run(code: &str) {
    vm().load(code).set_name("=script").exec().unwrap();
}

fn text(code: &str) -> String {
    vm().load(code).set_name("=script").eval().unwrap()
}

fn fails(code: &str) -> String {
    vm().load(code).set_name("=script").exec().unwrap_err().to_string()
}

#[test]
fn values_are_written_with_sorted_keys() {
    assert_eq!(
        text("return json.encode { b = 1, a = { true, false, json.null }, c = { z = 'x', y = { } } }"),
        r#"{"a":[true,false,null],"b":1,"c":{"y":{},"z":"x"}}"#
    );
    assert_eq!(text("return json.encode(nil) .. json.encode('a') .. json.encode(1.5) .. json.encode(true)"), r#"null"a"1.5true"#);
}

#[test]
fn indenting_breaks_lines() {
    assert_eq!(text("return json.encode({ a = { 1, 2 }, b = {} }, { indent = 2 })"), "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

#[test]
fn numbers_are_written_as_other_readers_expect_them() {
    for (lua, json) in [
        ("1", "1"),
        ("-0", "0"),
        ("0.1", "0.1"),
        ("1e15", "1000000000000000"),
        ("2^53", "9007199254740992"),
        ("2^60", "1152921504606846976"),
        ("1e21", "1e21"),
        ("1.5e-9", "1.5e-9"),
        ("-123.25", "-123.25"),
    ] {
        assert_eq!(text(&format!("return json.encode({lua})")), json, "{lua}");
    }
}

#[test]
fn strings_are_escaped() {
    assert_eq!(text(r#"return json.encode('a"\\\n\t\r\b\f\1\0ä')"#), "\"a\\\"\\\\\\n\\t\\r\\b\\f\\u0001\\u0000ä\"");
}

#[test]
fn an_empty_list_stays_a_list() {
    assert_eq!(text("return json.encode { json.list(), json.list {}, {}, json.list { 1 } }"), "[[],[],{},[1]]");
    assert_eq!(text("return json.encode(json.decode('{\"a\":[],\"b\":{}}'))"), r#"{"a":[],"b":{}}"#);
    run("local t = json.list(json.list()); t[1] = 5; assert(#t == 1 and json.encode(t) == '[5]')");
}

#[test]
fn a_list_that_was_filled_out_of_order_is_a_list() {
    assert_eq!(text("local t = {}; t[3] = 3; t[2] = 2; t[1] = 1; return json.encode(t)"), "[1,2,3]");
}

#[test]
fn what_json_cannot_hold_is_raised_at_the_callers_line_with_its_place() {
    for (code, why) in [
        ("json.encode(print)", "script:1: json.encode: a function has no place in JSON"),
        ("json.encode { a = { { f = print } } }", "a function has no place in JSON (at a[1].f)"),
        ("json.encode { 0/0 }", "NaN has no place in JSON (at [1])"),
        ("json.encode { x = 1/0 }", "an infinite number has no place in JSON (at x)"),
        ("json.encode { [1] = 1, [5] = 5 }", "a list with holes"),
        ("json.encode { [10] = 1 }", "a list with holes (key 10 of a list of 0)"),
        ("json.encode { 1, a = 2 }", "both list elements and named members"),
        ("json.encode { [true] = 2 }", "keys that are neither strings nor the numbers of a list"),
        ("json.encode(json.list { a = 1 })", "both list elements and named members"),
        ("local t = {}; t.t = t; json.encode(t)", "a table that contains itself (at t)"),
        ("local t = {}; for _ = 1, 128 do t = { t } end; json.encode(t)", "nested deeper than 128 levels"),
        ("json.encode '\\255'", "a string that is not UTF-8 (its byte 1)"),
        ("json.encode { ['\\255'] = 1 }", "a string that is not UTF-8"),
        ("json.encode(coroutine.create(print))", "a thread has no place in JSON"),
        ("json.encode({}, { indnt = 2 })", "script:1: json.encode: unknown option `indnt`; there is `indent`"),
        ("json.encode({}, 2)", "script:1: json.encode: the options must be a table"),
        ("json.decode(5)", "script:1: json.decode: a string is needed, got number"),
        ("json.decode('1', { big_integers = 1 })", "script:1: json.decode: `big_integers` must be"),
        ("json.list(5)", "script:1: json.list: a table is needed"),
        ("json.list(setmetatable({}, {}))", "script:1: json.list: this table has a metatable of its own"),
    ] {
        let error = fails(code);
        assert!(error.contains(why), "{code}: {error}");
    }
    run("local t = {}; for _ = 1, 127 do t = { t } end; assert(json.decode(json.encode(t)))");
}

#[test]
fn one_table_may_stand_in_two_places() {
    assert_eq!(text("local t = { 1 }; return json.encode { t, t }"), "[[1],[1]]");
}

#[test]
fn texts_become_values() {
    run(r#"
        local v = json.decode('{"a":[1,2.5,-3e2],"s":"\\u00e4\\n","t":true,"f":false,"n":null,"e":""}')
        assert(v.a[1] == 1 and v.a[2] == 2.5 and v.a[3] == -300 and #v.a == 3)
        assert(v.s == "ä\n" and v.t == true and v.f == false and v.n == json.null and v.e == "")
        assert(v.n, "null counts as true")
        assert(json.decode('5') == 5 and json.decode('null') == json.null)
        assert(json.decode('{"a":1,"a":2}').a == 2)
    "#);
}

#[test]
fn a_bad_text_gives_nil_and_why() {
    run(r#"
        local value, why = json.decode('{"a":1,}')
        assert(value == nil and why == "not valid JSON: line 1, column 8: a key in double quotes was expected", why)
        local value, why = json.decode('1e999')
        assert(value == nil and why:find("out of range"), why)
        local value, why = json.decode('["\255"]')
        assert(value == nil and why:find("not UTF%-8"), why)
        local value, why = json.decode(("["):rep(129) .. ("]"):rep(129))
        assert(value == nil and why:find("deeper than 128"), why)
    "#);
}

#[test]
fn big_integers_keep_their_digits_on_request() {
    run(r#"
        local text = '[9007199254740991,9007199254740993,-12345678901234567890,1.5,1e300]'
        local v = json.decode(text, { big_integers = "string" })
        assert(v[1] == 9007199254740991 and v[2] == "9007199254740993" and v[3] == "-12345678901234567890" and v[4] == 1.5 and v[5] == 1e300)
        assert(json.decode(text)[2] == 9007199254740992)
    "#);
}

#[test]
fn decoding_works_in_a_coroutine_and_under_a_memory_limit() {
    let lua = vm();
    lua.load("local co = coroutine.wrap(function() return json.encode(json.decode('[{\"a\":[1]}]')) end); assert(co() == '[{\"a\":[1]}]')")
        .exec()
        .unwrap();
    lua.globals().set("big", format!("[{}1]", "[\"some text\"],".repeat(200_000))).unwrap();
    if lua.set_memory_limit(lua.used_memory() + (1 << 20)).is_ok() {
        assert!(lua.load("return json.decode(big)").exec().is_err());
        lua.set_memory_limit(0).unwrap();
        lua.load("collectgarbage(); assert(#json.decode(big) == 200001)").exec().unwrap();
    }
}

#[test]
fn rust_picks_values_for_lua_by_path() {
    let lua = vm();
    let body = br#"{"items":[{"id":7,"a.b":"dot"}],"none":null,"empty":[]}"#;
    assert_eq!(decode_path(&lua, body, Some("items.0.id"), false).unwrap().as_i64(), Some(7));
    assert_eq!(decode_path(&lua, body, Some("items.0.a\\.b"), false).unwrap().to_string().unwrap(), "dot");
    assert_eq!(decode_path(&lua, body, Some("none"), false).unwrap(), Value::NULL);
    assert_eq!(decode_path(&lua, body, Some("items.1.id"), false).unwrap_err(), "there is nothing at `items.1.id` in the JSON");
    assert!(decode_path(&lua, b"<html>", Some("a"), false).unwrap_err().starts_with("not valid JSON: line 1, column 1"));
    let whole = decode_path(&lua, body, None, false).unwrap();
    assert_eq!(encode_to_vec(&lua, &whole).unwrap(), br#"{"empty":[],"items":[{"a.b":"dot","id":7}],"none":null}"#);
    assert!(decode_path(&lua, b"[[[", None, false).is_err());
}

#[test]
fn paths_work_in_a_vm_that_never_required_json() {
    let lua = Lua::new();
    let value = decode_path(&lua, b"{\"a\":[]}", None, false).unwrap();
    assert_eq!(encode_to_vec(&lua, &value).unwrap(), b"{\"a\":[]}");
    assert!(encode_to_vec(&lua, &Value::Number(f64::NAN)).unwrap_err().contains("NaN"));
}

#[test]
fn rust_looks_values_up_without_lua() {
    let body = br#"{"price":1.50,"tags":["a"],"big":12345678901234567890123}"#;
    let price = lookup(body, "price").unwrap().unwrap();
    assert!(same(&price, &serde_json::json!(1.5)));
    assert!(!same(&price, &serde_json::json!(1.51)));
    assert!(same(&lookup(body, "tags").unwrap().unwrap(), &serde_json::json!(["a"])));
    assert_eq!(lookup(body, "tags.1").unwrap(), None);
    assert!(lookup(b"{", "a").is_err());
    let one: serde_json::Value = serde_json::from_str(r#"{"a":1,"b":2e0}"#).unwrap();
    let other: serde_json::Value = serde_json::from_str(r#"{"b":2,"a":1.0}"#).unwrap();
    assert!(same(&one, &other));
}

#[test]
fn a_backslash_takes_the_next_letter_as_it_is() {
    assert_eq!(steps_of("a.0.b"), ["a", "0", "b"]);
    assert_eq!(steps_of(r"a\.b.c\\d"), ["a.b", r"c\d"]);
}

fn json_values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-(1_i64 << 53)..(1_i64 << 53)).prop_map(Into::into),
        any::<f64>().prop_filter("JSON has finite numbers only", |number| number.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_decoded_and_encoded_again_means_the_same(value in json_values()) {
        let lua = Lua::new();
        let decoded = decode_path(&lua, value.to_string().as_bytes(), None, false).unwrap();
        let encoded = encode_to_vec(&lua, &decoded).unwrap();
        let back: serde_json::Value = serde_json::from_slice(&encoded).unwrap();
        prop_assert!(same(&value, &back), "{value} became {back}");
        prop_assert_eq!(encode_to_vec(&lua, &decode_path(&lua, &encoded, None, false).unwrap()).unwrap(), encoded);
    }

    #[test]
    fn what_serde_reads_we_read_and_nothing_else(text in "[\\[\\]{},:\"0-9.eE+\\-tfnulrasd\\\\ \u{e4}]{0,12}") {
        let ours = lookup(text.as_bytes(), "").is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let lua = Lua::new();
        let _ = decode_path(&lua, &bytes, None, false);
        let _ = decode_path(&lua, &bytes, Some("a.0"), false);
    }
}

#[test]
fn a_64_bit_integer_is_written_by_its_digits_wherever_a_number_may_stand() {
    let why = crate::script::bindings::testing::raised(
        r#"
        assert(json.encode { id = 9007199254740993LL, list = json.list { -1LL, 18446744073709551615ULL } } ==
          '{"id":9007199254740993,"list":[-1,18446744073709551615]}')
        assert(json.encode(7LL) == "7")
        assert(url.query { id = 9007199254740993LL, ids = { 1ULL, 2 } } == "id=9007199254740993&ids=1&ids=2")
        assert(url.encode(-5LL) == "-5")
        local ok, why = pcall(json.encode, { 1i })
        assert(not ok and why:find("a cdata has no place in JSON", 1, true), why)
        "#,
    );
    assert_eq!(why, None);
}
