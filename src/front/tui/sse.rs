//! Reads Server-Sent Events out of bytes that come in any pieces. Owns the framing (WHATWG HTML, 9.2.6), not what events mean.

/// An event, when its empty line has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its kind; `message` where none is said.
    pub kind: String,
    /// Its data, without the last line's end.
    pub data: String,
}

/// The reader. Keeps at most [`EVENT_MAX`] bytes of an unfinished event.
#[derive(Debug, Default)]
pub struct SseReader {
    line: Vec<u8>,
    kind: String,
    data: String,
    has_data: bool,
    ends_with_return: bool,
}

/// An event that is longer than any of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {} MiB", EVENT_MAX >> 20)]
pub struct TooLong;

impl SseReader {
    /// Takes bytes in, and gives the events that they complete.
    ///
    /// # Errors
    /// The event is longer than [`EVENT_MAX`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_second_half = end == 0 && rest[0] == b'\n' && self.ends_with_return && self.line.is_empty();
            self.line.extend_from_slice(&rest[..end]);
            self.ends_with_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if !is_second_half {
                events.extend(self.on_line());
            }
        }
        if !rest.is_empty() {
            self.ends_with_return = false;
            self.line.extend_from_slice(rest);
        }
        if self.line.len() + self.data.len() > EVENT_MAX { Err(TooLong) } else { Ok(events) }
    }

    fn on_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
            let has_data = std::mem::take(&mut self.has_data);
            return has_data.then(|| SseEvent { kind: if kind.is_empty() { "message".to_owned() } else { kind }, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            // Comments have an empty name; ids and retry times mean nothing to a screen, which takes the newest anyway.
            _ => {}
        }
        None
    }
}

/// A snapshot with 2,000 long names, several times over.
const EVENT_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "retry: 2000\n\n: hello\n\nevent: snapshot\nid: 7\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\nevent: none\n\nda";

    #[test]
    fn events_come_out_whole_in_whatever_pieces_the_bytes_come() {
        let expected =
            [SseEvent { kind: "snapshot".into(), data: "{\"a\":1}".into() }, SseEvent { kind: "message".into(), data: "x\ny".into() }];
        assert_eq!(SseReader::default().read(STREAM.as_bytes()).unwrap(), expected);
        let mut reader = SseReader::default();
        let one_by_one: Vec<SseEvent> = STREAM.as_bytes().iter().flat_map(|byte| reader.read(&[*byte]).unwrap()).collect();
        assert_eq!(one_by_one, expected);
    }

    #[test]
    fn a_stream_without_an_end_is_given_up() {
        let mut reader = SseReader::default();
        let piece = vec![b'x'; 1 << 20];
        let read = (0..70).map(|_| reader.read(&piece)).find(Result::is_err);
        assert_eq!(read, Some(Err(TooLong)));
    }
}
