//! The fields of an answer that decide about framing and reuse.

use crate::protocol::http::classify::Failure;

/// The fields that decide about framing and reuse.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found {
    pub length: Option<u64>,
    pub has_transfer_encoding: bool,
    /// `chunked` is the last transfer coding.
    pub is_chunked: bool,
    pub has_encoding: bool,
    pub closes: bool,
    pub keeps_alive: bool,
    pub sets_cookies: bool,
}

impl Found {
    pub(super) fn among(fields: &[httparse::Header<'_>]) -> Result<Self, Failure> {
        let mut found = Self::default();
        fields.iter().try_for_each(|field| found.note(field.name.as_bytes(), field.value))?;
        Ok(found)
    }

    /// Looks at one field. By length first: most fields are told apart without looking at a letter.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for token in tokens(value) {
                    self.closes |= token.eq_ignore_ascii_case(b"close");
                    self.keeps_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            10 if name.eq_ignore_ascii_case(b"set-cookie") => self.sets_cookies = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length_is(value)?,
            16 if name.eq_ignore_ascii_case(b"content-encoding") => self.has_encoding = true,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                for token in tokens(value).filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case(b"identity")) {
                    if PACKINGS.iter().any(|packing| token.eq_ignore_ascii_case(packing)) {
                        return Err(Failure::protocol("the answer is packed by its transfer-encoding, which nobody asked for"));
                    }
                    self.has_transfer_encoding = true;
                    self.is_chunked = token.eq_ignore_ascii_case(b"chunked");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn length_is(&mut self, value: &[u8]) -> Result<(), Failure> {
        for token in value.split(|byte| matches!(byte, b',' | b'\n')).map(<[u8]>::trim_ascii) {
            let length = digits(token).ok_or_else(|| Failure::protocol("bad content-length"))?;
            if self.length.is_some_and(|other| other != length) {
                return Err(Failure::protocol("conflicting content-length fields"));
            }
            self.length = Some(length);
        }
        Ok(())
    }
}

/// Codings of a transfer that change its bytes: what is sent so would look like the body, and is not.
const PACKINGS: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits only: `str::parse` would take a sign.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}
