//! The default name of an entry: the path without its query, with what looks like an identifier folded to `:id`.
//!
//! A host other than the scenario's is put in front by the caller.

use std::borrow::Cow;

/// The default name of a request to `path`; a query or fragment behind it is cut off.
///
/// A segment is folded if it is a number, a UUID, or at least 16 hexadecimal digits with a decimal one among them.
#[must_use]
pub fn default_name(path: &str) -> Cow<'_, str> {
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    if path.is_empty() {
        return Cow::Borrowed("/");
    }
    if !path.split('/').any(is_identifier) {
        return Cow::Borrowed(path);
    }
    let mut name = String::with_capacity(path.len());
    for (place, segment) in path.split('/').enumerate() {
        if place > 0 {
            name.push('/');
        }
        name.push_str(if is_identifier(segment) { ":id" } else { segment });
    }
    Cow::Owned(name)
}

fn is_identifier(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    // Most segments begin with a letter beyond `f` and are done here.
    match bytes.first() {
        Some(first) if first.is_ascii_hexdigit() => {}
        _ => return false,
    }
    if bytes.iter().all(u8::is_ascii_digit) {
        return true;
    }
    is_uuid(bytes) || (bytes.len() >= LONG_HEX && bytes.iter().all(u8::is_ascii_hexdigit) && bytes.iter().any(u8::is_ascii_digit))
}

/// Whether it is 8-4-4-4-12 hexadecimal digits.
fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Hexadecimal digits from which on a segment is an identifier: shorter ones may be words, such as `decade`.
const LONG_HEX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_folded_and_words_are_not() {
        for (path, name) in [
            ("/", "/"),
            ("", "/"),
            ("?q=1", "/"),
            ("/cart", "/cart"),
            ("/cart?id=7", "/cart"),
            ("/cart#top", "/cart"),
            ("/products/17", "/products/:id"),
            ("/products/17/", "/products/:id/"),
            ("/17/reviews/4?page=2", "/:id/reviews/:id"),
            ("/users/6f9619ff-8b86-d011-b42d-00cf4fc964ff", "/users/:id"),
            ("/users/6F9619FF-8B86-D011-B42D-00CF4FC964FF/cart", "/users/:id/cart"),
            ("/users/6f9619ff-8b86-d011-b42d-00cf4fc964f", "/users/6f9619ff-8b86-d011-b42d-00cf4fc964f"),
            ("/blob/deadbeefdeadbee1", "/blob/:id"),
            ("/blob/deadbeefdeadbeef", "/blob/deadbeefdeadbeef"),
            ("/blob/deadbeef1", "/blob/deadbeef1"),
            ("/v1/decade", "/v1/decade"),
            ("/17a", "/17a"),
            ("/-5", "/-5"),
            ("//", "//"),
            ("/straße/9", "/straße/:id"),
        ] {
            assert_eq!(default_name(path), name, "{path}");
        }
    }

    #[test]
    fn a_path_without_identifiers_is_not_copied() {
        assert!(matches!(default_name("/a/b/facade?x=1"), Cow::Borrowed("/a/b/facade")));
    }
}
