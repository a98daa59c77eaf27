//! The header fields of an answer, kept as the block that came and searched only when somebody asks.

use std::borrow::Cow;

/// The header fields of an answer, kept as one block and searched when asked.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// Lines `name: value`, each ended by a line feed. Invariant: a parser has accepted it.
    block: Box<[u8]>,
    /// A field `set-cookie` is among them: asked for after each answer, so it is noted while the head is parsed.
    sets_cookies: bool,
}

impl Headers {
    /// Takes the block behind a status line, up to and with the empty line; a parser has accepted it and knows whether it sets cookies.
    pub(super) fn from_block(block: &[u8], sets_cookies: bool) -> Self {
        Self { block: block.into(), sets_cookies }
    }

    /// The first value of `name`, any case; bytes as they came.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All values of `name`, any case, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields().filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All fields in order; names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
        self.fields().map(|(name, value)| {
            let name = String::from_utf8_lossy(name);
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) { (Cow::Owned(name.to_ascii_lowercase()), value) } else { (name, value) }
        })
    }

    /// Whether the body is an event stream, which has no end of its own.
    pub(super) fn are_of_event_stream(&self) -> bool {
        let media_type = self.get("content-type").and_then(|value| value.split(|&byte| byte == b';').next());
        media_type.is_some_and(|media_type| media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
    }

    /// Whether there is a field `set-cookie`.
    #[must_use]
    pub fn sets_cookies(&self) -> bool {
        self.sets_cookies
    }

    /// The block as it came: lines `name: value`, each ended by a line feed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.block
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.block.split(|&byte| byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_any_case_and_listed_in_lower_case() {
        let headers = Headers::from_block(b"Content-Type: text/html\r\nSet-Cookie: a=b:c\nset-cookie:  d=e  \r\nEmpty:\r\n\r\n", true);
        assert_eq!(headers.get("CONTENT-TYPE"), Some(&b"text/html"[..]));
        assert_eq!(headers.all("Set-Cookie").collect::<Vec<_>>(), [&b"a=b:c"[..], b"d=e"]);
        assert_eq!(headers.get("empty"), Some(&b""[..]));
        assert_eq!(headers.get("none"), None);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["content-type", "set-cookie", "set-cookie", "empty"]);
    }
}
