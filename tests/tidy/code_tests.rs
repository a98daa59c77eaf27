//! Each rule on code against a small sample that breaks it and one that does not.

use super::*;

const ROOMS: &[(&str, &[&str])] = &[("plan", &[]), ("stats", &["plan"]), ("load", &["plan", "stats"])];

fn lines(breaches: &[Breach]) -> Vec<usize> {
    breaches.iter().map(|breach| breach.line).collect()
}

fn layer_lines(path: &str, text: &str) -> Vec<usize> {
    lines(&layers(&Source::new(path, text), ROOMS, &["app", "lib"]))
}

#[test]
fn a_forbidden_room_is_found_in_every_way_of_naming_it() {
    assert_eq!(layer_lines("src/stats/table.rs", "use crate::load::Lane;"), [1]);
    assert_eq!(layer_lines("src/stats/table.rs", "\nuse crate::{plan::Plan,\nload::Lane};"), [3]);
    assert_eq!(layer_lines("src/stats/table.rs", "fn f() -> crate::load::Lane { }"), [1]);
    assert_eq!(layer_lines("src/stats/table.rs", "fn f() { format!(\"{}\", crate::load::LANES); }"), [1]);
    assert_eq!(layer_lines("src/stats/table.rs", "use super::super::load::Lane;"), [1]);
    assert_eq!(layer_lines("src/stats/mod.rs", "use super::load::Lane;"), [1]);
    assert_eq!(layer_lines("src/stats/mod.rs", "mod inner { use super::super::load::Lane; }"), [1]);
    assert_eq!(layer_lines("src/plan.rs", "use super::stats::Tally;"), [1]);
    assert_eq!(layer_lines("src/stats/table.rs", "use crate::app::run;"), [1]);
}

#[test]
fn an_allowed_room_and_a_module_of_the_same_name_are_left_alone() {
    assert_eq!(layer_lines("src/load/lane.rs", "use crate::{plan::Plan, stats};"), []);
    assert_eq!(layer_lines("src/stats/table.rs", "use crate::stats::sample; // crate::load"), []);
    assert_eq!(layer_lines("src/stats/table.rs", "use super::load::Weight; use self::load::X;"), []);
    assert_eq!(layer_lines("src/stats/table.rs", "const TEXT: &str = \"crate::load::Lane\";"), []);
    assert_eq!(layer_lines("src/app.rs", "use crate::load::Lane;"), []);
}

#[test]
fn a_file_outside_every_room_is_found() {
    assert_eq!(layer_lines("src/helpers.rs", ""), [1]);
}

const HOMES: &[(&str, &[&str])] = &[("mlua", &["script"]), ("http", &["protocol"]), ("serde", &["*"]), ("hdr", &["stats/histogram"])];

fn home_lines(path: &str, text: &str) -> Vec<usize> {
    lines(&homes(&Source::new(path, text), HOMES))
}

#[test]
fn a_crate_away_from_home_is_found() {
    assert_eq!(home_lines("src/load/lane.rs", "use mlua::Lua;"), [1]);
    assert_eq!(home_lines("src/load/lane.rs", "use mlua;"), [1]);
    assert_eq!(home_lines("src/load/lane.rs", "fn f(lua: ::mlua::Lua) { }"), [1]);
    assert_eq!(home_lines("src/load/lane.rs", "fn f(lua: &mlua::Lua) { }"), [1]);
    assert_eq!(home_lines("src/load/lane.rs", "fn f() -> &mut mlua::Lua { }"), [1]);
    assert_eq!(home_lines("src/stats/table.rs", "\nuse hdr::Histogram;"), [2]);
    assert_eq!(home_lines("src/scripted.rs", "use mlua::Lua;"), [1]);
}

#[test]
fn a_crate_at_home_and_a_module_of_its_name_are_left_alone() {
    assert_eq!(home_lines("src/script/vm.rs", "use mlua::Lua;"), []);
    assert_eq!(home_lines("src/stats/histogram.rs", "use hdr::Histogram;"), []);
    assert_eq!(home_lines("src/load/lane.rs", "use serde::Serialize;"), []);
    assert_eq!(home_lines("src/load/lane.rs", "#[cfg(test)] mod tests { use mlua::Lua; }"), []);
    assert_eq!(home_lines("src/load/lane.rs", "use crate::protocol::http; fn f() { http::send() }"), []);
    assert_eq!(home_lines("src/load/lane.rs", "use crate::protocol::{self, http}; fn f() { http::send() }"), []);
    assert_eq!(home_lines("src/load/lane.rs", "fn f() { crate::protocol::http::send() }"), []);
}

