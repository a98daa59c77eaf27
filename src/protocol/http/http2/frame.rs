//! Frames as bytes (RFC 9113, sections 4 and 6): their head, their kinds, and those that we write.

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0: the connection itself.
    pub(super) stream: u32,
}

impl Head {
    /// The head at the beginning of `bytes`; `None` until all of it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, id @ ..] = bytes.first_chunk::<HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        // The highest bit means nothing.
        Some(Self { length, kind: *kind, flags: *flags, stream: u32::from_be_bytes(*id) & LARGEST })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the head of a frame of at most 2^24 - 1 bytes.
pub(super) fn write_head(length: usize, kind: u8, flags: u8, stream: u32, output: &mut Vec<u8>) {
    output.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    output.extend_from_slice(&[kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a whole frame.
pub(super) fn write(kind: u8, flags: u8, stream: u32, payload: &[u8], output: &mut Vec<u8>) {
    write_head(payload.len(), kind, flags, stream, output);
    output.extend_from_slice(payload);
}

/// Appends the head of a request, whose block begins at `begin` in `output` behind room for a frame's head; in pieces where the server takes no
/// larger frames.
pub(super) fn finish_headers(begin: usize, stream: u32, ends: bool, largest: usize, output: &mut Vec<u8>) {
    let length = output.len() - begin - HEAD_BYTES;
    let end_stream = if ends { END_STREAM } else { 0 };
    let mut head = Vec::with_capacity(HEAD_BYTES);
    if length <= largest {
        write_head(length, HEADERS, END_HEADERS | end_stream, stream, &mut head);
        output[begin..begin + HEAD_BYTES].copy_from_slice(&head);
        return;
    }
    let block = output.split_off(begin + HEAD_BYTES);
    write_head(largest, HEADERS, end_stream, stream, &mut head);
    output[begin..].copy_from_slice(&head);
    output.extend_from_slice(&block[..largest]);
    let mut parts = block[largest..].chunks(largest).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
        write(CONTINUATION, flags, stream, part, output);
    }
}

/// What a connection begins with (section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const HEAD_BYTES: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const HAS_PRIORITY: u8 = 0x20;

/// The numbers of settings (section 6.5.2).
pub(super) mod setting {
    pub(in super::super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in super::super) const ENABLE_PUSH: u16 = 2;
    pub(in super::super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in super::super) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(in super::super) const MAX_FRAME_SIZE: u16 = 5;
    pub(in super::super) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// The largest window, and the largest number of a stream.
pub(super) const LARGEST: u32 = 0x7fff_ffff;

/// Windows and frames before anybody has said anything (section 6.5.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
pub(super) const DEFAULT_FRAME: usize = 16_384;

/// What a server may send on one stream before it is told that there is room for more.
pub(super) const STREAM_WINDOW: u32 = 2 << 20;

/// Why a stream or a connection ends (section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const NO_ERROR: Self = Self(0);
    pub(super) const PROTOCOL_ERROR: Self = Self(1);
    pub(super) const FLOW_CONTROL_ERROR: Self = Self(3);
    pub(super) const FRAME_SIZE_ERROR: Self = Self(6);
    pub(super) const REFUSED_STREAM: Self = Self(7);
    pub(super) const CANCEL: Self = Self(8);
    pub(super) const COMPRESSION_ERROR: Self = Self(9);
    pub(super) const ENHANCE_YOUR_CALM: Self = Self(11);
    pub(super) const HTTP_1_1_REQUIRED: Self = Self(13);
}

impl std::fmt::Display for Code {
    /// As the standard calls it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match CODES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_head_goes_out_in_pieces() {
        for length in [0, 1, 9, 10, 11, 20, 25] {
            let mut output = b"before".to_vec();
            let begin = output.len();
            output.extend([0; HEAD_BYTES]);
            output.extend((0..length).map(|at| at as u8));
            finish_headers(begin, 5, true, 10, &mut output);
            let (mut rest, mut block, mut kinds) = (&output[begin..], Vec::new(), Vec::new());
            while let Some(head) = Head::read(rest) {
                assert!(head.length <= 10 && head.stream == 5);
                block.extend_from_slice(&rest[HEAD_BYTES..HEAD_BYTES + head.length]);
                rest = &rest[HEAD_BYTES + head.length..];
                kinds.push((head.kind, head.flags));
            }
            assert!(rest.is_empty() && output.starts_with(b"before"));
            assert_eq!(block, (0..length).map(|at| at as u8).collect::<Vec<_>>());
            assert!(kinds.iter().enumerate().all(|(at, (kind, _))| *kind == if at == 0 { HEADERS } else { CONTINUATION }));
            assert!(kinds.iter().rev().enumerate().all(|(at, (_, flags))| (flags & END_HEADERS != 0) == (at == 0)), "{kinds:?}");
            assert_eq!(kinds[0].1 & END_STREAM, END_STREAM);
        }
    }
}
