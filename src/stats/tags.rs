//! Tags of requests: they stand at the end of an entry's name, as in `/cart {kind:read}`, so that an entry is all samples of one method, name and
//! set of tags; and thresholds select by them: `http_req_duration{kind:read}`.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is wrong with a tag, in words for people; `None` where nothing is.
#[must_use]
pub fn mistake_in(key: &str, value: &str) -> Option<String> {
    let starts_well = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') || key.len() > LONGEST {
        return Some(format!("`{}` is no name of a tag: letters, digits and `_`, as in kind = \"read\"", key.escape_debug()));
    }
    if RESERVED.contains(&key) {
        return Some(format!("`{key}` has a meaning of its own in selectors: give the tag another name"));
    }
    if !is_fit(value) {
        return Some(format!(
            "the tag `{key}` has the value {value:?}: 1 to {LONGEST} bytes are needed, without braces, commas, colons, quotes and blanks at the ends"
        ));
    }
    None
}

/// Whether a text can be the value of a tag, and so the name of a profile.
#[must_use]
pub fn is_fit(value: &str) -> bool {
    let is_bad = |letter: char| matches!(letter, '{' | '}' | ',' | ':' | '"') || letter.is_control();
    !value.is_empty() && value.len() <= LONGEST && !value.contains(is_bad) && value.trim() == value
}

/// Tags as they stand behind a name; they have no mistakes. Nothing where there is none.
#[must_use]
pub fn text_of(tags: &BTreeMap<String, String>) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A name with such a text behind it.
#[must_use]
pub fn tagged<'a>(name: Cow<'a, str>, text: &str) -> Cow<'a, str> {
    if text.is_empty() { name } else { Cow::Owned(format!("{name} {text}")) }
}

/// Such a text with the tag of a side before the others.
#[must_use]
pub fn on_side(side: &str, text: &str) -> String {
    match text.strip_prefix('{') {
        Some(others) => format!("{{{SIDE}:{side},{others}"),
        None => format!("{{{SIDE}:{side}}}"),
    }
}

/// A name without the tag of its side, and that side; the name as it is and `None` where it has none.
#[must_use]
pub fn take_side(name: &str) -> (Cow<'_, str>, Option<&str>) {
    let (plain, tags) = split(name);
    let Some((_, side)) = tags.into_iter().find(|(key, _)| *key == SIDE) else { return (Cow::Borrowed(name), None) };
    let others: Vec<String> = split(name).1.filter(|(key, _)| *key != SIDE).map(|(key, value)| format!("{key}:{value}")).collect();
    let others = if others.is_empty() { String::new() } else { format!("{{{}}}", others.join(",")) };
    (Cow::Owned(tagged(Cow::Borrowed(plain), &others).into_owned()), Some(side))
}

/// A name without its tags, and those.
pub fn split(name: &str) -> (&str, impl Iterator<Item = (&str, &str)>) {
    let tags = name.strip_suffix('}').and_then(|rest| rest.rsplit_once(" {"));
    let tags = tags.filter(|(_, tags)| tags.split(',').all(|tag| tag.split_once(':').is_some_and(|(key, value)| is_tag(key, value))));
    let (name, tags) = tags.unwrap_or((name, ""));
    (name, tags.split(',').filter_map(|tag| tag.split_once(':')))
}

/// Of all profiles' requests where they have names: which one.
pub const PROFILE: &str = "profile";
/// Of the requests of a run of two sides, but for those that went to neither: which one.
pub const SIDE: &str = "ab";

fn is_tag(key: &str, value: &str) -> bool {
    if key == PROFILE || key == SIDE { is_fit(value) } else { mistake_in(key, value).is_none() }
}

/// What selectors mean already, here or in other tools; a tag of such a name would be looked for in vain.
pub const RESERVED: [&str; 21] = [
    "name",
    "method",
    "url",
    "status",
    "error",
    "error_code",
    "expected_response",
    "group",
    "check",
    "scenario",
    "profile",
    "class",
    "task",
    "worker",
    "proto",
    "subproto",
    "tls_version",
    "vu",
    "iter",
    "host",
    SIDE,
];
/// Bytes of a tag's name, and of its value.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_behind_a_name_in_the_order_of_their_keys_and_come_off_it_again() {
        let tags = BTreeMap::from([("team".to_owned(), "a b".to_owned()), ("kind".to_owned(), "read".to_owned())]);
        let name = tagged("/cart".into(), &text_of(&tags));
        assert_eq!(name, "/cart {kind:read,team:a b}");
        let (plain, found) = split(&name);
        assert_eq!((plain, found.collect::<Vec<_>>()), ("/cart", vec![("kind", "read"), ("team", "a b")]));
        assert_eq!(tagged("/cart".into(), &text_of(&BTreeMap::new())), "/cart");
        for plain in ["/cart", "a {b}", "a {}", "/x {name:y}", "{a:b}", "x {a:b}c"] {
            assert_eq!((split(plain).0, split(plain).1.count()), (plain, 0), "{plain}");
        }
    }

    #[test]
    fn the_tag_of_a_side_stands_before_the_others_and_comes_off_again() {
        for (tags, whole) in [("", "/cart {ab:a}"), ("{kind:read,team:x}", "/cart {ab:a,kind:read,team:x}")] {
            let name = tagged("/cart".into(), &on_side("a", tags));
            assert_eq!(name, whole);
            assert_eq!(take_side(&name), (tagged("/cart".into(), tags), Some("a")));
        }
        for name in ["/cart", "/cart {kind:read}", "a {b}"] {
            assert_eq!(take_side(name), (name.into(), None));
        }
    }

    #[test]
    fn a_tag_that_no_selector_could_name_is_a_mistake() {
        assert_eq!(mistake_in("kind", "read"), None);
        for (key, value) in [
            ("", "a"),
            ("1st", "a"),
            ("a-b", "a"),
            ("name", "a"),
            ("k", ""),
            ("k", "a,b"),
            ("k", "a:b"),
            ("k", "{a}"),
            ("k", " a"),
            ("k", "a\nb"),
        ] {
            assert!(mistake_in(key, value).is_some(), "{key}={value}");
        }
    }
}
