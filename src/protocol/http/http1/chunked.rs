//! The chunked transfer coding, decoded as it comes, from any split of the bytes.

use crate::protocol::http::classify::Failure;

/// Where in a chunked body the reader stands.
///
/// | state | next |
/// |---|---|
/// | `Size` | hexadecimal digits, then `SizeEnd` or `Extension` |
/// | `Extension` | anything up to the line's end |
/// | `SizeEnd` | the line feed; `Data`, or `Trailer` after size 0 |
/// | `Data` | that many bytes, then `DataCr`, `DataLf`, `Size` |
/// | `Trailer` | lines up to an empty one, then `Done` |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    SizeSpace,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Trailer { line_bytes: u32 },
    TrailerEnd { is_last: bool },
    Done,
}

/// A chunked body under way.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Of the chunk: bytes to come.
    left: u64,
    /// Bytes of this chunk's extensions, or of the trailers: they are thrown away, and bounded.
    aside: usize,
}

impl Chunked {
    /// At the first size line.
    pub(super) fn new() -> Self {
        Self { state: State::Size { digits: 0 }, left: 0, aside: 0 }
    }

    /// Takes bytes and hands the body's to `sink`. Returns how many it took: less than all only when the body is done.
    pub(super) fn feed(&mut self, input: &[u8], mut sink: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<usize, Failure> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let room = input.len() - at;
                let take = usize::try_from(self.left).map_or(room, |left| left.min(room));
                sink(&input[at..at + take])?;
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The last line has been read.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// One byte outside the data.
    fn step(&mut self, byte: u8) -> Result<(), Failure> {
        self.state = match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == 16 {
                    return Err(Failure::protocol("chunk size too large"));
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                self.left = (self.left << 4) | digit;
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 1.. } | State::SizeSpace, b'\r') | (State::Extension, b'\r') => State::SizeEnd,
            (State::Size { digits: 1.. } | State::SizeSpace, b' ' | b'\t') => self.aside(State::SizeSpace)?,
            (State::Size { digits: 1.. } | State::SizeSpace, b';') => State::Extension,
            (State::Extension, b'\n') => return Err(Failure::protocol("bad end of a chunk size line")),
            (State::Extension, _) => self.aside(State::Extension)?,
            (State::SizeEnd, b'\n') if self.left == 0 => State::Trailer { line_bytes: 0 },
            (State::SizeEnd, b'\n') => {
                self.aside = 0;
                State::Data
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::Trailer { line_bytes }, b'\r') => State::TrailerEnd { is_last: line_bytes == 0 },
            (State::Trailer { line_bytes }, byte) if byte != b'\n' => self.aside(State::Trailer { line_bytes: line_bytes + 1 })?,
            (State::TrailerEnd { is_last: true }, b'\n') => State::Done,
            (State::TrailerEnd { is_last: false }, b'\n') => State::Trailer { line_bytes: 0 },
            (State::DataCr | State::DataLf, _) => return Err(Failure::protocol("chunk longer than its size")),
            (State::Trailer { .. } | State::TrailerEnd { .. }, _) => return Err(Failure::protocol("bad trailer after a chunked body")),
            _ => return Err(Failure::protocol("bad chunk size")),
        };
        Ok(())
    }

    fn aside(&mut self, next: State) -> Result<State, Failure> {
        self.aside += 1;
        if self.aside > super::HEAD_LIMIT { Err(Failure::protocol("chunk extensions or trailers too long")) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `piece` bytes; the body and how many bytes were taken.
    fn decode(input: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), Failure> {
        let (mut chunked, mut body, mut taken) = (Chunked::new(), Vec::new(), 0);
        for part in input.chunks(piece) {
            taken += chunked.feed(part, |data| {
                body.extend_from_slice(data);
                Ok(())
            })?;
            if chunked.is_done() {
                break;
            }
        }
        Ok((body, taken, chunked.is_done()))
    }

    #[test]
    fn any_split_gives_the_same_body() {
        let input = b"5\r\nhello\r\n1 ;name=\"va;lue\"\r\n \r\n0005\r\nworld\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n";
        for piece in 1..=input.len() {
            assert_eq!(decode(input, piece).unwrap(), (b"hello world".to_vec(), input.len(), true), "pieces of {piece}");
        }
    }

    #[test]
    fn bytes_behind_the_end_are_left() {
        assert_eq!(decode(b"0\r\n\r\nHTTP/1.1", 100).unwrap(), (Vec::new(), 5, true));
    }

    #[test]
    fn broken_framing_is_an_error() {
        for input in [
            &b"\r\n"[..],
            b"x\r\n",
            b"5\nhello",
            b"5\r\nhello!\r\n",
            b"11111111111111111\r\n",
            b"0\r\n\n",
            b"-1\r\n",
            b"5 5\r\n",
            b"1;a\nb",
        ] {
            assert!(decode(input, 3).is_err(), "{}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn many_chunks_with_an_extension_each_are_no_endless_one() {
        let input = [b"1   ;a=bcd\r\nx\r\n".repeat(20_000), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(decode(&input, 1000).unwrap().0.len(), 20_000);
    }

    #[test]
    fn endless_extensions_and_trailers_are_an_error() {
        let extension = [b"1;".to_vec(), vec![b'x'; 70_000]].concat();
        let trailers = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(20_000)].concat();
        assert!(decode(&extension, 1000).is_err());
        assert!(decode(&trailers, 1000).is_err());
    }
}
