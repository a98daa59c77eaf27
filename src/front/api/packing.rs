//! Compression of streams in pieces that many streams share. A thousand entries are some 400 KiB of JSON a second for each open page, which a
//! link to a cluster does not carry easily; packed they are a tenth, and the work is done once a snapshot, however many listen.
//!
//! A piece is deflated by itself, refers to nothing before it and ends at a whole byte. So pieces go behind one another in any order, and make
//! one stream of gzip behind [`BEGIN`]. A stream of events has no end but its connection's, so that gzip's last words never come.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::header::{CONTENT_ENCODING, VARY};
use axum::response::Response;
use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress, Status};

/// What a stream of gzip begins with: deflate, no name, no time, no system.
pub(super) const BEGIN: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A piece of a stream.
pub(super) fn pack(text: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::fast(), false);
    let mut packed = Vec::with_capacity(text.len() / 8 + ROOM);
    loop {
        let rest = text.get(usize::try_from(compress.total_in()).unwrap_or(usize::MAX)..).unwrap_or_default();
        let status = compress.compress_vec(rest, &mut packed, FlushCompress::Full);
        // A flush is whole where room is left behind it.
        if packed.len() < packed.capacity() || !matches!(status, Ok(Status::Ok)) {
            return packed;
        }
        packed.reserve(packed.len() + ROOM);
    }
}

/// An answer whose body is `body`, packed where who asks reads gzip.
pub(super) fn answer(asked: &HeaderMap, body: Bytes, make: impl FnOnce(Bytes) -> Response) -> Response {
    let packed = is_read_by(asked).then(|| {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        std::io::Write::write_all(&mut encoder, &body).and_then(|()| encoder.finish())
    });
    let mut response = match packed {
        Some(Ok(packed)) => {
            let mut response = make(packed.into());
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        // Memory takes all that is written to it; what it did not take goes as it is.
        Some(Err(_)) | None => make(body),
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Whether who sends these headers reads gzip.
pub(super) fn is_read_by(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut codings = lines.flat_map(|line| line.split(',')).map(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = quality.trim().strip_prefix("q=").is_some_and(|quality| quality.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
        (name.trim(), !is_refused)
    });
    codings.any(|(name, is_taken)| is_taken && name.eq_ignore_ascii_case("gzip"))
}

/// For what deflate adds to a short text.
const ROOM: usize = 256;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// All that comes out of a stream that has not ended.
    fn unpack(stream: &[u8]) -> Vec<u8> {
        let (mut decoder, mut text, mut buffer) = (GzDecoder::new(stream), Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = decoder.read(&mut buffer) {
            text.extend_from_slice(&buffer[..length]);
        }
        text
    }

    #[tokio::test]
    async fn a_whole_answer_is_packed_for_those_alone_who_read_it() {
        let long = Bytes::from("moth ".repeat(5_000));
        let plain = |body: Bytes| Response::new(body.into());
        for (coding, is_packed) in [("gzip, br", true), ("gzip;q=0", false), ("br", false)] {
            let asked = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(coding))]);
            let response = answer(&asked, long.clone(), plain);
            let said = response.headers().get(CONTENT_ENCODING).map(|coding| coding.as_bytes().to_vec());
            assert_eq!((said.as_deref(), &response.headers()[VARY] == "accept-encoding"), (is_packed.then_some(&b"gzip"[..]), true));
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(if is_packed { unpack(&body) } else { body.to_vec() }, long, "{coding}");
            assert_eq!(body.len() < long.len() / 10, is_packed);
        }
    }

    #[test]
    fn pieces_behind_one_another_are_one_stream_in_any_order() {
        let long = (0..40_000).map(|number| format!("{{\"name\":\"/item/{number}\"}}")).collect::<String>();
        // Bytes that cannot be made shorter, more than there is room for at first.
        let noise: Vec<u8> = (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let texts = [&b"retry: 2000\n\n"[..], long.as_bytes(), b":\n\n", &noise, b"", long.as_bytes(), b"x"];
        for order in [[0, 1, 2, 3, 4, 5, 6], [5, 3, 6, 0, 4, 2, 1]] {
            let packed = order.map(|place| pack(texts[place]));
            assert_eq!(unpack(&[BEGIN, &packed.concat()].concat()), order.map(|place| texts[place]).concat());
        }
        assert!(pack(long.as_bytes()).len() < long.len() / 5);
    }

    #[test]
    fn each_piece_can_be_read_as_soon_as_it_is_there() {
        let mut stream = BEGIN.to_vec();
        stream.extend(pack(b"first"));
        assert_eq!(unpack(&stream), b"first");
    }

    #[test]
    fn who_reads_gzip_says_so() {
        let reads = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
            is_read_by(&headers)
        };
        assert!(reads("gzip, deflate, br, zstd") && reads("deflate,GZIP;q=0.5") && reads("gzip; q=1"));
        assert!(!reads("") && !reads("br") && !reads("gzip;q=0") && !reads("gzip; q=0.0, br") && !reads("*") && !reads("xgzip"));
        assert!(!is_read_by(&HeaderMap::new()));
    }
}
