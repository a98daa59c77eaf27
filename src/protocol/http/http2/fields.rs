//! The table of header fields that both ends of a connection keep by HPACK (RFC 7541, section 2.3): the static part and the dynamic one.

use std::collections::VecDeque;

/// The fields that an end has told the other to remember, newest first.
#[derive(Debug)]
pub(super) struct Table {
    /// Where each stands in `text`.
    fields: VecDeque<Field>,
    /// Names and values, one behind the other; those at the beginning may be forgotten.
    text: Vec<u8>,
    /// Bytes by the standard's count: name, value, and 32 for each.
    size: usize,
    max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    begin: usize,
    name: usize,
    value: usize,
}

impl Table {
    /// Empty, with room for `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self { fields: VecDeque::new(), text: Vec::new(), size: 0, max }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The field with this number, which counts from 1: the static ones first.
    pub(super) fn get(&self, number: usize) -> Option<(&[u8], &[u8])> {
        match number.checked_sub(STATIC.len() + 1) {
            None => STATIC.get(number.checked_sub(1)?).map(|(name, value)| (name.as_bytes(), value.as_bytes())),
            Some(place) => self.fields.get(place).map(|field| self.text_of(*field)),
        }
    }

    fn text_of(&self, field: Field) -> (&[u8], &[u8]) {
        self.text[field.begin..][..field.name + field.value].split_at(field.name)
    }

    /// The number of a field, and whether its value is this one too.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<(usize, bool)> {
        let fixed = STATIC.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let all = fixed.chain(self.fields.iter().map(|field| self.text_of(*field)));
        let mut named = None;
        for (place, (known, its)) in all.enumerate() {
            if known == name {
                if its == value {
                    return Some((place + 1, true));
                }
                named = named.or(Some((place + 1, false)));
            }
        }
        named
    }

    /// Remembers a field; older ones go where there is no room, and one that is too large leaves an empty table.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        self.evict(self.max.saturating_sub(size));
        if size <= self.max {
            self.forget();
            self.size += size;
            self.fields.push_front(Field { begin: self.text.len(), name: name.len(), value: value.len() });
            self.text.extend_from_slice(name);
            self.text.extend_from_slice(value);
        }
    }

    /// As [`Self::add`], with the name of the field that has this number. False where there is none.
    #[must_use]
    pub(super) fn add_named(&mut self, number: usize, value: &[u8]) -> bool {
        let Some(place) = number.checked_sub(STATIC.len() + 1) else {
            let Some((name, _)) = number.checked_sub(1).and_then(|place| STATIC.get(place)) else { return false };
            self.add(name.as_bytes(), value);
            return true;
        };
        let Some(field) = self.fields.get(place) else { return false };
        // It may go with the oldest, and its name is still meant (section 4.4).
        let name = self.text_of(*field).0.to_vec();
        self.add(&name, value);
        true
    }

    /// There is room for `max` bytes from here on.
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict(max);
    }

    fn evict(&mut self, room: usize) {
        while self.size > room {
            let Some(oldest) = self.fields.pop_back() else { break };
            self.size -= oldest.name + oldest.value + OVERHEAD;
        }
    }

    /// Gives the room of what was evicted back, once that is worth the move.
    fn forget(&mut self) {
        let begin = self.fields.back().map_or(self.text.len(), |oldest| oldest.begin);
        if begin >= FORGOTTEN_MOST {
            self.text.drain(..begin);
            for field in &mut self.fields {
                field.begin -= begin;
            }
        }
    }
}

/// Text that nobody refers to any more.
const FORGOTTEN_MOST: usize = 1 << 10;

/// What each entry is counted with beside its text (RFC 7541, section 4.1).
pub(super) const OVERHEAD: usize = 32;

/// Room of a table that nobody has said anything of.
pub(super) const DEFAULT_SIZE: usize = 4096;

/// RFC 7541, appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"),
    (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"),
    ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
    ("content-encoding", ""), ("content-language", ""), ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
    ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
    ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""),
    ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""),
    ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

/// Where names and values of requests stand in the static table.
pub(super) mod known {
    pub(in super::super) const PATH: usize = 4;
    pub(in super::super) const SCHEME_HTTP: usize = 6;
    pub(in super::super) const SCHEME_HTTPS: usize = 7;
    pub(in super::super) const CONTENT_LENGTH: usize = 28;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_standard() {
        let table = Table::new(DEFAULT_SIZE);
        for (number, name, value) in [
            (1, ":authority", ""),
            (2, ":method", "GET"),
            (3, ":method", "POST"),
            (known::PATH, ":path", "/"),
            (known::SCHEME_HTTP, ":scheme", "http"),
            (known::SCHEME_HTTPS, ":scheme", "https"),
            (8, ":status", "200"),
            (14, ":status", "500"),
            (16, "accept-encoding", "gzip, deflate"),
            (known::CONTENT_LENGTH, "content-length", ""),
            (61, "www-authenticate", ""),
        ] {
            assert_eq!(table.get(number), Some((name.as_bytes(), value.as_bytes())));
        }
        assert_eq!((table.get(0), table.get(62)), (None, None));
        let names: std::collections::BTreeSet<_> = STATIC[14..].iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 47, "no name but those of pseudo fields comes twice");
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut table = Table::new(100);
        table.add(b"a", b"1");
        table.add(b"b", b"2");
        assert_eq!((table.get(62), table.get(63)), (Some((&b"b"[..], &b"2"[..])), Some((&b"a"[..], &b"1"[..]))));
        assert_eq!((table.find(b"a", b"1"), table.find(b"a", b"9"), table.find(b"c", b"")), (Some((63, true)), Some((63, false)), None));
        table.add(b"c", b"3");
        assert_eq!((table.get(63).unwrap().0, table.get(64)), (&b"b"[..], None));
        table.add(b"large", &[b'x'; 100]);
        assert_eq!((table.get(62), table.size), (None, 0));
        table.add(b"d", b"4");
        table.resize(33);
        assert_eq!(table.get(62), None);
        table.add(b"e", b"");
        assert!(table.get(62).is_some());
    }

    #[test]
    fn what_is_added_for_ever_takes_no_more_room() {
        let mut table = Table::new(500);
        for number in 0..10_000_usize {
            let value = number.to_string().repeat(number % 7);
            table.add(b"name", value.as_bytes());
            assert_eq!(table.get(62), Some((&b"name"[..], value.as_bytes())));
            assert!(table.text.len() < FORGOTTEN_MOST + 500);
        }
    }
}
