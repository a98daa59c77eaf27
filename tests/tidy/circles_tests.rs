//! The rule on circles, on a made-up tree.

use super::*;

/// The breaches of a tree of files.
fn told(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(*path, *text)).collect();
    circles(&sources).into_iter().map(|breach| breach.rule).collect()
}

fn has_circle(files: &[(&str, &str)]) -> bool {
    !told(files).is_empty()
}

#[test]
fn files_that_name_each_other_are_found_and_told_with_what_ties_them() {
    let files = [
        ("src/a/mod.rs", "mod one;\nmod two;\nmod three;"),
        ("src/a/one.rs", "use super::two::Two;\npub struct One(Two);"),
        ("src/a/two.rs", "pub struct Two;\nfn f() { super::three::three() }"),
        ("src/a/three.rs", "\nuse crate::a::one::One;\npub fn three() {}"),
    ];
    let told = told(&files);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("3 files name each other in a circle:"), "{told:?}");
    for tie in ["src/a/one.rs:1 -> src/a/two.rs: Two", "src/a/two.rs:2 -> src/a/three.rs: three", "src/a/three.rs:2 -> src/a/one.rs: One"] {
        assert!(told[0].contains(tie), "{tie}: {told:?}");
    }
}

#[test]
fn files_below_each_other_are_no_circle() {
    assert!(!has_circle(&[
        ("src/a/mod.rs", "mod one;\nmod two;\npub use one::One;\npub use two::Two;"),
        ("src/a/one.rs", "use super::Two;\npub struct One(Two);"),
        ("src/a/two.rs", "pub struct Two;"),
    ]));
}

#[test]
fn a_name_that_is_handed_on_leads_to_the_file_that_defines_it() {
    // `mod.rs` is in no circle; the two behind it are.
    let behind = [
        ("src/a/mod.rs", "mod one;\nmod two;\npub use one::One;\npub use two::*;"),
        ("src/a/one.rs", "use super::Two;\npub struct One(Two);"),
        ("src/a/two.rs", "use crate::a::One as First;\npub struct Two(First);"),
    ];
    assert!(told(&behind)[0].starts_with("2 files"));
    // A parent that names what it hands on is tied itself.
    let parent = |own: &str| format!("mod child;\npub use child::Child;\npub struct Parent;\n{own}");
    let child = ("src/a/child.rs", "use super::Parent;\npub struct Child(Parent);");
    assert!(!has_circle(&[("src/a/mod.rs", &parent("")), child]));
    assert!(!has_circle(&[("src/a/mod.rs", &parent("struct Field { Child: u8 }")), child]));
    assert!(has_circle(&[("src/a/mod.rs", &parent("fn f(child: Child) {}")), child]));
    assert!(has_circle(&[("src/a/mod.rs", &parent("fn f() { child::Child::new() }")), child]));
    let function = |own: &str| {
        let parent = format!("mod child;\npub use child::text;\npub struct Parent;\n{own}");
        has_circle(&[("src/a/mod.rs", &parent), ("src/a/child.rs", "pub fn text() { super::Parent }")])
    };
    assert!(function("fn f() { text() }"));
    assert!(!function("fn f(text: &str) { g(text) }"), "a value of the same name");
}

#[test]
fn a_circle_is_found_in_every_way_of_naming_a_file() {
    let with = |naming: &str| has_circle(&[("src/a.rs", "mod b;\npub struct A;\nfn f() { b::b() }"), ("src/a/b.rs", naming)]);
    assert!(with("use super::A;\npub fn b() {}"));
    assert!(with("use crate::{a::{self, A}};\npub fn b() {}"));
    assert!(with("pub fn b() -> crate::a::A {}"));
    assert!(with("pub fn b() { format!(\"{}\", super::A) }"));
    assert!(with("use crate::a;\npub fn b() { a::A }"));
    assert!(with("mod inner { use super::super::A; }\npub fn b() {}"));
    assert!(!with("pub fn b() {} // super::A"));
    assert!(!with("pub fn b() { \"crate::a::A\" }"));
    assert!(!with("pub(in crate::a) fn b() {}"));
    assert!(!with("use crate::a;\npub fn b() {}"));
    assert!(!with("use a::A;\npub fn b() {}"), "another crate");
}

#[test]
fn tests_may_name_whom_they_test() {
    assert!(!has_circle(&[
        ("src/a.rs", "mod b;\npub struct A;\nfn f() { b::b() }"),
        ("src/a/b.rs", "pub fn b() {}\n#[cfg(test)]\nmod tests { use crate::a::A; }"),
    ]));
    let mut tests = Source::new("src/a/tests.rs", "use super::A;\npub fn b() {}");
    tests.is_test = true;
    assert_eq!(circles(&[Source::new("src/a.rs", "mod tests;\npub struct A;\nfn f() { tests::b() }"), tests]), []);
}

#[test]
fn names_that_lead_in_a_circle_themselves_come_to_an_end() {
    assert!(!has_circle(&[("src/a.rs", "use b::c; use c::b; use log::log; fn f() { b::x(); log::y(); c() }")]));
}