#[test]
fn a_missing_header_is_found() {
    assert_eq!(lines(&header(&Source::new("src/a.rs", "// Not one.\n"))), [1]);
    assert_eq!(header(&Source::new("src/a.rs", "//! What it owns.\n")), []);
}

#[test]
fn a_long_file_is_found_and_its_tests_are_not_counted() {
    let text = |code: usize, tests: usize| "//! A.\n".repeat(code) + "#[cfg(test)]\nmod tests {\n" + &"\n".repeat(tests) + "}\n";
    assert_eq!(sizes(&Source::new("src/a.rs", text(10, 50)), 10, 70), []);
    assert_eq!(lines(&sizes(&Source::new("src/a.rs", text(11, 0)), 10, 70)), [11]);
}

#[test]
fn a_long_function_is_found_wherever_it_stands() {
    let body = "\n".repeat(70);
    for text in [
        format!("\nfn f() {{{body}}}"),
        format!("\nimpl A {{ fn f() {{{body}}} }}"),
        format!("\ntrait A {{ fn f() {{{body}}} }}"),
        format!("\nfn g() {{ fn f() {{{body}}} }}"),
    ] {
        let breaches = sizes(&Source::new("src/a.rs", text.clone()), 500, 70);
        assert!(breaches.iter().any(|breach| breach.line == 2 && breach.rule.contains("`f` has 71 lines")), "{text:?}: {breaches:?}");
    }
    let short = format!("/// Docs.\n/// Docs.\nfn f() {{{}}}", "\n".repeat(69));
    assert_eq!(sizes(&Source::new("src/a.rs", short), 500, 70), []);
    let test = format!("#[cfg(test)]\nmod tests {{ fn f() {{{body}}} }}");
    assert_eq!(sizes(&Source::new("src/a.rs", test), 500, 70), []);
}

#[test]
fn an_unwrap_is_found_unless_it_is_in_a_test() {
    let found = |text: &str| lines(&unwraps(&Source::new("src/a.rs", text)));
    assert_eq!(found("fn f() {\n x.unwrap() }"), [2]);
    assert_eq!(found("fn f() { println!(\"{}\", x.unwrap()) }"), [1]);
    assert_eq!(found("#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }\nfn g() { x.unwrap() }"), [3]);
    assert_eq!(found("#[test]\nfn f() { x.unwrap() }"), []);
    assert_eq!(found("#[cfg(test)]\nuse a::b;\nfn g() { x.unwrap() }"), [3]);
    assert_eq!(found("#[cfg(not(test))]\nfn g() { x.unwrap() }"), [2]);
    assert_eq!(found("fn f() { x.unwrap_or(1); y.unwrap_or_default() } // .unwrap()"), []);
    let mut whole = Source::new("src/load/testing.rs", "fn f() { x.unwrap() }");
    whole.is_test = true;
    assert_eq!(unwraps(&whole), []);
}

#[test]
fn an_allow_is_found_inside_and_outside_of_tests() {
    let found = |text: &str| lines(&allows(&Source::new("src/a.rs", text)));
    assert_eq!(found("#[allow(dead_code)] fn f() {}"), [1]);
    assert_eq!(found("#![allow(dead_code)]"), [1]);
    assert_eq!(found("#[cfg(test)]\nmod tests {\n#[allow(dead_code)] fn f() {} }"), [3]);
    assert_eq!(found("#[cfg_attr(test, allow(dead_code))] fn f() {}"), [1]);
    assert_eq!(found("#[expect(dead_code, reason = \"allow(x)\")] fn allow() {} // #[allow(x)]"), []);
}

#[test]
fn a_stub_is_found() {
    let found = |text: &str| lines(&stubs(&Source::new("src/a.rs", text)));
    assert_eq!(found("fn f() {\n todo!() }"), [2]);
    assert_eq!(found("fn f() { unimplemented!(\"later\") }\nfn g() { dbg!(1) }"), [1, 2]);
    assert_eq!(found("fn todo() { let text = \"todo!()\"; } // todo!()"), []);
}

#[test]
fn a_breach_says_place_rule_and_way_out() {
    let breach = &header(&Source::new("src/a.rs", ""))[0];
    let text = breach.to_string();
    assert!(text.starts_with("src/a.rs:1: no `//!` header\n") && text.contains("way out: begin the file"), "{text}");
}
