//! Keys, as a screen knows them: made from the bytes that a terminal sends, be it this process's or an ssh client's.

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those on the keys")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// Reads keys out of the bytes of a terminal, which may come in any pieces. Keeps at most one unfinished sequence.
#[derive(Debug, Default)]
pub struct KeyReader {
    pending: Vec<u8>,
}

impl KeyReader {
    /// Takes bytes in, and gives the keys that they complete.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut used = 0;
        while used < self.pending.len() {
            let Some((length, key)) = first_key(&self.pending[used..]) else { break };
            used += length;
            keys.extend(key);
        }
        self.pending.drain(..used);
        if self.pending.len() > PENDING_MAX {
            self.pending.clear();
        }
        keys
    }

    /// Whether an escape waits for what may follow it.
    #[must_use]
    pub fn is_in_escape(&self) -> bool {
        self.pending.first() == Some(&ESC)
    }

    /// Nothing followed the escape: it was the key itself.
    pub fn settle(&mut self) -> Option<Key> {
        let was_in_escape = self.is_in_escape();
        self.pending.clear();
        was_in_escape.then_some(Key::Esc)
    }
}

/// The length and the meaning of what `bytes` begin with; `None` while it is incomplete.
fn first_key(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let key = match bytes[0] {
        ESC => return escape_sequence(bytes),
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        control @ 1..=26 => Key::Ctrl(char::from(control - 1 + b'a')),
        control if control < b' ' => return Some((1, None)),
        first => {
            let length = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let text = bytes.get(..length)?;
            return Some(match std::str::from_utf8(text) {
                Ok(text) => (length, text.chars().next().map(Key::Char)),
                Err(_) => (1, None),
            });
        }
    };
    Some((1, Some(key)))
}

fn escape_sequence(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    match bytes.get(1)? {
        b'O' => Some((3, named(*bytes.get(2)?))),
        b'[' => {
            let end = 2 + bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let parameter = bytes[2..end].split(|byte| *byte == b';').next().unwrap_or_default();
            let key = match (bytes[end], parameter) {
                (b'~', b"1" | b"7") => Some(Key::Home),
                (b'~', b"4" | b"8") => Some(Key::End),
                (b'~', b"3") => Some(Key::Delete),
                (b'~', b"5") => Some(Key::PageUp),
                (b'~', b"6") => Some(Key::PageDown),
                (letter, _) => named(letter),
            };
            Some((end + 1, key))
        }
        // Two escapes, or Alt and a key: the escape counts by itself.
        _ => Some((1, Some(Key::Esc))),
    }
}

const fn named(letter: u8) -> Option<Key> {
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'Z' => Key::BackTab,
        b'M' => Key::Enter,
        _ => return None,
    })
}

const ESC: u8 = 0x1b;

/// No sequence that means a key is longer.
const PENDING_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_keys_in_whatever_pieces_they_come() {
        let bytes = "q\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x03\r\té\x7f\x1b[Z".as_bytes();
        let expected = [
            Key::Char('q'),
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::Right,
            Key::Ctrl('c'),
            Key::Enter,
            Key::Tab,
            Key::Char('é'),
            Key::Backspace,
            Key::BackTab,
        ];
        assert_eq!(KeyReader::default().read(bytes), expected);
        let mut reader = KeyReader::default();
        let one_by_one: Vec<Key> = bytes.iter().flat_map(|byte| reader.read(&[*byte])).collect();
        assert_eq!(one_by_one, expected);
    }

    #[test]
    fn an_escape_by_itself_is_a_key_once_nothing_follows() {
        let mut reader = KeyReader::default();
        assert_eq!(reader.read(b"\x1b"), []);
        assert!(reader.is_in_escape());
        assert_eq!(reader.settle(), Some(Key::Esc));
        assert_eq!(reader.read(b"x"), [Key::Char('x')]);
    }

    #[test]
    fn an_endless_sequence_is_forgotten() {
        let mut reader = KeyReader::default();
        assert_eq!(reader.read(b"\x1b["), []);
        assert_eq!(reader.read(&[b'1'; 1000]), []);
        assert_eq!(reader.read(b"q"), [Key::Char('q')]);
        assert_eq!(KeyReader::default().read(&[0xff, 0xfe, b'a']), [Key::Char('a')]);
    }
}
