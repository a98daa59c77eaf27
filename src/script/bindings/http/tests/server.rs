//! A small HTTP/1.1 server for the tests: a thread for each connection, answers by path, counts what it serves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A server that lives as long as the test's process.
pub(super) struct Server {
    pub(super) base: String,
    served: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&served);
        let connections = Arc::new(AtomicU64::new(0));
        let accepted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepted.fetch_add(1, Ordering::SeqCst);
                let count = Arc::clone(&count);
                std::thread::spawn(move || serve(stream, &count));
            }
        });
        Self { base, served, connections }
    }

    /// Connections since the last call.
    pub(super) fn take_connections(&self) -> u64 {
        self.connections.swap(0, Ordering::SeqCst)
    }

    /// Requests that have arrived whole.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, served: &AtomicU64) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        if head.starts_with("SM") {
            // The rest of HTTP/2's greeting; the client goes.
            while matches!(reader.read(&mut [0; 512]), Ok(1..)) {}
            return;
        }
        let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        served.fetch_add(1, Ordering::SeqCst);
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let Some((status, headers, answer)) = answer(&path, &head, &body) else {
            // Silent until the client goes.
            let _ = reader.read(&mut [0]);
            return;
        };
        let answer = if head.starts_with("HEAD ") { Vec::new() } else { answer };
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", answer.len());
        if writer.write_all(&[head.as_bytes(), &answer].concat()).is_err() {
            return;
        }
    }
}

fn answer(path: &str, head: &str, body: &[u8]) -> Option<(u16, String, Vec<u8>)> {
    let plain = |text: &str| Some((200, String::new(), text.into()));
    if let Some(count) = path.strip_prefix("/redirect/") {
        let count: u32 = count.parse().unwrap();
        let to = if count <= 1 { "/echo".to_owned() } else { format!("/redirect/{}", count - 1) };
        return Some((302, format!("location: {to}\r\nset-cookie: hop{count}=x; Path=/\r\n"), Vec::new()));
    }
    if let Some(status) = path.strip_prefix("/status/") {
        return Some((status.parse().unwrap(), String::new(), b"{}".to_vec()));
    }
    if let Some(to) = path.strip_prefix("/redirect-to-url?") {
        return Some((302, format!("location: {to}\r\n"), Vec::new()));
    }
    if let Some(to) = path.strip_prefix("/redirect-to") {
        return Some((302, format!("location: {to}\r\n"), Vec::new()));
    }
    if let Some(packed) = path.strip_prefix("/packed/") {
        return Some(packed_answer(packed));
    }
    match path.split('?').next().unwrap() {
        "/hang" => None,
        "/pause" => {
            std::thread::sleep(std::time::Duration::from_millis(20));
            plain("")
        }
        "/json" => {
            Some((200, "Content-Type: application/json\r\nX-Two: 1\r\nx-two: 2\r\n".into(), br#"{"items":[{"id":7}],"name":"n"}"#.to_vec()))
        }
        "/digits" => plain(r#"{"id":12345678901234567890}"#),
        "/set" => Some((200, "set-cookie: a=b; Path=/\r\nset-cookie: c=d; Path=/\r\n".into(), Vec::new())),
        "/big" => Some((200, String::new(), vec![b'x'; 100_000])),
        "/echo" => plain(&format!("{head}{}", String::from_utf8_lossy(body))),
        path => plain(path),
    }
}

/// `CODING/WHAT`: a packed body. `small` and `large` are JSON, `bomb` is 4 MiB of zeros.
fn packed_answer(packed: &str) -> (u16, String, Vec<u8>) {
    let (coding, what) = packed.split_once('/').unwrap();
    let plain = match what {
        "bomb" => vec![0; 4 << 20],
        "large" | "cut" | "spoilt" => large_json().into_bytes(),
        _ => br#"{"items":[{"id":7}],"name":"n"}"#.to_vec(),
    };
    let mut bytes = match coding {
        "gzip" => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(&plain).unwrap();
            packer.finish().unwrap()
        }
        "zstd" => zstd::encode_all(&*plain, 1).unwrap(),
        coding => {
            let mut out = Vec::new();
            let quick = brotli::enc::BrotliEncoderParams { quality: 1, ..Default::default() };
            assert_eq!(coding, "br");
            brotli::BrotliCompress(&mut &*plain, &mut out, &quick).unwrap();
            out
        }
    };
    match what {
        "cut" => bytes.truncate(bytes.len() - 100),
        "spoilt" => {
            let checksum = bytes.len() - 8;
            bytes[checksum] ^= 1;
        }
        "junk" => bytes.extend_from_slice(b"some junk"),
        _ => {}
    }
    (200, format!("content-encoding: {coding}\r\n"), bytes)
}

/// Numbers that do not pack well.
pub(super) fn large_json() -> String {
    let numbers: Vec<String> = (0..60_000_u64).map(|number| (number * 2_654_435_761 % 4_294_967_291).to_string()).collect();
    format!("{{\"name\":\"large\",\"list\":[{}]}}", numbers.join(","))
}
